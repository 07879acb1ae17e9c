/*
 * From the start of an engine to its first picture, in four ways, in alternation, each in a process of its own:
 *
 *   npm run build && node dist/bench/cold-start.js [--runs 7] [--only emoji|synthetic] [--size 256]
 *
 * Needs what `temporal-diffusion doctor` names. The synthetic checkpoint, 1 GB of weights, is made in the temporary
 * folder and removed at the end.
 */
import { execFile, execFileSync } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { pino } from 'pino';
import { cacheFolder as projectCache } from '../src/cli/cache-folder.js';
import { EngineConnection } from '../src/gpu/host/engine-connection.js';
import { FreshProcess } from '../src/gpu/host/engine-process.js';
import { type Criu, findCriu } from '../src/gpu/snapshot/criu.js';
import { type SnapshotManifest, sizeOf } from '../src/gpu/snapshot/manifest.js';
import { SnapshotStarter } from '../src/gpu/snapshot/starter.js';
import { openSnapshotStore } from '../src/gpu/snapshot/store.js';
import { packageRoot } from '../src/package-root.js';
import { publishSection, table, timing } from './report.js';
import { makeSyntheticCheckpoint } from './synthetic-checkpoint.js';

const run = promisify(execFile);
const log = pino({ level: 'silent' });

interface Task {
  readonly checkpoint: string;
  readonly cacheFolder: string;
  readonly start: 'fresh' | 'restored';
  readonly size: number;
  readonly criu: Criu;
  /** How many pictures the engine has drawn before it is captured; only for captures. */
  readonly warmUps?: number;
}

/** Milliseconds. */
interface Sample {
  /** Finding out what to start, and that it may be started. */
  readonly decide: number;
  /** From then on until the engine greets. */
  readonly load: number;
  readonly firstPicture: number;
  readonly total: number;
  /** One more picture of the same size. */
  readonly warm: number;
}

const engineOf = ({ checkpoint, cacheFolder }: Task) =>
  ({ checkpoint, model: 'emoji', device: 'cpu', threads: availableParallelism(), cacheFolder }) as const;

function starterOf(task: Task): SnapshotStarter {
  const { cacheFolder, criu, size, warmUps = 1 } = task;
  return new SnapshotStarter({
    mode: 'snapshot',
    engine: engineOf(task),
    store: openSnapshotStore({ cacheFolder, log }),
    criu,
    restoreTimeoutMs: 120_000,
    capture: {
      warmUps: () => Array.from({ length: warmUps }, (_, index) => itemOf(size, 'a red apple', index)),
    },
    log,
  });
}

function itemOf(size: number, prompt = 'a slice of pizza', index = 0) {
  return { index, prompt, width: size, height: size, steps: 4, seed: 1 };
}

/** In a process of its own, as a worker that has just been started. */
async function sample(task: Task): Promise<Sample> {
  const began = performance.now();
  const restored = task.start === 'restored' ? await starterOf(task).restore() : undefined;
  const process =
    restored?.process ??
    (await FreshProcess.spawn({ arguments: { ...engineOf(task), logLevel: 'silent' }, log }));
  const decided = performance.now();
  const patience = 600_000;
  const connection = await EngineConnection.greet(process, began + patience, {
    stallMs: patience,
    cancelGraceMs: patience,
    onLost: () => {},
  });
  await restored?.greeted(connection.hello);
  const greeted = performance.now();
  await connection.render({ items: [itemOf(task.size)] });
  const drawn = performance.now();
  await connection.render({ items: [itemOf(task.size)] });
  const warm = performance.now() - drawn;
  await connection.stop();
  return {
    decide: decided - began,
    load: greeted - decided,
    firstPicture: drawn - greeted,
    total: drawn - began,
    warm,
  };
}

async function inOwnProcess(task: Task): Promise<Sample> {
  const { stdout } = await run(process.execPath, [
    fileURLToPath(import.meta.url),
    '--sample',
    JSON.stringify(task),
  ]);
  return JSON.parse(stdout) as Sample;
}

const { values } = parseArgs({
  options: {
    sample: { type: 'string' },
    runs: { type: 'string', default: '7' },
    only: { type: 'string' },
    size: { type: 'string', default: '256' },
  },
});

if (values.sample !== undefined) {
  process.stdout.write(JSON.stringify(await sample(JSON.parse(values.sample) as Task)));
} else {
  const found = await findCriu(projectCache());
  if (!found) throw new Error('expected CRIU: let `temporal-diffusion doctor --install` install it');
  const scratch = await mkdtemp(join(tmpdir(), 'tdiff-cold-'));
  try {
    const emoji = join(packageRoot(), 'models', 'emoji');
    if (values.only !== 'synthetic')
      await compare('the bundled model', emoji, Number(values.size), found, scratch);
    if (values.only !== 'emoji') {
      const folder = join(scratch, 'synthetic');
      const bytes = await makeSyntheticCheckpoint(folder);
      await compare(`a synthetic checkpoint of ${(bytes / 1e9).toFixed(2)} GB`, folder, 64, found, scratch);
    }
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Takes a file's pages out of the page cache. */
function forget(file: string): void {
  execFileSync('dd', [`if=${file}`, 'iflag=nocache', 'count=0'], { stdio: 'ignore' });
}

async function compare(
  what: string,
  checkpoint: string,
  size: number,
  criu: Criu,
  scratch: string,
): Promise<void> {
  const cacheFolder = await mkdtemp(join(scratch, 'cache-'));
  const task = { checkpoint, cacheFolder, size, criu };
  const captured = await starterOf({ ...task, start: 'restored' }).create();
  if (!captured) throw new Error('expected a snapshot');
  const { manifest, slot } = captured;
  const images = join(cacheFolder, 'snapshots', slot, 'images');

  const kinds = {
    'a) fresh, nothing cached': async () => {
      const empty = await mkdtemp(join(scratch, 'empty-'));
      return inOwnProcess({ ...task, cacheFolder: empty, start: 'fresh' });
    },
    'b) fresh, graphs cached': () => inOwnProcess({ ...task, start: 'fresh' }),
    'c) restored, page cache': () => inOwnProcess({ ...task, start: 'restored' }),
    'd) restored, from disk': async () => {
      for (const name of await readdir(images)) forget(join(images, name));
      return inOwnProcess({ ...task, start: 'restored' });
    },
  };
  const samples = Object.fromEntries(Object.keys(kinds).map((kind) => [kind, [] as Sample[]]));
  for (let round = 0; round < Number(values.runs); round++) {
    for (const [kind, take] of Object.entries(kinds)) samples[kind]?.push(await take());
  }
  await report(what, size, manifest, samples);
}

async function report(
  what: string,
  size: number,
  manifest: SnapshotManifest,
  samples: Record<string, Sample[]>,
): Promise<void> {
  const median = (kind: string, stage: keyof Sample) =>
    timing((samples[kind] ?? []).map((one) => one[stage])).median;
  const [a = '', b = '', c = ''] = Object.keys(samples);
  const rows = Object.keys(samples).map((kind) => {
    const { min, max } = timing((samples[kind] ?? []).map(({ total }) => total));
    const stages = (['decide', 'load', 'firstPicture', 'total'] as const).map((stage) =>
      median(kind, stage).toFixed(0),
    );
    const ready = median(kind, 'decide') + median(kind, 'load');
    const readyOfA = median(a, 'decide') + median(a, 'load');
    return [
      kind,
      ...stages,
      min.toFixed(0),
      max.toFixed(0),
      (median(a, 'total') / median(kind, 'total')).toFixed(2),
      (readyOfA / ready).toFixed(1),
    ];
  });
  const warm = median(b, 'warm');
  const bound = 1.5 * warm + 150;
  const total = median(c, 'total');
  const { anonymousBytes, mappedBytes, copiedBytes } = manifest.memory;
  const facts = [
    `${values.runs} of each, in alternation, ${size}², 4 steps; milliseconds; the last columns: how many times faster than (a), to the first picture and until it is ready to draw.`,
    `One warm picture: ${warm.toFixed(0)} ms. (c) is to take at most 1.5 × that plus 150 ms = ${bound.toFixed(0)} ms: it takes ${total.toFixed(0)}.`,
    `Image: ${mega(sizeOf(manifest))} (${mega(copiedBytes)} copied at a restore, ${mega(mappedBytes)} mapped); the captured engine had ${mega(anonymousBytes)} that are no file's: ${(sizeOf(manifest) / anonymousBytes).toFixed(2)} ×.`,
  ];
  const header = ['', 'decide', 'load', 'first picture', 'total', 'min', 'max', '× (a)', '× (a), ready'];
  const only = what.startsWith('the bundled') ? `--only emoji --size ${size}` : '--only synthetic';
  const command = `node dist/bench/cold-start.js --runs ${values.runs} ${only}`;
  await publishSection(
    `Cold start, ${what}, ${size}²`,
    command,
    `${table(header, rows)}\n\n${facts.join('\n\n')}`,
  );
}

function mega(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`;
}
