import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { loadDataConverter } from '@temporalio/common/lib/internal-non-workflow/index.js';
import { encodePicture, qualityOf } from '../activities/encode.js';
import { writeProvenance } from '../activities/provenance.js';
import { RenderError } from '../contract/errors.js';
import type { Provenance } from '../contract/job.js';
import { parse } from '../contract/parse.js';
import type { Condition, ReproducedPicture, Reproduction } from '../contract/reproduction.js';
import { checkpointDigest } from '../gpu/checkpoint/digest.js';
import { DeviceName } from '../gpu/engine/device-name.js';
import { createEngineHost, type EngineHost, type LoadedEngine, type RenderedImage } from '../gpu/host.js';
import { packageVersion } from '../package-root.js';
import { numberOf, parseArguments } from './arguments.js';
import { bundledModel } from './bundled-model.js';
import { cacheFolder } from './cache-folder.js';
import { configuredOrLocalServer } from './configured-server.js';
import { readHistory } from './history-file.js';
import { onInterrupt } from './interrupt.js';
import { fetchJob } from './job-histories.js';
import { createLog } from './log.js';
import { pixelDifference } from './pixel-difference.js';
import {
  afterEncoding,
  CannotReproduce,
  pictureOfFile,
  picturesOfJob,
  type RecordedPicture,
} from './recorded-picture.js';
import { type RecordedRun, readRun } from './recorded-run.js';
import { connectTo } from './remote-deployment.js';
import { describeReproduction } from './reproduce-report.js';
import { temporalSdkLoader } from './temporal-sdk.js';
import { UsageError } from './usage-error.js';

export const REPRODUCE_HELP = `temporal-diffusion reproduce PICTURE | WORKFLOW_ID | FILE.json  [options]

Draws a picture again with an engine of its own, by what its metadata or its job's history says, compares the two, and
lists which of the recorded conditions are others here: model, graph, versions, device, batch.

  PICTURE            a png, jpeg, webp or avif file of ours; needs no server
  WORKFLOW_ID        a job of the server: all of its pictures, up to 16
  FILE.json          its history as \`temporal workflow show --output json\` and Temporal's UI write it
  --image N          only the job's picture of that number
  --checkpoint DIR   the model's folder (default: the one that comes with this package)
  --device DEVICE    cpu or cuda:N (default: what it was drawn on)
  --threads N        threads of the CPU runtime (default: all)
  --alone            draws a picture of a batch without the others (default: all of them, where the history holds them)
  --force            also with a model of another digest
  --out FILE.png     writes what was drawn
  --json             one JSON document on stdout, and nothing else there

Exit code 0: identical; 3: different; 4: can't be drawn again, for a reason that is told; 2: a wrong command; 1: failed.
`;

const NAMES = ['image', 'checkpoint', 'device', 'threads', 'out', 'run-id'] as const;
const FLAGS = ['alone', 'force', 'json', 'verbose'] as const;
const DIFFERENT = 3;
const IMPOSSIBLE = 4;

/** `temporal-diffusion reproduce`: the same picture again. */
export async function reproduce(argv: readonly string[]): Promise<void> {
  const { texts, flags, positionals } = parseArguments(argv, NAMES, FLAGS);
  const [name, ...others] = positionals;
  if (name === undefined || others.length > 0) {
    throw new UsageError(`expected one picture, workflow id or history file, got ${positionals.length}`);
  }
  const image = wholeNumber('--image', texts.image, 0);
  const threads = wholeNumber('--threads', texts.threads, 1);
  const device = texts.device === undefined ? undefined : parse(DeviceName, texts.device);
  const isPicture = /\.(png|jpe?g|webp|avif)$/i.test(name);
  if (isPicture && image !== undefined) throw new UsageError('expected a job beside --image');
  const log = createLog(flags.has('verbose') ? 'debug' : 'error');
  try {
    const pictures = isPicture
      ? [await pictureOfFile(name)]
      : await picturesOfJob(await runsOf(name, texts['run-id'], log), image);
    if (texts.out !== undefined && pictures.length > 1) {
      throw new UsageError(`expected --image beside --out, since the job has ${pictures.length} pictures`);
    }
    const reproduction = await drawAgain(pictures, {
      checkpoint: texts.checkpoint,
      device,
      threads,
      isAlone: flags.has('alone'),
      isForced: flags.has('force'),
      out: texts.out,
      log,
    });
    process.stdout.write(
      flags.has('json') ? `${JSON.stringify(reproduction, null, 2)}\n` : describeReproduction(reproduction),
    );
    if (reproduction.verdict === 'different') process.exitCode = DIFFERENT;
  } catch (error) {
    if (!(error instanceof CannotReproduce)) throw error;
    process.stderr.write(`✖ can't be drawn again: ${error.message}\n`);
    if (flags.has('json')) {
      const failure = { type: 'CannotReproduce', message: error.message };
      process.stdout.write(`${JSON.stringify({ ok: false, error: failure }, null, 2)}\n`);
    }
    process.exitCode = IMPOSSIBLE;
  }
}

function wholeNumber(option: string, text: string | undefined, least: number): number | undefined {
  const number = numberOf(text);
  if (number === undefined || (typeof number === 'number' && Number.isInteger(number) && number >= least)) {
    return number as number | undefined;
  }
  throw new UsageError(`expected a whole number from ${least} for ${option}, got ${text}`);
}

type Log = ReturnType<typeof createLog>;

async function runsOf(name: string, runId: string | undefined, log: Log): Promise<readonly RecordedRun[]> {
  if (name.endsWith('.json')) {
    const { workflowId, history } = await readHistory(name);
    return [{ ...(await readRun(history, loadDataConverter())), workflowId }];
  }
  const deployment = await connectTo(configuredOrLocalServer(), temporalSdkLoader(log, 'ERROR'));
  try {
    const { Client } = await import('@temporalio/client');
    return (await fetchJob(new Client(deployment), name, { runId, most: 100 })).runs;
  } finally {
    await deployment.close();
  }
}

interface DrawingOptions {
  readonly checkpoint: string | undefined;
  readonly device: ReturnType<typeof parse<typeof DeviceName>> | undefined;
  readonly threads: number | undefined;
  readonly isAlone: boolean;
  readonly isForced: boolean;
  readonly out: string | undefined;
  readonly log: Log;
}

async function drawAgain(
  pictures: readonly RecordedPicture[],
  options: DrawingOptions,
): Promise<Reproduction> {
  const [first] = pictures;
  if (!first) throw new CannotReproduce('there is no picture');
  const { model, device: recordedDevice } = first.provenance;
  const checkpoint = options.checkpoint ?? checkpointOf(model);
  const digest = await checkpointDigest(checkpoint, cacheFolder()).catch((error: unknown) => {
    throw new CannotReproduce(error instanceof Error ? error.message : String(error), { cause: error });
  });
  const other = pictures.find(({ provenance }) => provenance.modelDigest !== digest);
  if (other && !options.isForced) {
    throw new CannotReproduce(
      `it was drawn with another ${model} than ${checkpoint} holds: name that one's folder by --checkpoint, or see how far they are apart by --force [recorded=${other.provenance.modelDigest}, here=${digest}]`,
    );
  }
  const interruption = onInterrupt();
  const host = createEngineHost({
    checkpoint,
    model,
    device: options.device ?? deviceOf(recordedDevice),
    cacheFolder: cacheFolder(),
    ...(options.threads !== undefined && { threads: options.threads }),
    log: options.log,
  });
  try {
    const engine = await readyEngine(host, recordedDevice);
    const reproduced: ReproducedPicture[] = [];
    for (const picture of pictures) {
      const { image, together } = await draw(host, picture, options.isAlone, interruption.signal);
      if (options.out !== undefined) await write(options.out, image, picture, engine, together);
      reproduced.push(await compare(picture, image, engine, together));
    }
    const isSame = reproduced.every(({ verdict }) => verdict === 'identical');
    return { version: 1, verdict: isSame ? 'identical' : 'different', pictures: reproduced };
  } finally {
    interruption.dispose();
    await host.close();
  }
}

function checkpointOf(model: string): string {
  try {
    return bundledModel(model);
  } catch (error) {
    throw new CannotReproduce(
      `it was drawn with ${model}, which does not come with this package: name its folder by --checkpoint`,
      { cause: error },
    );
  }
}

function deviceOf(recorded: string): 'cpu' | `cuda:${number}` {
  const device = DeviceName.safeParse(recorded);
  if (device.success) return device.data;
  throw new CannotReproduce(
    `it was drawn on ${recorded}, which is no device of this release: choose one by --device`,
  );
}

async function readyEngine(host: EngineHost, recordedDevice: string): Promise<LoadedEngine> {
  try {
    return await host.ready();
  } catch (error) {
    if (!(error instanceof RenderError)) throw error;
    throw new CannotReproduce(
      `no engine could be started: ${error.message}. It was drawn on ${recordedDevice}: choose another device by --device`,
      { cause: error },
    );
  }
}

interface Drawn {
  readonly image: RenderedImage;
  readonly together: number;
}

/** With all that was drawn at once with it, where that is known: a batch's size may show in its pictures. */
async function draw(
  host: EngineHost,
  { provenance, batch }: RecordedPicture,
  isAlone: boolean,
  signal: AbortSignal,
): Promise<Drawn> {
  const { prompt, width, height, steps, seed } = provenance;
  const { items, place } =
    batch && !isAlone ? batch : { items: [{ index: 0, prompt, width, height, steps, seed }], place: 0 };
  const images = await host.render({ items, signal });
  const image = images.find(({ index }) => index === items[place]?.index);
  if (!image) throw new Error('expected an image of the engine, got none');
  return { image, together: items.length };
}

async function compare(
  { source, provenance, file }: RecordedPicture,
  image: RenderedImage,
  engine: LoadedEngine,
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
    conditions: conditionsOf(provenance, image, engine, together),
    notes,
  };
}

/** Metadata does not change what a file's pixels are. */
const EMPTY_XMP = '<x:xmpmeta xmlns:x="adobe:ns:meta/"/>';

function conditionsOf(
  recorded: RecordedPicture['provenance'],
  image: RenderedImage,
  engine: LoadedEngine,
  together: number,
): Condition[] {
  const pairs: [string, string | number | undefined, string | number][] = [
    ['model digest', recorded.modelDigest, image.modelDigest],
    ['graph digest', recorded.graphDigest, engine.graphDigest],
    ['temporal-diffusion', recorded.versions?.package, engine.versions.package],
    ['onnxruntime', recorded.versions?.onnxruntime, engine.versions.onnxruntime],
    ['node', recorded.versions?.node, engine.versions.node],
    ['device', recorded.device, engine.device],
    ['device name', recorded.deviceName, engine.deviceName],
    ['drawn at once', recorded.together, together],
  ];
  return pairs.map(([name, was, is]) => ({
    name,
    ...(was !== undefined && { recorded: String(was) }),
    here: String(is),
    ...(was !== undefined && { same: was === is }),
  }));
}

async function write(
  path: string,
  { pixels, width, height, seed, modelDigest }: RenderedImage,
  { provenance: { model, prompt, steps } }: RecordedPicture,
  { device, deviceName, graphDigest, versions }: LoadedEngine,
  together: number,
): Promise<void> {
  const provenance: Provenance = {
    software: `temporal-diffusion ${packageVersion()} reproduce`,
    workflowId: '',
    runId: '',
    ...{ model, modelDigest, prompt, width, height, steps, seed, device, deviceName, graphDigest, versions },
    together,
    pixelsSha256: createHash('sha256').update(pixels).digest('hex'),
    tags: {},
  };
  await writeFile(
    path,
    await encodePicture({ data: pixels, width, height }, { format: 'png' }, writeProvenance(provenance)),
  );
}
