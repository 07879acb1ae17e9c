import { setTimeout as sleep } from 'node:timers/promises';
import type { CatalogHandle } from '../client/catalog-handle.js';
import type { CatalogProgress, CatalogSummary } from '../contract/catalog.js';
import { unlessAborted } from '../unless-aborted.js';
import { numberOf, parseArguments } from './arguments.js';
import { placeOf } from './batch.js';
import { deployForBulk } from './bulk-deployment.js';
import { CATALOG_NAMES, CATALOG_OPTIONS, parseCatalogRequest } from './catalog-arguments.js';
import { JobFailed } from './failure-report.js';
import { onInterrupt } from './interrupt.js';
import { type BulkProgress, createProgressBar, duration, type ProgressBar } from './progress-bar.js';
import { UsageError } from './usage-error.js';

export const CATALOG_HELP = `temporal-diffusion catalog FILE|URL [options]

Draws every row of a JSONL or CSV file that has no picture yet, or has changed. What becomes of the rows lies beside
it: FILE.results/, FILE.summary.json, FILE.sheet.webp. Ends with 0 where all are done, with 3 where some failed.

${CATALOG_OPTIONS}
  --dry-run          only says what would be drawn, and about how long that takes
  --detach           starts it on your server and ends
  --pause, --resume  lets one that runs begin nothing new, or go on
  --set-concurrency N
                     gives one that runs another number of batches
  --out DIR          where the pictures of an embedded worker go (default: out)
  --json             events as JSON lines on stdout, and nothing else there
  --verbose          log what happens, with stack traces, to stderr

With TEMPORAL_ADDRESS, or a profile of Temporal's configuration, the job goes to that server and the workers there,
which must be allowed to read and write the catalogue (worker --catalogs); otherwise the command starts both for as
long as it runs. Ctrl-C cancels the job and keeps what is drawn, a second one ends at once.
`;

/** Some rows failed, others are there. */
const PARTIAL = 3;
const POLL_MS = 500;
const CANCEL_WITHIN_MS = 10_000;

/** `temporal-diffusion catalog`: a picture a row. */
export async function catalog(argv: readonly string[]): Promise<void> {
  const names = [...CATALOG_NAMES, 'set-concurrency', 'out'] as const;
  const { texts, flags, positionals } = parseArguments(argv, names, [
    'dry-run',
    'detach',
    'pause',
    'resume',
    'json',
    'verbose',
  ]);
  const [place, ...rest] = positionals;
  if (place === undefined || rest.length > 0) {
    throw new UsageError(`expected one catalogue, got ${positionals.length}`);
  }
  const request = parseCatalogRequest(place, texts, flags.has('dry-run'));
  const bar = createProgressBar(process.stderr);
  const interruption = onInterrupt();
  const { signal } = interruption;
  const { deployment } = await deployForBulk({
    model: request.defaults.model ?? 'emoji',
    out: texts.out,
    catalogs: [request.catalog.replace(/[^/]*$/, '')],
    verbose: flags.has('verbose'),
    notify: bar.note,
    signal,
  });
  try {
    const [{ Client }, { DiffusionClient }, { catalogJobId }] = await Promise.all([
      import('@temporalio/client'),
      import('../client/diffusion-client.js'),
      import('../client/start-catalog.js'),
    ]);
    const diffusion = new DiffusionClient(new Client(deployment));
    const steering = steer(diffusion.catalogJob(catalogJobId(request)), flags, texts['set-concurrency']);
    if (steering) {
      process.stdout.write(`${JSON.stringify(await steering)}\n`);
      return;
    }
    const handle = await diffusion.catalog(request);
    if (flags.has('json'))
      process.stdout.write(`${JSON.stringify({ event: 'started', workflowId: handle.id })}\n`);
    if (flags.has('detach')) {
      if (!flags.has('json')) process.stdout.write(`workflow ${handle.id}\n`);
      return;
    }
    await follow(handle, bar, { isJson: flags.has('json'), signal, failed: deployment.failed });
  } finally {
    bar.end();
    await deployment.close();
    interruption.dispose();
  }
}

/** @returns undefined where nothing of the kind was asked for */
function steer(
  handle: CatalogHandle,
  flags: ReadonlySet<string>,
  concurrency: string | undefined,
): Promise<CatalogProgress> | undefined {
  if (flags.has('pause')) return handle.pause();
  if (flags.has('resume')) return handle.resume();
  return concurrency === undefined ? undefined : handle.setConcurrency(Number(numberOf(concurrency)));
}

interface FollowOptions {
  readonly isJson: boolean;
  readonly signal: AbortSignal;
  readonly failed: Promise<never>;
}

async function follow(
  handle: CatalogHandle,
  bar: ProgressBar,
  { isJson, signal, failed }: FollowOptions,
): Promise<void> {
  const over = new AbortController();
  void showProgress(handle, bar, isJson, over.signal);
  try {
    const summary = await Promise.race([unlessAborted(handle.result(), signal), failed]);
    over.abort();
    // The last answer was from before the last rows.
    if (summary.status === 'done') bar.show(atEnd(summary));
    bar.end();
    process.stdout.write(isJson ? `${JSON.stringify({ event: 'ended', ...summary })}\n` : describe(summary));
    if (summary.failed > 0) process.exitCode = PARTIAL;
  } catch (error) {
    over.abort();
    bar.end();
    if (signal.aborted) {
      bar.note('cancelling; what is drawn is kept; Ctrl-C again ends at once');
      const ended = handle
        .cancel()
        .then(() => handle.result())
        .catch(() => {});
      await Promise.race([ended, sleep(CANCEL_WITHIN_MS, undefined, { ref: false })]);
    }
    throw new JobFailed({ workflowId: handle.id, runId: '' }, error);
  }
}

/** Never rejects: what it ended with is told by its result. */
async function showProgress(
  handle: CatalogHandle,
  bar: ProgressBar,
  isJson: boolean,
  over: AbortSignal,
): Promise<void> {
  let last = '';
  while (!over.aborted) {
    try {
      const progress = await handle.progress();
      if (over.aborted) return;
      bar.show({
        total: progress.rows,
        isGuess: progress.isGuess,
        done: progress.done,
        failed: progress.failed,
        unchanged: progress.unchanged,
        rate: progress.rowsPerSecond,
        secondsLeft: progress.secondsLeft,
        ...(progress.state === 'paused' && { state: 'paused' }),
      });
      const event = JSON.stringify({ event: 'progress', ...progress });
      if (isJson && event !== last) process.stdout.write(`${event}\n`);
      last = event;
      await sleep(POLL_MS, undefined, { signal: over });
    } catch {
      // It is over, or between two runs of its chain, or its server is away for a moment.
      await sleep(POLL_MS);
    }
  }
}

function atEnd({ rows, done, failed, unchanged, moved, rowsPerSecond }: CatalogSummary): BulkProgress {
  return {
    total: rows,
    isGuess: false,
    done,
    failed,
    unchanged: unchanged + moved,
    rate: rowsPerSecond,
    secondsLeft: undefined,
  };
}

function describe(summary: CatalogSummary): string {
  const { status, rows, done, failed, unchanged, moved, seconds, gpuSeconds, estimatedSeconds } = summary;
  const there = `${unchanged + moved} there already`;
  if (status === 'dry-run') {
    const time =
      estimatedSeconds === undefined
        ? 'how long it takes is not known before the first run'
        : `about ${duration(estimatedSeconds)}`;
    const images = summary.costs.map(
      ({ images, width, height, steps, model }) =>
        `  ${images} of ${width}×${height}, ${steps} steps of ${model}\n`,
    );
    return `${rows} rows: ${done} to draw, ${there}, ${failed} refused\n${images.join('')}${time}\n`;
  }
  const lines = [
    `${rows} rows: ${done} drawn, ${there}, ${failed} failed`,
    `${duration(seconds)}, GPU ${duration(gpuSeconds)}`,
    summary.sheet && placeOf(summary.sheet),
    `workflow ${summary.workflowId}`,
  ];
  return `${lines.filter(Boolean).join('\n')}\n`;
}
