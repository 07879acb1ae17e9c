import { createHash } from 'node:crypto';
import { encodePicture, qualityOf } from '../activities/encode.js';
import { writeProvenance } from '../activities/provenance.js';
import type { Provenance } from '../contract/job.js';
import type { Condition, ReproducedPicture } from '../contract/reproduction.js';
import type { EngineHost, RenderedImage } from '../gpu/host.js';
import { packageVersion } from '../package-root.js';
import { pixelDifference } from './pixel-difference.js';
import { afterEncoding, type RecordedPicture } from './recorded-picture.js';

export interface DrawAgainOptions {
  /** Without what was drawn at once with it. Default: with it, where that is known: a batch's size may show. */
  readonly isAlone?: boolean;
  readonly signal?: AbortSignal;
}

/** What was drawn, and how it compares. */
export interface DrawnAgain {
  readonly result: ReproducedPicture;
  /** As a file of ours. */
  toPng(): Promise<Buffer>;
}

/** Draws a picture again and compares it with what was recorded. @throws what `host.render` throws */
export async function drawAgain(
  host: EngineHost,
  picture: RecordedPicture,
  { isAlone = false, signal }: DrawAgainOptions = {},
): Promise<DrawnAgain> {
  const { prompt, width, height, steps, seed } = picture.provenance;
  const { items, place } =
    picture.batch && !isAlone
      ? picture.batch
      : { items: [{ index: 0, prompt, width, height, steps, seed }], place: 0 };
  const images = await host.render({ items, ...(signal && { signal }) });
  const image = images.find(({ index }) => index === items[place]?.index);
  if (!image) throw new Error('expected an image of the engine, got none');
  return {
    result: await compare(picture, image, items.length),
    toPng: () => pngOf(image, picture, items.length),
  };
}

async function compare(
  { source, provenance, file }: RecordedPicture,
  image: RenderedImage,
  together: number,
): Promise<ReproducedPicture> {
  const { prompt, seed, pixelsSha256, quality } = provenance;
  const { pixels, width, height } = image;
  const drawn = createHash('sha256').update(pixels).digest('hex');
  const notes: string[] = [];
  let difference: ReproducedPicture['difference'];
  if (typeof file === 'string') notes.push(`compared by the digest of its pixels alone: ${file}`);
  else if (file.width !== width || file.height !== height) {
    notes.push(
      `the file has ${file.width}×${file.height} pixels, but says that it was drawn as ${width}×${height}`,
    );
  } else {
    const output = {
      format: file.format,
      ...(file.format !== 'png' && quality !== undefined && { quality }),
    };
    if (file.format !== 'png' && quality === undefined) {
      notes.push(`its quality was not recorded: ${qualityOf(output)} is assumed`);
    }
    const encode = () => encodePicture({ data: pixels, width, height }, output, EMPTY_XMP);
    difference = pixelDifference(await afterEncoding(encode, file.format, pixels), file.pixels);
  }
  const isSame = drawn === pixelsSha256;
  const isFileSame = difference ? difference.maxLevels === 0 : typeof file === 'string';
  if (isSame && !isFileSame)
    notes.push('what was drawn is what was recorded, but the file has been changed since');
  if (!isSame && difference?.maxLevels === 0) {
    notes.push('the file is the same, but what its metadata says of its pixels is not true');
  }
  return {
    source,
    prompt,
    seed,
    verdict: isSame && isFileSame ? 'identical' : 'different',
    pixels: { recorded: pixelsSha256, drawn, same: isSame },
    ...(difference && { difference }),
    conditions: conditionsOf(provenance, image, together),
    notes,
  };
}

/** Metadata does not change what a file's pixels are. */
const EMPTY_XMP = '<x:xmpmeta xmlns:x="adobe:ns:meta/"/>';

function conditionsOf(
  recorded: RecordedPicture['provenance'],
  { modelDigest, engine, inTiles }: RenderedImage,
  together: number,
): Condition[] {
  const piecesOf = (isTiled: boolean | undefined) => (isTiled ? 'tiles' : 'one piece');
  const isKnown = recorded.versions !== undefined;
  const pairs: [string, string | number | undefined, string | number][] = [
    ['model digest', recorded.modelDigest, modelDigest],
    ['graph digest', recorded.graphDigest, engine.graphDigest],
    ['temporal-diffusion', recorded.versions?.package, engine.versions.package],
    ['onnxruntime', recorded.versions?.onnxruntime, engine.versions.onnxruntime],
    ['node', recorded.versions?.node, engine.versions.node],
    ['device', recorded.device, engine.device],
    ['device name', recorded.deviceName, engine.deviceName],
    ['drawn at once', recorded.together, together],
    ['decoded in', isKnown ? piecesOf(recorded.inTiles) : undefined, piecesOf(inTiles)],
  ];
  return pairs.map(([name, was, is]) => ({
    name,
    ...(was !== undefined && { recorded: String(was) }),
    here: String(is),
    ...(was !== undefined && { same: was === is }),
  }));
}

function pngOf(
  { pixels, width, height, seed, modelDigest, engine, inTiles }: RenderedImage,
  { provenance: { model, prompt, steps } }: RecordedPicture,
  together: number,
): Promise<Buffer> {
  const { device, deviceName, graphDigest, versions } = engine;
  const provenance: Provenance = {
    software: `temporal-diffusion ${packageVersion()} reproduce`,
    workflowId: '',
    runId: '',
    ...{ model, modelDigest, prompt, width, height, steps, seed, device, deviceName, graphDigest, versions },
    together,
    ...(inTiles && { inTiles }),
    pixelsSha256: createHash('sha256').update(pixels).digest('hex'),
    tags: {},
  };
  return encodePicture({ data: pixels, width, height }, { format: 'png' }, writeProvenance(provenance));
}
