/*
 * What the durability costs, with the bundled model on the CPU:
 *
 *   npm run build && node dist/bench/overhead.js
 *
 * A Temporal dev server, a worker process as it is deployed, and the client: all on this machine. The engine's own
 * log tells when it worked; what is compared is done in alternation.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { pino } from 'pino';
import { encodePicture } from '../src/activities/encode.js';
import { cacheFolder } from '../src/cli/cache-folder.js';
import { temporalSdkLoader } from '../src/cli/temporal-sdk.js';
import type { JobHandle } from '../src/client/job-handle.js';
import type { PublishedImage, RenderItem } from '../src/contract/job.js';
import { createEngineHost, type EngineHost } from '../src/gpu/host.js';
import { packageRoot } from '../src/package-root.js';
import { createFolderStore } from '../src/storage/folder-store.js';
import { createGpuWorker } from '../src/worker/gpu-worker.js';
import { publishSection, table, timing } from './report.js';
import { startServer } from './server.js';

const { values } = parseArgs({
  options: {
    backlog: { type: 'string', default: '100' },
    pairs: { type: 'string', default: '40' },
    runs: { type: 'string', default: '10' },
  },
});
const [backlog, pairs, runs] = [values.backlog, values.pairs, values.runs].map(Number) as [
  number,
  number,
  number,
];
const checkpoint = join(packageRoot(), 'models', 'emoji');
const log = pino({ level: 'silent' });
const loadSdk = temporalSdkLoader(log, 'ERROR');
const scratch = await mkdtemp(join(tmpdir(), 'tdiff-overhead-'));
const request = { prompt: 'a slice of pizza', width: 256, height: 256, steps: 4 };

const ms = (value: number) => value.toFixed(1);
const percent = (share: number) => `${(share * 100).toFixed(1)} %`;

function p95(sample: readonly number[]): number {
  const sorted = [...sample].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * 0.95))] as number;
}

function row(name: string, sample: readonly number[], more = ''): string[] {
  const { median, min, max, runs } = timing(sample);
  return [name, ms(median), ms(p95(sample)), ms(min), ms(max), String(runs), more];
}

const server = await startServer(loadSdk);
const { client, diffusion } = server;

/** One render, as the engine's own log has it: milliseconds since 1970. */
interface Rendered {
  readonly begun: number;
  readonly ended: number;
}

/** A worker process, and what its engine said. */
async function startWorkerProcess() {
  const child: ChildProcess = spawn(
    process.execPath,
    [join(packageRoot(), 'dist/src/cli/main.js'), 'worker', '--storage', join(scratch, 'storage')],
    {
      env: { ...process.env, TEMPORAL_ADDRESS: server.address, TEMPORAL_NAMESPACE: server.namespace },
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  const renders: Rendered[] = [];
  if (!child.stderr) throw new Error('expected a pipe for stderr');
  createInterface(child.stderr).on('line', (line) => {
    if (!line.includes('"rendered"')) return;
    const { time, ms } = JSON.parse(line) as { time: number; ms: number };
    renders.push({ begun: time - ms, ended: time });
  });
  return {
    renders,
    async stop() {
      child.kill('SIGTERM');
      await once(child, 'close');
    },
  };
}

async function milliseconds(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

const draw = async (seed: number) => (await diffusion.generate({ ...request, seed })).result();
const item = (seed: number): RenderItem => ({ index: 0, seed, ...request });

function engine(): EngineHost {
  return createEngineHost({ checkpoint, model: 'emoji', device: 'cpu', cacheFolder: cacheFolder(), log });
}

/** What a job does, without what makes it durable: draw, encode, store, read back. */
async function direct(host: EngineHost, seed: number): Promise<{ engineMs: number; totalMs: number }> {
  const store = createFolderStore(join(scratch, 'direct'));
  const began = performance.now();
  const [image] = await host.render({ items: [item(seed)] });
  if (!image) throw new Error('expected an image, got none');
  const engineMs = performance.now() - began;
  const { pixels: data, width, height } = image;
  const file = await encodePicture({ data, width, height }, { format: 'png' }, '<x/>');
  const sha256 = createHash('sha256').update(file).digest('hex');
  const key = `blobs/${sha256}.png`;
  await store.put(key, file, { contentType: 'image/png' });
  await store.alias(key, `${seed}.png`, { contentType: 'image/png' });
  await store.get(key);
  return { engineMs, totalMs: performance.now() - began };
}

/** What a job's own result says of the work in it. */
function ownWork(image: PublishedImage | undefined): number {
  if (!image) throw new Error('expected an image, got none');
  const { textMs, denoiseMs, decodeMs, encodeMs, storeMs } = image.stages;
  return textMs + denoiseMs + decodeMs + encodeMs + storeMs;
}

async function historyOf({ id }: JobHandle): Promise<number> {
  return (await client.workflow.getHandle(id).fetchHistory()).events?.length ?? 0;
}

const rows: string[][] = [];
/** What else the machine does: above about 0.5, take the figures as upper bounds. */
const [load = 0] = loadavg();
const worker = await startWorkerProcess();
await draw(0);

// GPU-slot idle time under a backlog.
const before = worker.renders.length;
await Promise.all(
  Array.from({ length: backlog }, (_, seed) =>
    diffusion.generate({ ...request, seed }).then((job) => job.result()),
  ),
);
const renders = worker.renders.slice(before).sort((a, b) => a.begun - b.begun);
const idle = renders.slice(1).map(({ begun }, place) => begun - (renders[place] as Rendered).ended);
const busy = renders.map(({ begun, ended }) => ended - begun);
const share = timing(idle).median / timing(busy).median;
rows.push(row('render, under a backlog', busy));
rows.push(row('GPU slot idle between two jobs', idle, `${percent(share)} of a render (goal: 5 %)`));

// What Temporal adds to one job.
const host = engine();
await host.ready();
await direct(host, 0);
const samples = {
  job: [] as number[],
  engine: [] as number[],
  direct: [] as number[],
  between: [] as number[],
};
for (let pair = 0; pair < pairs; pair++) {
  const began = performance.now();
  const { images } = await draw(1000 + pair);
  const jobMs = performance.now() - began;
  samples.job.push(jobMs);
  samples.between.push(jobMs - ownWork(images[0]));
  const { engineMs, totalMs } = await direct(host, 1000 + pair);
  samples.engine.push(engineMs);
  samples.direct.push(totalMs);
}
const added = samples.job.map((job, pair) => job - (samples.direct[pair] as number));
rows.push(row('job, start to result', samples.job));
rows.push(row('engine driven directly', samples.engine));
rows.push(row('engine, encode, store, directly', samples.direct));
rows.push(row('added by Temporal', added, 'goal: 80'));
rows.push(row('job, less its own drawing, encoding and storing', samples.between));

// History.
const events: string[] = [];
for (const steps of [4, 20]) {
  const job = await diffusion.generate({ ...request, steps, preview: true });
  await job.result();
  events.push(`${await historyOf(job)} with ${steps} steps`);
}
await worker.stop();

// Cancel, and crash: seen from the host's side, in this process.
let idleAgain = (): void => {};
const observed: EngineHost = {
  get state() {
    return host.state;
  },
  starts: host.starts,
  ready: () => host.ready(),
  stats: () => host.stats(),
  release: () => host.release(),
  resume: () => host.resume(),
  render: (options) => host.render(options).finally(() => idleAgain()),
  close: async () => {},
  [Symbol.asyncDispose]: async () => {},
};
const own = await createGpuWorker({
  model: 'emoji',
  checkpoint,
  store: createFolderStore(join(scratch, 'storage')),
  cacheFolder: cacheFolder(),
  host: observed,
  log,
});
const working = own.run(server.connection, server.namespace);
const cancels: number[] = [];
for (let run = 0; run < runs; run++) {
  const job = await diffusion.generate({ ...request, steps: 100 });
  for await (const { step } of job.updates()) if (step > 2) break;
  // Not in step with the heartbeats.
  await sleep(Math.random() * 300);
  const engineIdle = new Promise<void>((resolve) => {
    idleAgain = resolve;
  });
  cancels.push(
    await milliseconds(async () => {
      await job.cancel();
      await engineIdle;
    }),
  );
  await job.result().catch(() => {});
}
rows.push(row('cancel to engine idle', cancels));
await own.stop();
await working;

const crashes: number[] = [];
for (let run = 0; run < runs; run++) {
  const { pid } = await host.ready();
  crashes.push(
    await milliseconds(async () => {
      process.kill(pid, 'SIGKILL');
      while ((await host.ready().catch(() => ({ pid }))).pid === pid) await sleep(1);
    }),
  );
  // A finished render ends the row of failures, and with it the pauses between starts.
  await host.render({ items: [{ ...item(run), width: 64, height: 64, steps: 1 }] });
}
rows.push(row('crash to serving again', crashes));
await host.close();
await server.close();
await rm(scratch, { recursive: true, force: true });

await publishSection(
  'What durability costs',
  `node dist/bench/overhead.js --backlog ${backlog} --pairs ${pairs} --runs ${runs}`,
  `${table(['milliseconds', 'median', 'p95', 'min', 'max', 'n', ''], rows)}\n\n${request.width}², ${request.steps} steps, emoji on the CPU. Temporal's dev server, one worker process and the client share the machine's cores with the engine. The render and its pauses are told by the engine's own log, to a millisecond. The machine's load before it began was ${load.toFixed(1)}. A single-image job costs, progress and previews on, ${events.join(' and ')} events of history.`,
);
