import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { ResultLine } from '../src/contract/catalog.js';
import { TEMPORARY_PREFIX } from '../src/storage/atomic-write.js';
import { Command } from './support/command.js';
import { createDurableServer, type DurableServer } from './support/durable-server.js';
import { scratchFolder } from './support/scratch.js';
import { until } from './support/waiting.js';

/*
 * A catalogue under which workers, engines and the server are killed outright. TEST_CRASH_ROWS=2000 is the full
 * measure, about 5 minutes of a quiet machine with 2 cores; TEST_CRASH_SEED repeats a run: the same victims after the
 * same numbers of pictures.
 */
const ROWS = Number(process.env.TEST_CRASH_ROWS ?? 300);
const SEED = Number(process.env.TEST_CRASH_SEED ?? randomInt(2 ** 32));
/** Small ones: whatever a worker that dies has drawn and not stored is drawn again. */
const MAX_BATCH = 4;
const WORKERS = 2;
/** Nothing here takes longer than minutes, unless it never ends. */
const DEADLINE_MS = 840_000;

type Victim = 'worker' | 'engine' | 'server';

/** What dies, and after how many pictures. */
function plan(random: () => number): { after: number; delayMs: number; victim: Victim }[] {
  const victims: Victim[] = [];
  for (let left = Math.max(1, Math.round(ROWS / 700)); left > 0; left--) {
    victims.push('worker', 'engine', 'server', 'engine');
  }
  return victims
    .map((victim) => ({
      victim,
      after: Math.floor((0.05 + 0.85 * random()) * ROWS),
      delayMs: Math.floor(random() * 300),
    }))
    .sort((a, b) => a.after - b.after);
}

const scratch = scratchFolder();
const storage = join(scratch, 'storage');
const catalog = join(storage, 'rows.jsonl');
let server: DurableServer;
const workers: Command[] = [];
const started: Command[] = [];

function startWorker(): Command {
  const options = ['--storage', storage, '--threads', '1', '--start', 'fresh', '--grace', '2'];
  const command = new Command(['worker', ...options], {
    cwd: scratch,
    env: { TEMPORAL_ADDRESS: server.address },
  });
  started.push(command);
  return command;
}

/** Seeds of all pictures that were drawn, by the logs of all workers, living and dead. */
function drawn(): number[] {
  return started.flatMap(({ stderr }) =>
    [...stderr.matchAll(/"seed":(\d+)[^\n]*"msg":"image drawn"/g)].map(([, seed]) => Number(seed)),
  );
}

before(async () => {
  mkdirSync(storage);
  server = await createDurableServer(scratch);
  await server.start();
});
after(async () => {
  await Promise.all(
    workers.map((worker) => {
      worker.kill('SIGKILL');
      return worker.ended;
    }),
  );
  await server.kill();
});

async function kill(victim: Victim, place: number): Promise<void> {
  const worker = workers[place] as Command;
  if (victim === 'server') {
    await server.kill();
    await server.start();
  } else if (victim === 'worker') {
    worker.kill('SIGKILL');
    await worker.ended;
    workers[place] = startWorker();
  } else {
    for (const pid of worker.descendants(/engine\/main\.js/)) process.kill(pid, 'SIGKILL');
  }
}

async function resultLines(): Promise<ResultLine[]> {
  const folder = `${catalog}.results`;
  const texts = await Promise.all(
    (await readdir(folder)).map((name) => readFile(join(folder, name), 'utf8')),
  );
  const lines = texts.join('').split('\n').filter(Boolean);
  return lines.map((line) => ResultLine.parse(JSON.parse(line)));
}

test(`a catalogue of ${ROWS} rows under which everything is killed has each picture once [seed=${SEED}]`, async () => {
  console.log(`TEST_CRASH_ROWS=${ROWS} TEST_CRASH_SEED=${SEED}`);
  const rows = Array.from({ length: ROWS }, (_, seed) => ({ prompt: `heart ${seed}`, seed }));
  await writeFile(catalog, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  for (let place = 0; place < WORKERS; place++) workers.push(startWorker());

  const first = await server.connect();
  const { id } = await first.diffusion.catalog({
    catalog: pathToFileURL(catalog).href,
    defaults: { width: 64, height: 64, steps: 1 },
    maxBatch: MAX_BATCH,
  });
  await first.close();
  const random = mulberry32(SEED);
  const deaths = plan(random);
  for (const { after, delayMs, victim } of deaths) {
    const place = Math.floor(random() * WORKERS);
    await until(`${after} pictures are drawn`, () => drawn().length >= after, DEADLINE_MS);
    await sleep(delayMs);
    await kill(victim, place);
  }

  const { diffusion, close } = await server.connect();
  const summary = await diffusion.catalogJob(id).result();
  await close();
  assert.deepEqual([summary.rows, summary.done, summary.failed], [ROWS, ROWS, 0]);

  const lines = await resultLines();
  assert.deepEqual(
    lines.map(({ row }) => row).sort((a, b) => a - b),
    rows.map((_, place) => place + 1),
  );
  const images = lines.flatMap((line) => (line.status === 'done' ? line.images : []));
  const stored = new Set(images.map(({ sha256 }) => `${sha256}.png`));
  assert.equal(stored.size, ROWS);
  // A worker that dies in mid-write leaves a file that is none of the store's, and goes when it is old.
  const there = (await readdir(join(storage, 'blobs'))).filter((name) => !name.startsWith(TEMPORARY_PREFIX));
  assert.deepEqual(new Set(there), stored);

  const twice = drawn().length - new Set(drawn()).size;
  const killed = deaths.filter(({ victim }) => victim === 'worker').length;
  console.log(
    `${twice} of ${ROWS} pictures drawn more than once, ${deaths.length} kills, ${killed} of workers`,
  );
  // A worker that is killed may have two batches that are drawn and not stored; of 2,000 rows that is 1%.
  assert.ok(twice <= Math.max(0.01 * ROWS, 2 * MAX_BATCH * killed), `${twice} were drawn more than once`);
});

/** Small and good enough; the same numbers for the same seed. */
function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
