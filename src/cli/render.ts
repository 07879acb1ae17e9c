import type { GenerateResult } from '../contract/job.js';
import type { GenerateRequest } from '../contract/request.js';
import { createFolderStore } from '../storage/folder-store.js';
import { unlessAborted } from '../unless-aborted.js';
import { bundledModel } from './bundled-model.js';
import { cacheFolder } from './cache-folder.js';
import { configuredServer } from './configured-server.js';
import type { Deployment } from './deployment.js';
import { followJob } from './follow-job.js';
import { onInterrupt } from './interrupt.js';
import { createLog } from './log.js';
import { createProgress, type Progress } from './progress.js';
import { parseRenderArguments, type RenderArguments } from './render-arguments.js';
import { describeResult, resultDocument } from './render-report.js';
import { temporalSdkLoader } from './temporal-sdk.js';
import type { Timings } from './timings.js';
import { startTracing, traced } from './tracing.js';

/** `temporal-diffusion render`: a picture from one command. */
export async function render(argv: readonly string[]): Promise<void> {
  const args = parseRenderArguments(argv);
  const progress = createProgress(process.stderr, args.request.count);
  const interruption = onInterrupt();
  try {
    const { result, timings } = await draw(args, progress, interruption.signal);
    progress.end();
    process.stdout.write(
      args.json
        ? `${JSON.stringify(resultDocument(result, timings), null, 2)}\n`
        : describeResult(result, timings, process.cwd()),
    );
  } finally {
    progress.end();
    interruption.dispose();
  }
}

interface Drawn {
  readonly result: GenerateResult;
  readonly timings: Timings;
}

async function draw(args: RenderArguments, progress: Progress, signal: AbortSignal): Promise<Drawn> {
  const { deployment, collect } = await deploy(args, progress, signal);
  try {
    const begun = performance.now();
    const result = await followJob(args.request, deployment, progress, signal);
    const jobMs = performance.now() - begun;
    const collected = await collect(result);
    const { serverMs } = deployment;
    const engineMs = deployment.engineMs();
    const totalMs = performance.now();
    return { result: collected, timings: { serverMs, engineMs, jobMs, totalMs } };
  } finally {
    await deployment.close();
  }
}

interface Deployed {
  readonly deployment: Deployment;
  /** Brings the pictures to where the user wants them, if they are not there yet. */
  collect(result: GenerateResult): Promise<GenerateResult>;
}

/** The server that Temporal's configuration names, with the workers there; else both, for as long as this command runs. */
async function deploy(
  { request, out, verbose }: RenderArguments,
  progress: Progress,
  signal: AbortSignal,
): Promise<Deployed> {
  const tracing = await startTracing();
  const log = createLog(verbose ? 'debug' : 'warn', tracing?.logFields);
  const loadSdk = temporalSdkLoader(log, verbose ? 'INFO' : 'ERROR');
  const store = createFolderStore(out ?? 'out');
  // In either case first of all: a folder that can't be written must not cost a picture.
  const server = configuredServer();
  if (server) {
    if (out !== undefined) await store.check(roomFor(request));
    const { connectTo } = await import('./remote-deployment.js');
    const { collectPictures } = await import('./collect-pictures.js');
    return {
      deployment: traced(await unlessAborted(connectTo(server, loadSdk), signal), tracing),
      collect: async (result) => (out === undefined ? result : collectPictures(result, store)),
    };
  }
  const { model } = request;
  const checkpoint = bundledModel(model);
  await store.check(roomFor(request));
  const { startEmbeddedDeployment } = await import('./embedded-deployment.js');
  const deployment = await startEmbeddedDeployment({
    model,
    checkpoint,
    store,
    cacheFolder: cacheFolder(),
    path: process.env.PATH ?? '',
    loadSdk,
    notify: progress.note,
    signal,
    ...(tracing && { tracing }),
    log,
  });
  return { deployment: traced(deployment, tracing), collect: async (result) => result };
}

/** A side that is left to the model, for want of its card: generous. */
const ANY_SIDE = 512;

/**
 * Bytes that a request's pictures take at most: those of their pixels. A job whose disk is full waits for space, as a
 * fleet's should; whoever waits at a terminal hears of it before anything is drawn.
 */
function roomFor({ width = ANY_SIDE, height = ANY_SIDE, count }: GenerateRequest): number {
  return width * height * 3 * count;
}
