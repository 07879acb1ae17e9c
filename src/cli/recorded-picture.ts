import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import sharp from 'sharp';
import { z } from 'zod';
import { qualityOf } from '../activities/encode.js';
import { readProvenance } from '../activities/provenance.js';
import type { DrawnBy } from '../contract/attempts.js';
import { PublishManyInput } from '../contract/batch.js';
import type { ExplainedPicture } from '../contract/explanation.js';
import { GenerateInput, PixelClaim, type Provenance, type RenderItem } from '../contract/job.js';
import { ImageFormat, OutputOptions } from '../contract/request.js';
import { openStoreOf } from '../storage/open-store.js';
import { explain } from './explanation.js';
import type { RecordedRun } from './recorded-run.js';

/** A picture file's content. */
export interface PictureFile {
  readonly format: ImageFormat;
  readonly width: number;
  readonly height: number;
  /** 8-bit RGB, rows from the top. */
  readonly pixels: Buffer;
}

/** What is known of a picture's making, from whatever source. */
export interface RecordedPicture {
  /** The file, or where the job has stored it. */
  readonly source: string;
  readonly provenance: Pick<
    Provenance,
    | 'model'
    | 'modelDigest'
    | 'prompt'
    | 'width'
    | 'height'
    | 'steps'
    | 'seed'
    | 'device'
    | 'deviceName'
    | 'graphDigest'
    | 'versions'
    | 'together'
    | 'inTiles'
    | 'quality'
    | 'pixelsSha256'
  >;
  /** All that was drawn at once with it, and its place there; absent where that is not known. */
  readonly batch?: { readonly items: readonly RenderItem[]; readonly place: number } | undefined;
  /** The file's content; a text says why it can't be had. */
  readonly file: PictureFile | string;
}

/** Nothing can be drawn again, for this reason. */
export class CannotReproduce extends Error {}

/**
 * A picture file with its provenance in its metadata.
 * @throws CannotReproduce where it is none of ours
 */
export async function pictureOfFile(path: string): Promise<RecordedPicture> {
  const bytes = await readFile(path);
  try {
    return { source: path, provenance: await readProvenance(bytes), file: await contentOf(bytes) };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CannotReproduce(`${path}: ${reason}`, { cause: error });
  }
}

const Claim = z.object(PixelClaim.shape);
const Drawing = z.object({ items: GenerateInput.shape.items, model: GenerateInput.shape.model });
const Storing = z.object({ claim: Claim, output: OutputOptions });
const StoringMany = z.object({ claims: z.array(Claim), pictures: PublishManyInput.shape.pictures });

/**
 * The pictures that a job has stored.
 * @throws CannotReproduce where it has none, or none of that number
 */
export async function picturesOfJob(
  runs: readonly RecordedRun[],
  index: number | undefined,
): Promise<RecordedPicture[]> {
  const { pictures } = explain(runs, Date.now());
  const wanted = index === undefined ? pictures : pictures.filter((picture) => picture.index === index);
  if (wanted.length === 0) {
    throw new CannotReproduce(
      pictures.length === 0
        ? 'the job has stored no picture'
        : `expected one of the job's pictures, ${pictures[0]?.index} to ${pictures.at(-1)?.index}, got ${index}`,
    );
  }
  if (wanted.length > MOST) {
    throw new CannotReproduce(
      `expected --image with one of the job's ${wanted.length} pictures, since more than ${MOST} are not drawn at a time`,
    );
  }
  const activities = runs.flatMap((run) => run.activities);
  return Promise.all(wanted.map((picture) => pictureOfJob(picture, activities)));
}

/** As many as one request may have. */
const MOST = 16;

async function pictureOfJob(
  picture: ExplainedPicture,
  activities: readonly RecordedRun['activities'][number][],
): Promise<RecordedPicture> {
  const { index, seed, url, pixelsSha256, drawnBy } = picture;
  const stored = storingOf(picture, activities);
  const drawing = activities
    .filter(({ type, state }) => type === 'generate' && state === 'done')
    .flatMap(({ input }) => Drawing.safeParse(input).data ?? [])
    .findLast(({ items }) => items.some((item) => isOf(item, stored?.claim, index)));
  const place = drawing?.items.findIndex((item) => isOf(item, stored?.claim, index)) ?? -1;
  const item = drawing?.items[place];
  if (!stored || !drawing || !item) {
    throw new CannotReproduce(`the history does not hold how picture ${index} was drawn`);
  }
  const quality = qualityOf(stored.output);
  return {
    source: url,
    provenance: {
      model: drawing.model,
      modelDigest: stored.claim.modelDigest,
      prompt: item.prompt,
      width: item.width,
      height: item.height,
      steps: item.steps,
      seed,
      device: stored.claim.device,
      pixelsSha256,
      ...conditionsOf(drawnBy),
      ...(quality !== undefined && { quality }),
    },
    // One that was halved is not the batch that was asked for.
    batch: drawnBy?.together === drawing.items.length ? { items: drawing.items, place } : undefined,
    file: await storedFile(picture),
  };
}

function conditionsOf(drawnBy: DrawnBy | undefined) {
  if (!drawnBy) return {};
  const { graphDigest, versions, together, inTiles, engine } = drawnBy;
  return {
    graphDigest,
    versions,
    together,
    ...(inTiles && { inTiles }),
    ...(engine.deviceName !== undefined && { deviceName: engine.deviceName }),
  };
}

/** The claim and the format that a picture was stored from. */
function storingOf(
  { index, sha256 }: ExplainedPicture,
  activities: readonly RecordedRun['activities'][number][],
): z.output<typeof Storing> | undefined {
  const done = activities.filter(({ state }) => state === 'done');
  const holds = ({ result }: { readonly result: unknown }) => JSON.stringify(result ?? '').includes(sha256);
  for (const activity of done.filter(holds)) {
    if (activity.type === 'publish') {
      const storing = Storing.safeParse(activity.input).data;
      if (storing?.claim.index === index) return storing;
    } else if (activity.type === 'publishMany') {
      const { claims = [], pictures = [] } =
        StoringMany.safeParse(activity.input).data ?? ({} as Partial<z.output<typeof StoringMany>>);
      const picture = pictures.find((each) => each.index === index);
      const claim = picture && claims[picture.claim];
      if (claim) return { claim, output: picture.output };
    }
  }
  return undefined;
}

function isOf(item: RenderItem, claim: z.output<typeof Claim> | undefined, index: number): boolean {
  return item.index === (claim?.index ?? index) && item.seed === claim?.seed;
}

async function storedFile({ url, sha256 }: ExplainedPicture): Promise<PictureFile | string> {
  try {
    const bytes = await openStoreOf(url).get(url);
    const found = createHash('sha256').update(bytes).digest('hex');
    return found === sha256 ? await contentOf(bytes) : 'another file lies there now';
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    // Facts in brackets are for machines.
    return message.replace(/\s*\[[^\]]*\]$/, '');
  }
}

async function contentOf(bytes: Buffer): Promise<PictureFile> {
  const image = sharp(bytes);
  const { format } = await image.metadata();
  const { data, info } = await image
    .toColourspace('srgb')
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  return {
    format: ImageFormat.parse(format === 'heif' ? 'avif' : format),
    width: info.width,
    height: info.height,
    pixels: data,
  };
}

/** Pixels as a file of that format and quality would give them back. */
export async function afterEncoding(
  encode: () => Promise<Buffer>,
  format: ImageFormat,
  pixels: Buffer,
): Promise<Buffer> {
  if (format === 'png') return pixels;
  return (await contentOf(await encode())).pixels;
}
