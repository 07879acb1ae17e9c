import { writeFile } from 'node:fs/promises';
import { loadDataConverter } from '@temporalio/common/lib/internal-non-workflow/index.js';
import { RenderError } from '../contract/errors.js';
import { parse } from '../contract/parse.js';
import type { ReproducedPicture, Reproduction } from '../contract/reproduction.js';
import { checkpointDigest } from '../gpu/checkpoint/digest.js';
import { DeviceName } from '../gpu/engine/device-name.js';
import { createEngineHost, type EngineHost } from '../gpu/host.js';
import { unlessAborted } from '../unless-aborted.js';
import { numberOf, parseArguments } from './arguments.js';
import { bundledModel } from './bundled-model.js';
import { cacheFolder } from './cache-folder.js';
import { configuredOrLocalServer } from './configured-server.js';
import { drawAgain } from './drawn-again.js';
import { readHistory } from './history-file.js';
import { onInterrupt } from './interrupt.js';
import { fetchJob } from './job-histories.js';
import { createLog } from './log.js';
import { CannotReproduce, pictureOfFile, picturesOfJob, type RecordedPicture } from './recorded-picture.js';
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
    const reproduction = await drawAll(pictures, {
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

async function drawAll(pictures: readonly RecordedPicture[], options: DrawingOptions): Promise<Reproduction> {
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
    await unlessAborted(start(host, recordedDevice), interruption.signal);
    const reproduced: ReproducedPicture[] = [];
    for (const picture of pictures) {
      const { isAlone, out } = options;
      const { result, toPng } = await drawAgain(host, picture, { isAlone, signal: interruption.signal });
      if (out !== undefined) await writeFile(out, await toPng());
      reproduced.push(result);
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

async function start(host: EngineHost, recordedDevice: string): Promise<void> {
  try {
    await host.ready();
  } catch (error) {
    if (!(error instanceof RenderError)) throw error;
    throw new CannotReproduce(
      `no engine could be started: ${error.message}. It was drawn on ${recordedDevice}: choose another device by --device`,
      { cause: error },
    );
  }
}
