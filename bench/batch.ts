/*
 * What bulk costs, with the bundled model on the CPU:
 *
 *   npm run build && node dist/bench/batch.js
 *
 * A Temporal dev server, a worker process as it is deployed, and the client: all on this machine, so they share its
 * cores with the engine. The same prompts four ways, in alternation with the engine alone; then the same number of
 * callers at a time, each with one picture: one job a picture, an automatic batcher with a window, an explicit batch.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { pino } from 'pino';
import { temporalSdkLoader } from '../src/cli/temporal-sdk.js';
import type { CatalogHandle } from '../src/client/catalog-handle.js';
import { DEFAULT_MAX_BATCH } from '../src/contract/batch.js';
import { createEngineHost } from '../src/gpu/host.js';
import { packageRoot } from '../src/package-root.js';
import { publishSection, type Timing, table, timing } from './report.js';
import { startServer } from './server.js';
import { WindowBatcher } from './window-batcher.js';

const { values } = parseArgs({
  options: {
    items: { type: 'string', default: '200' },
    rounds: { type: 'string', default: '1' },
    memory: { type: 'string', default: '2000' },
    callers: { type: 'string', default: '1,5,20' },
  },
});
const items = Number(values.items);
const rounds = Number(values.rounds);
const memoryItems = Number(values.memory);
const callers = values.callers.split(',').filter(Boolean).map(Number);

const log = pino({ level: 'silent' });
const loadSdk = temporalSdkLoader(log, 'ERROR');
const scratch = await mkdtemp(join(tmpdir(), 'tdiff-batch-'));
const storage = join(scratch, 'storage');
await mkdir(storage);
const size = { width: 128, height: 128, steps: 4 };
const requests = Array.from({ length: items }, (_, seed) => ({
  ...size,
  prompt: `a red heart ${seed}`,
  seed,
}));
type Item = (typeof requests)[number];

const server = await startServer(loadSdk);
const { client, diffusion } = server;

let worker: ChildProcess | undefined;

/** Its engine is warm when this resolves. */
async function startWorker(): Promise<void> {
  const main = fileURLToPath(new URL('../src/cli/main.js', import.meta.url));
  worker = spawn(process.execPath, [main, 'worker', '--storage', storage, '--start', 'fresh'], {
    env: { ...process.env, TEMPORAL_ADDRESS: server.address, TEMPORAL_NAMESPACE: server.namespace },
    stdio: 'ignore',
  });
  await (await diffusion.generate({ ...size, prompt: 'warm', seed: 1 })).result();
}

async function stopWorker(): Promise<void> {
  if (!worker) return;
  const ended = once(worker, 'exit');
  worker.kill('SIGTERM');
  await ended;
}

async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work();
  return (performance.now() - begun) / 1000;
}

interface Cost {
  events: number;
  bytes: number;
}

async function historyOf(id: string): Promise<Cost> {
  const { raw } = await client.workflow.getHandle(id).describe();
  const { historyLength, historySizeBytes } = raw.workflowExecutionInfo ?? {};
  return { events: Number(historyLength), bytes: Number(historySizeBytes) };
}

/** In this process's care: nothing is encoded or stored. */
const engine = createEngineHost({
  checkpoint: join(packageRoot(), 'models', 'emoji'),
  model: 'emoji',
  device: 'cpu',
  cacheFolder: join(tmpdir(), 'tdiff-bench-cache'),
  log,
});

/** Draws with the engine alone. @returns items a second */
async function engineRate(batch: number, wanted: readonly Item[]): Promise<number> {
  const all = wanted.map((request, index) => ({ ...request, index }));
  const seconds = await secondsOf(async () => {
    for (let at = 0; at < all.length; at += batch) await engine.render({ items: all.slice(at, at + batch) });
  });
  return all.length / seconds;
}

async function startCatalog(
  name: string,
  rows: readonly object[],
  maxBatch = DEFAULT_MAX_BATCH,
): Promise<CatalogHandle> {
  const path = join(storage, `${name}.jsonl`);
  await writeFile(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  return diffusion.catalog({ catalog: pathToFileURL(path).href, maxBatch });
}

interface Way {
  readonly name: string;
  /**
   * @param best the engine's best batch
   * @returns the ids of the workflows that it took
   */
  run(wanted: readonly Item[], best: number): Promise<string[]>;
}

let catalogs = 0;
const ways: readonly Way[] = [
  {
    name: 'single jobs, all at once',
    async run(wanted) {
      const handles = await Promise.all(wanted.map((request) => diffusion.generate(request)));
      await Promise.all(handles.map((handle) => handle.result()));
      return handles.map(({ id }) => id);
    },
  },
  {
    name: 'generateBatch',
    async run(wanted, maxBatch) {
      const handle = await diffusion.batch({ items: [...wanted], maxBatch });
      await handle.result();
      return [handle.id];
    },
  },
  {
    name: 'renderCatalog',
    async run(wanted, maxBatch) {
      const handle = await startCatalog(`rows-${catalogs++}`, wanted, maxBatch);
      await handle.result();
      return [handle.id];
    },
  },
];

async function compareRates(): Promise<void> {
  const tried = new Map<number, number>();
  for (const batch of [1, 4, 8, 16]) {
    // The first run of a shape allocates.
    await engineRate(batch, requests.slice(0, batch));
    tried.set(batch, await engineRate(batch, requests.slice(0, 32)));
  }
  const [best = 8] = [...tried].sort(([, a], [, b]) => b - a).map(([batch]) => batch);
  const alone: number[] = [];
  const rates = new Map<string, number[]>();
  const ratios = new Map<string, number[]>();
  const costs = new Map<string, Cost>();
  for (let round = 0; round < rounds; round++) {
    for (const { name, run } of ways) {
      // Beside each way anew: what else the machine does concerns both.
      const engineAlone = await engineRate(best, requests);
      alone.push(engineAlone);
      let ids: string[] = [];
      const seconds = await secondsOf(async () => {
        ids = await run(requests, best);
      });
      const rate = items / seconds;
      rates.set(name, [...(rates.get(name) ?? []), rate]);
      ratios.set(name, [...(ratios.get(name) ?? []), rate / engineAlone]);
      for (const { events, bytes } of await Promise.all(ids.map(historyOf))) {
        const sum = costs.get(name) ?? { events: 0, bytes: 0 };
        costs.set(name, { events: sum.events + events, bytes: sum.bytes + bytes });
      }
    }
  }
  const range = ({ median, min, max }: Timing) =>
    `${median.toFixed(2)} (${min.toFixed(2)}–${max.toFixed(2)})`;
  const rows = ways.map(({ name }) => {
    const { events, bytes } = costs.get(name) ?? { events: 0, bytes: 0 };
    return [
      name,
      range(timing(rates.get(name) ?? [])),
      range(timing(ratios.get(name) ?? [])),
      (events / (items * rounds)).toFixed(1),
      Math.round(bytes / (items * rounds)).toString(),
    ];
  });
  const engineTried = [...tried].map(([batch, rate]) => `${batch}: ${rate.toFixed(2)}`).join(', ');
  await publishSection(
    `Bulk: items a second, ${size.width}², ${size.steps} steps`,
    `node dist/bench/batch.js --items ${items} --rounds ${rounds} --memory 0 --callers ''`,
    `${items} prompts, ${rounds === 1 ? 'once' : `${rounds} times`} each way, the engine alone with the same prompts before each of them, batches of the same size; median (least–most). Batches that the engine was tried with, items a second: ${engineTried}. Server, worker, encoding and storing share the engine's cores.\n\n${table(
      ['way', 'items/s', 'to the engine', 'events an item', 'bytes of history an item'],
      [[`engine alone, batches of ${best}`, range(timing(alone)), '1.00', '', ''], ...rows],
    )}`,
  );
}

async function measureMemory(): Promise<void> {
  const rows = Array.from({ length: memoryItems }, (_, seed) => ({
    prompt: `a heart ${seed}`,
    width: 64,
    height: 64,
    steps: 1,
    seed,
  }));
  const handle = await startCatalog('many', rows);
  const over = handle.result().then(() => true);
  const memory: string[] = [];
  for (let mark = 0; mark <= memoryItems; mark += memoryItems / 8) {
    while ((await handle.progress()).done < mark) {
      if (await Promise.race([over, new Promise((resolve) => setTimeout(resolve, 200))])) break;
    }
    memory.push(`${Math.round(mark)}: ${rssMb()}`);
  }
  await over;
  await publishSection(
    'Bulk: memory of the worker',
    `node dist/bench/batch.js --items 0 --memory ${memoryItems} --callers ''`,
    `MB of RSS of the worker process, without its engine, by rows of a catalogue done (64², 1 step): ${memory.join(', ')}.`,
  );
}

try {
  await startWorker();
  if (items > 0) await compareRates();
  const callerRows: string[][] = [];
  for (const many of callers) callerRows.push(...(await compareCallers(many)));
  if (callerRows.length > 0) {
    await publishSection(
      `Bulk: callers at a time, ${size.width}², ${size.steps} steps`,
      `node dist/bench/batch.js --items 0 --memory 0 --callers ${values.callers}`,
      `Each caller asks for one picture after the other. The batcher waits 500 ms for company, in the client; an explicit batch has all callers in it.\n\n${table(['callers', 'way', 'p50 s', 'p95 s', 'items/s'], callerRows)}`,
    );
  }
  if (memoryItems > 0) await measureMemory();
} finally {
  await engine.close();
  await stopWorker();
  await server.close();
  await rm(scratch, { recursive: true, force: true });
}

function rssMb(): number {
  const status = readFileSync(`/proc/${worker?.pid}/status`, 'utf8');
  return Math.round(Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) / 1024);
}

/** Enough for a p95 that is not the worst of a few, in a time that can be waited for. */
async function compareCallers(many: number): Promise<string[][]> {
  const rounds = Math.max(2, Math.ceil(20 / many));
  let seed = 1_000_000 * many;
  const next = () => ({ ...size, prompt: 'a slice of pizza', seed: seed++ });
  const batcher = new WindowBatcher(diffusion, 500);
  const ways: [string, () => Promise<number[]>][] = [
    [
      'a job a picture',
      () => concurrently(many, rounds, async () => (await diffusion.generate(next())).result()),
    ],
    ['batcher, 500 ms', () => concurrently(many, rounds, () => batcher.generate(next()))],
    [
      'explicit batch',
      async () => {
        const latencies: number[] = [];
        for (let round = 0; round < rounds; round++) {
          const begun = performance.now();
          const handle = await diffusion.batch({ items: Array.from({ length: many }, next) });
          for await (const _ of handle.items()) latencies.push((performance.now() - begun) / 1000);
        }
        return latencies;
      },
    ],
  ];
  const rows: string[][] = [];
  for (const [name, work] of ways) {
    let latencies: number[] = [];
    const seconds = await secondsOf(async () => {
      latencies = (await work()).sort((a, b) => a - b);
    });
    const at = (share: number) =>
      (latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0).toFixed(2);
    rows.push([String(many), name, at(0.5), at(0.95), (latencies.length / seconds).toFixed(2)]);
  }
  return rows;
}

async function concurrently(many: number, rounds: number, work: () => Promise<unknown>): Promise<number[]> {
  const latencies: number[] = [];
  await Promise.all(
    Array.from({ length: many }, async () => {
      for (let round = 0; round < rounds; round++) latencies.push(await secondsOf(work));
    }),
  );
  return latencies;
}
