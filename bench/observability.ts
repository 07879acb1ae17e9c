/*
 * What metrics and traces cost a job, with the bundled model on the CPU:
 *
 *   npm run build && node dist/bench/observability.js [--rounds 60]
 *
 * Three workers as they are deployed, each with a Temporal dev server of its own, of which one works at a time: one that
 * tells nothing, one whose metrics are asked for every five seconds, and one that sends traces as well, of jobs that their
 * caller traces. A round is one job of each, the first of them another one each time.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { Client } from '@temporalio/client';
import { pino } from 'pino';
import { freePort } from '../src/cli/embedded-server.js';
import { temporalSdkLoader } from '../src/cli/temporal-sdk.js';
import { startTracerProvider } from '../src/cli/tracer-provider.js';
import { DiffusionClient } from '../src/client/diffusion-client.js';
import { packageRoot } from '../src/package-root.js';
import { publishSection, table, timing } from './report.js';
import { startServer } from './server.js';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '60' } } });
const rounds = Number(values.rounds);
const request = { prompt: 'a slice of pizza', width: 256, height: 256, steps: 4 };
const scratch = await mkdtemp(join(tmpdir(), 'tdiff-observability-'));
const loadSdk = temporalSdkLoader(pino({ level: 'silent' }), 'ERROR');
const SCRAPE_EVERY_MS = 5000;

let sent = 0;
const collector = createServer((incoming, response) => {
  incoming.on('data', (part: Buffer) => {
    sent += part.length;
  });
  incoming.on('end', () => response.writeHead(200, { 'content-type': 'application/json' }).end('{}'));
});
collector.listen(0, '127.0.0.1');
await once(collector, 'listening');
const address = collector.address();
if (address === null || typeof address === 'string') throw new Error('expected a TCP address');
process.env.OTEL_EXPORTER_OTLP_ENDPOINT = `http://127.0.0.1:${address.port}`;
const tracing = startTracerProvider();

interface Contestant {
  readonly name: string;
  /** Milliseconds from start to result, and those that the engine drew, as its own log has it. */
  readonly jobs: number[];
  readonly renders: number[];
  /** Milliseconds of CPU so far: of the worker's process, without and with its engine's. */
  cpu(): Promise<{ worker: number; all: number }>;
  draw(seed: number): Promise<void>;
  stop(): Promise<void>;
}

/** How many milliseconds a tick of Linux's process times is. */
const TICK_MS = 10;

async function cpuOf(pid: number | undefined): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const [user = 0, system = 0] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13)
    .map(Number);
  return (user + system) * TICK_MS;
}

async function start(name: string, tells: { metrics: boolean; traces: boolean }): Promise<Contestant> {
  const server = await startServer(loadSdk);
  const port = tells.metrics ? await freePort() : undefined;
  const options = port === undefined ? [] : ['--health-port', `${port}`];
  const { OTEL_EXPORTER_OTLP_ENDPOINT = '', ...environment } = process.env;
  const child = spawn(
    process.execPath,
    [
      join(packageRoot(), 'dist/src/cli/main.js'),
      ...['worker', '--storage', join(scratch, name), '--start', 'fresh', ...options],
    ],
    {
      env: {
        ...environment,
        ...(tells.traces && { OTEL_EXPORTER_OTLP_ENDPOINT }),
        TEMPORAL_ADDRESS: server.address,
        TEMPORAL_NAMESPACE: server.namespace,
      },
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  const renders: number[] = [];
  let engine: number | undefined;
  if (!child.stderr) throw new Error('expected a pipe for stderr');
  createInterface(child.stderr).on('line', (line) => {
    if (!line.includes('"rendered"')) return;
    const said = JSON.parse(line) as { ms: number; engine: number };
    engine = said.engine;
    renders.push(said.ms);
  });
  const scraping = setInterval(() => {
    if (port !== undefined) {
      fetch(`http://127.0.0.1:${port}/metrics`).then(
        (page) => page.text(),
        () => {},
      );
    }
  }, SCRAPE_EVERY_MS);
  const { connection, namespace } = server;
  const client = new Client({
    connection,
    namespace,
    ...(tells.traces && { interceptors: tracing.interceptors }),
  });
  const diffusion = new DiffusionClient(client);
  const jobs: number[] = [];
  return {
    name,
    jobs,
    renders,
    async cpu() {
      const worker = await cpuOf(child.pid);
      return { worker, all: worker + (await cpuOf(engine)) };
    },
    async draw(seed) {
      const began = performance.now();
      await (await diffusion.generate({ ...request, seed })).result();
      jobs.push(performance.now() - began);
    },
    async stop() {
      clearInterval(scraping);
      child.kill('SIGTERM');
      await once(child, 'close');
      await server.close();
    },
  };
}

const [load = 0] = loadavg();
const plain = await start('nothing', { metrics: false, traces: false });
const measured = await start('metrics', { metrics: true, traces: false });
const traced = await start('metrics and traces', { metrics: true, traces: true });
const all = [plain, measured, traced];
// What is compiled and cached once is no cost of a job.
for (let warmUp = 0; warmUp < 3; warmUp++) for (const contestant of all) await contestant.draw(warmUp);
for (const { jobs, renders } of all) {
  jobs.length = 0;
  renders.length = 0;
}
const sentBefore = sent;
const cpuBefore = await Promise.all(all.map(({ cpu }) => cpu()));
for (let round = 0; round < rounds; round++) {
  for (let turn = 0; turn < all.length; turn++) {
    await all[(round + turn) % all.length]?.draw(1000 + round);
  }
}
const bytesAJob = (sent - sentBefore) / rounds;
const cpuAJob = (await Promise.all(all.map(({ cpu }) => cpu()))).map(({ worker, all }, place) => {
  const before = cpuBefore[place] ?? { worker: 0, all: 0 };
  return { worker: (worker - before.worker) / rounds, all: (all - before.all) / rounds };
});
for (const contestant of all) await contestant.stop();
await tracing.close();
collector.close();
await rm(scratch, { recursive: true, force: true });

const ms = (value: number) => value.toFixed(1);
const rows = all.flatMap(({ name, jobs, renders }) =>
  (
    [
      ['job', jobs, plain.jobs],
      ['render', renders, plain.renders],
    ] as const
  ).map(([what, sample, base]) => {
    const { median, min, max, runs } = timing(sample);
    const differences = sample.slice(0, base.length).map((value, round) => value - (base[round] ?? value));
    const difference = timing(differences).median;
    const share = (difference / timing(base).median) * 100;
    const against = sample === base ? '' : `${ms(difference)} (${share.toFixed(2)} %)`;
    return [name, what, ms(median), ms(min), ms(max), `${runs}`, against];
  }),
);
const [base = { worker: 0, all: 0 }] = cpuAJob;
const cpuRows = all.map(({ name }, place) => {
  const { worker, all } = cpuAJob[place] ?? base;
  const more = worker - base.worker;
  const against = place === 0 ? '' : `${ms(more)} (${((more / base.all) * 100).toFixed(2)} %)`;
  return [name, ms(worker), ms(all), against];
});
await publishSection(
  'What metrics and traces cost',
  `node dist/bench/observability.js --rounds ${rounds}`,
  `${table(['the worker tells', 'milliseconds', 'median', 'min', 'max', 'n', 'median of the differences to nothing'], rows)}\n\n${table(['the worker tells', 'ms of CPU a job: worker', 'worker and engine', 'more in the worker (of all)'], cpuRows)}\n\n${request.width}², ${request.steps} steps, emoji on the CPU; a job is a call's start to its result, a render what the engine's own log says of it. Metrics are asked for every five seconds; a job's trace is ${(bytesAJob / 1024).toFixed(1)} KiB of OTLP as JSON, client and worker together. The machine's load before it began was ${load.toFixed(1)}.`,
);
