import { readFile } from 'node:fs/promises';
import { basename, relative } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { BatchHandle } from '../client/batch-handle.js';
import { type BatchItemResult, BatchRequest, type BatchResult } from '../contract/batch.js';
import { InvalidRequest } from '../contract/errors.js';
import { parse } from '../contract/parse.js';
import type { BlobStore } from '../storage/blob-store.js';
import { openStoreOf } from '../storage/open-store.js';
import { unlessAborted } from '../unless-aborted.js';
import { numberOf, parseArguments } from './arguments.js';
import { deployForBulk } from './bulk-deployment.js';
import { JobFailed } from './failure-report.js';
import { onInterrupt } from './interrupt.js';
import { createProgressBar, duration, type ProgressBar } from './progress-bar.js';
import { UsageError } from './usage-error.js';

export const BATCH_HELP = `temporal-diffusion batch FILE.jsonl [options]

Draws up to 1,000 requests, one JSON object a line ("-" reads them from the standard input), and tells each as it is
done. Ends with 0 where all are, with 3 where some failed.

  --max-batch N      1 to 64 pictures that are drawn at once (default: 8)
  --key KEY          two batches with one key are one job
  --tenant NAME      who it is for: tenants share the GPUs (default: default)
  --out DIR          where the pictures go (default: out; with a server of yours: where its workers keep them)
  --json             events as JSON lines on stdout, and nothing else there
  --verbose          log what happens, with stack traces, to stderr

A line: {"prompt": "a slice of pizza", "seed": 7, "width": 256, "height": 256}. See docs/batches.md.
With TEMPORAL_ADDRESS, or a profile of Temporal's configuration, the job goes to that server and the workers there;
otherwise the command starts both for as long as it runs. Ctrl-C cancels the job, a second one ends at once.
`;

/** Some items failed, others are there. */
const PARTIAL = 3;

/** How long a cancelled job gets to come to rest before the command ends without it. */
const CANCEL_WITHIN_MS = 10_000;

/** `temporal-diffusion batch`: many pictures from one file. */
export async function batch(argv: readonly string[]): Promise<void> {
  const names = ['max-batch', 'key', 'tenant', 'out'] as const;
  const { texts, flags, positionals } = parseArguments(argv, names, ['json', 'verbose']);
  const [file, ...rest] = positionals;
  if (file === undefined || rest.length > 0) {
    throw new UsageError(`expected one file of requests, got ${positionals.length}`);
  }
  const request = parse(BatchRequest, {
    items: await readItems(file),
    maxBatch: numberOf(texts['max-batch']),
    idempotencyKey: texts.key,
    tenant: texts.tenant,
  });
  const bar = createProgressBar(process.stderr);
  const interruption = onInterrupt();
  const { signal } = interruption;
  const { deployment, copyTo } = await deployForBulk({
    model: onlyModel(request),
    out: texts.out,
    catalogs: [],
    verbose: flags.has('verbose'),
    notify: bar.note,
    signal,
  });
  try {
    const [{ Client }, { DiffusionClient }] = await Promise.all([
      import('@temporalio/client'),
      import('../client/diffusion-client.js'),
    ]);
    const handle = await new DiffusionClient(new Client(deployment)).batch(request);
    const report = flags.has('json') ? jsonReport(handle) : lineReport(bar);
    try {
      const result = await Promise.race([
        unlessAborted(follow(handle, bar, report, copyTo), signal),
        deployment.failed,
      ]);
      bar.end();
      report.end(result);
      if (result.partial) process.exitCode = PARTIAL;
    } catch (error) {
      bar.end();
      if (signal.aborted) await cancel(handle, bar);
      throw new JobFailed({ workflowId: handle.id, runId: handle.runId }, error);
    }
  } finally {
    bar.end();
    await deployment.close();
    interruption.dispose();
  }
}

async function follow(
  handle: BatchHandle,
  bar: ProgressBar,
  report: Report,
  copyTo: BlobStore | undefined,
): Promise<BatchResult> {
  const begun = performance.now();
  let [done, failed] = [0, 0];
  const show = (): void => {
    const rate = ((done + failed) * 1000) / (performance.now() - begun);
    const left = rate > 0 ? (handle.size - done - failed) / rate : undefined;
    bar.show({
      total: handle.size,
      isGuess: false,
      done,
      failed,
      unchanged: 0,
      rate,
      secondsLeft: left,
    });
  };
  show();
  for await (const item of handle.items()) {
    if (item.status === 'done') done++;
    else failed++;
    report.item(copyTo ? await copied(item, copyTo) : item);
    show();
  }
  return handle.result();
}

async function copied(item: BatchItemResult, store: BlobStore): Promise<BatchItemResult> {
  if (item.status === 'failed') return item;
  const images = await Promise.all(
    item.images.map(async (image) => {
      const name = decodeURIComponent(basename(new URL(image.url).pathname));
      const bytes = await openStoreOf(image.url).get(image.url);
      return { ...image, url: await store.put(name, bytes, { contentType: 'application/octet-stream' }) };
    }),
  );
  return { ...item, images };
}

interface Report {
  item(item: BatchItemResult): void;
  end(result: BatchResult): void;
}

function lineReport(bar: ProgressBar): Report {
  const begun = performance.now();
  return {
    item(item) {
      bar.end();
      const lines =
        item.status === 'done'
          ? item.images.map(({ url, seed }) => `${item.index + 1}: ${placeOf(url)} · seed ${seed}`)
          : [`${item.index + 1}: failed: ${item.error.message.replaceAll('\n', ' ')}`];
      process.stdout.write(`${lines.join('\n')}\n`);
    },
    end({ items, gpuMs, workflowId }) {
      const failed = items.filter(({ status }) => status === 'failed').length;
      const seconds = (performance.now() - begun) / 1000;
      process.stdout.write(
        `${items.length - failed} done, ${failed} failed in ${duration(seconds)}, GPU ${duration(gpuMs / 1000)}\nworkflow ${workflowId}\n`,
      );
    },
  };
}

function jsonReport({ id, runId }: BatchHandle): Report {
  const write = (event: object) => process.stdout.write(`${JSON.stringify(event)}\n`);
  write({ event: 'started', workflowId: id, runId });
  return {
    item: (item) => write({ event: 'item', ...item }),
    end: ({ items, ...result }) =>
      write({
        event: 'ended',
        ...result,
        failed: items.filter(({ status }) => status === 'failed').length,
      }),
  };
}

/** A path where it is a file, and relative where it lies below the folder that the user is in. */
export function placeOf(url: string): string {
  if (!url.startsWith('file:')) return url;
  const path = fileURLToPath(url);
  const short = relative(process.cwd(), path);
  return short.startsWith('..') ? path : short;
}

async function cancel(handle: BatchHandle, bar: ProgressBar): Promise<void> {
  bar.note('cancelling the batch; Ctrl-C again ends at once');
  const ended = handle
    .cancel()
    .then(() => handle.result())
    .catch(() => {});
  await Promise.race([ended, sleep(CANCEL_WITHIN_MS, undefined, { ref: false })]);
}

/** @throws UsageError, InvalidRequest that names the line */
async function readItems(file: string): Promise<unknown[]> {
  const lines = (await readText(file)).split('\n');
  return lines.flatMap((line, place) => {
    if (line.trim() === '') return [];
    try {
      return [JSON.parse(line) as unknown];
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new InvalidRequest(
        `✖ expected a JSON object a line, got what is no JSON: ${reason}\n  → at line ${place + 1}`,
        {
          cause: error,
        },
      );
    }
  });
}

async function readText(file: string): Promise<string> {
  if (file === '-') return text(process.stdin);
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new UsageError(`can't read ${file}: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    });
  }
}

/** An embedded worker has one. With a server, the workers there have what they have. */
function onlyModel({ items }: BatchRequest): string {
  return items[0]?.model ?? 'emoji';
}
