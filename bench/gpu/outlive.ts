/*
 * Weights that outlive their engine, with the goals beside the figures:
 *
 *   node dist/bench/gpu/outlive.js --work /dev/shm/tdiff [--shape 9b] [--turns 4b] [--device cuda:0] [--runs 5]
 *
 * As root, with CRIU on the PATH or in the package's cache: without it, what is restored has no figures. The checkpoints
 * are made in the work folder where they are missing. `--stages a,b` does some of it; figures are kept after each stage,
 * in outlive-SHAPE.json of the work folder, and a later call goes on with others: the report puts together what there
 * is, into bench/RESULTS.md, the picture of a start beside it. Every stage has a deadline. `--dry` goes through all of
 * it with memory in the place of a GPU (`--checkpoint test/fixtures/tiny-klein --size 64 --runs 1`), which tries this
 * script and says nothing of speed. Where the machine has no fonts, `timeline.js outlive-9b.json OUT.png` draws the
 * picture again elsewhere.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { pino } from 'pino';
import { cacheFolder as projectCache } from '../../src/cli/cache-folder.js';
import { OutOfMemory } from '../../src/contract/errors.js';
import { DeviceName } from '../../src/gpu/engine/device-name.js';
import { Residents } from '../../src/gpu/host/residents.js';
import type { EngineHost, EngineHostOptions } from '../../src/gpu/host.js';
import { gpuIndexOf } from '../../src/gpu/runtime/gpu-index.js';
import { findCriu } from '../../src/gpu/snapshot/criu.js';
import type { StartMode } from '../../src/gpu/snapshot/start-mode.js';
import { SnapshotStarter } from '../../src/gpu/snapshot/starter.js';
import { openSnapshotStore } from '../../src/gpu/snapshot/store.js';
import { packageRoot } from '../../src/package-root.js';
import { publishSection } from '../report.js';
import { makeCheckpoint } from './checkpoints.js';
import { meanDifference } from './difference.js';
import { DRY_PROGRAMS, Engines, endEngine, expect, fillDevice, streamedBytes } from './engines.js';
import { itemsOf, type Lab, MODEL, milliseconds, openLabCheckpoint } from './lab.js';
import { pinnedPeak } from './limits.js';
import { outliveSection } from './outlive-tables.js';
import { Reference } from './reference.js';
import { ResultsStore } from './results.js';
import { REST_MS, sampleStandby, sampleTurns } from './standby-samples.js';
import { takeAllBut } from './take-memory.js';
import type { TextOnCpu } from './text-on-cpu.js';
import { drawTimeline } from './timeline.js';
import { cacheCopy, tracedStart } from './traced-start.js';

const { values } = parseArgs({
  options: {
    work: { type: 'string' },
    shape: { type: 'string', default: '9b' },
    turns: { type: 'string', default: '4b' },
    checkpoint: { type: 'string' },
    device: { type: 'string', default: 'cuda:0' },
    size: { type: 'string', default: '1024' },
    runs: { type: 'string', default: '5' },
    stages: { type: 'string' },
    /** Gigabytes that the two models of the turns may have. */
    budget: { type: 'string', default: '30' },
    /** Megabytes that are left free when an engine is to run out of memory. */
    spare: { type: 'string', default: '1000' },
    /** Seconds of one stage. */
    patience: { type: 'string', default: '90' },
    dry: { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
  },
});
if (values.work === undefined)
  throw new Error('expected --work FOLDER, with room for checkpoints and images');
const work = resolve(values.work);
const isDry = values.dry;
const device = DeviceName.parse(values.device);
const index = gpuIndexOf(device) ?? 0;
const size = Number(values.size);
const runs = Number(values.runs);
/** Of what takes long, or differs little. */
const fewer = Math.max(Math.min(runs, 3), runs - 2);
const checkpoint = resolve(values.checkpoint ?? join(work, `klein-${values.shape}`));
const turnsCheckpoint = resolve(values.checkpoint ?? join(work, `klein-${values.turns}`));
const cacheFolder = join(work, 'cache');
mkdirSync(cacheFolder, { recursive: true });
const lab: Lab = {
  ...{ checkpoint, device, cacheFolder },
  ...{ threads: availableParallelism(), sizes: [size], batches: [1], runs },
};
const log = pino({ level: values.verbose ? 'info' : 'silent' }, pino.destination({ dest: 2, sync: true }));
const keeperFolder = mkdtempSync(join(tmpdir(), 'tdiff-keepers-'));
const engines = new Engines({ lab, keeperFolder, isDry, log });
const criu = (await findCriu(projectCache())) ?? (await findCriu(''));
const store = await ResultsStore.open(join(work, `outlive-${values.shape}.json`));

/** More pictures at a time than there is room for. */
const TOO_MANY = 48;
/** Between pictures of engines whose libraries choose among kernels anew: levels of 255 in the mean. */
const ROUNDINGS = 2;

let expected: Buffer | undefined;

/** Draws what every engine here draws. */
async function draw(host: EngineHost): Promise<void> {
  const [image] = await host.render({ items: itemsOf(size, 1) });
  if (!image) throw new Error('expected a picture');
  expected ??= image.pixels;
  const difference = meanDifference(image.pixels, expected);
  expect(difference < ROUNDINGS, `the same picture, it is off by ${difference} levels in the mean`);
}

async function times(count: number, once: () => Promise<number>): Promise<number[]> {
  const samples: number[] = [];
  for (let run = 0; run < count; run++) samples.push(await once());
  return samples;
}

const restored = {
  start: 'snapshot',
  restoreTimeoutMs: 30_000,
  ...(criu && { criu }),
} as const satisfies Partial<EngineHostOptions>;

/** @throws Error where the engine came about in another way than it should */
async function requireStart(host: EngineHost, start: 'fresh' | 'restored'): Promise<void> {
  const found = await host.ready();
  const why = Object.entries(host.starts.fallbacks).filter(([, count]) => count > 0);
  expect(found.start === start, `an engine that was ${start}, it was ${found.start} [${why.join(', ')}]`);
}

/** From asking for a host to the first picture. @param onDrawn what is looked at then */
async function startToPicture(
  options: Partial<EngineHostOptions>,
  onDrawn: (host: EngineHost) => Promise<void> = async () => {},
): Promise<number> {
  const began = performance.now();
  return engines.with(async (host) => {
    await draw(host);
    const took = performance.now() - began;
    await requireStart(host, options.start === 'snapshot' ? 'restored' : 'fresh');
    await onDrawn(host);
    return took;
  }, options);
}

async function besideKeeper(options: Partial<EngineHostOptions>): Promise<number> {
  await engines.endKeeper();
  return startToPicture(options, async () => {
    const found = await engines.keeperStats();
    const bytes = streamedBytes(found);
    expect(bytes > 0, 'the keeper to have streamed');
    expect(
      found.holdings.every(({ lentTo }) => lentTo === 1),
      'an engine that has all of it from the keeper',
    );
    await store.setFigure('bytes', [bytes]);
  });
}

/** With a keeper that has the weights: an engine is lost, and the next one draws. @param lose returns when that begins */
async function replaced(options: Partial<EngineHostOptions>, lose: (host: EngineHost) => Promise<number>) {
  return engines.with(async (host) => {
    await draw(host);
    await engines.keeperHasAll();
    const before = streamedBytes(await engines.keeperStats());
    const samples = await times(options.start === undefined ? fewer : runs, async () => {
      const began = await lose(host);
      await draw(host);
      const took = performance.now() - began;
      await requireStart(host, options.start === 'snapshot' ? 'restored' : 'fresh');
      return took;
    });
    expect(streamedBytes(await engines.keeperStats()) === before, 'no byte to be streamed again');
    return samples;
  }, options);
}

const killed = async (host: EngineHost): Promise<number> => {
  const began = performance.now();
  await endEngine(host);
  return began;
};

async function outOfMemory(host: EngineHost): Promise<number> {
  if (isDry) return killed(host);
  const failure = await host.render({ items: itemsOf(size, TOO_MANY) }).catch((error: unknown) => error);
  expect(failure instanceof OutOfMemory, `OutOfMemory of ${TOO_MANY} pictures, got ${failure}`);
  return performance.now();
}

const engine = { checkpoint, model: MODEL, device, cacheFolder, threads: engines.threads } as const;

/** @param sizes of the pictures that are drawn before the capture */
function starter(mode: Exclude<StartMode, 'fresh'>, cache: string, sizes: readonly number[]) {
  if (!criu) throw new Error('expected CRIU on the PATH, or in the cache');
  return new SnapshotStarter({
    ...{ mode, criu, log, restoreTimeoutMs: 30_000 },
    engine: { ...engine, cacheFolder: cache },
    store: openSnapshotStore({ cacheFolder: cache, log }),
    ...(isDry && { programs: DRY_PROGRAMS }),
    capture: {
      warmUps: () => sizes.flatMap((side) => itemsOf(side, 1)),
      timeoutMs: Number(values.patience) * 1000,
    },
  });
}

const stages: Record<string, () => Promise<void>> = {
  async prepare() {
    for (const [folder, shape] of [
      [checkpoint, values.shape],
      [turnsCheckpoint, values.turns],
    ] as const) {
      if (!isDry) await makeCheckpoint(folder, shape);
      // Later its digest is only looked up.
      await openLabCheckpoint({ ...lab, checkpoint: folder });
    }
  },

  async limits() {
    const began = performance.now();
    const driver = await engines.openDriver();
    const initMs = performance.now() - began;
    try {
      const { name, driverVersion, cudaVersion, totalBytes } = driver.facts;
      const peak = isDry ? 1e9 : await pinnedPeak(driver);
      await store.set({
        card: { name, driver: driverVersion, cuda: cudaVersion, totalBytes, initMs, pinnedPeak: peak },
      });
    } finally {
      driver.close();
    }
  },

  async fresh() {
    const warm: number[] = [];
    const text: number[] = [];
    // The first one builds graphs, which others find.
    await startToPicture({ keeper: false });
    const samples = await times(runs, () =>
      startToPicture({ keeper: false }, async (host) => {
        await draw(host);
        warm.push(await milliseconds(() => draw(host)));
        const [image] = await host.render({ items: itemsOf(size, 1) });
        text.push(image?.stages.textMs ?? 0);
      }),
    );
    await store.setFigure('fresh', samples);
    await store.setFigure('warm', warm);
    await store.setFigure('text', text);
  },

  async 'fresh-keeper'() {
    await store.setFigure('fresh, keeper starts', await times(runs, () => besideKeeper({})));
  },

  async capture() {
    await engines.endKeeper();
    const made = starter('auto', cacheFolder, [size]);
    const took = await milliseconds(() => made.create({ replace: true }));
    await store.setFigure('capture', [took]);
    // As a host does with `auto`, which is to choose by it.
    const created = await made.create({ measure: true });
    const measured = created?.experience.measured;
    if (!measured) throw new Error('expected it to be measured');
    await store.setFigure('auto: fresh, restored', [measured.freshMs, measured.restoredMs]);
  },

  async 'restored-keeper'() {
    const options = restored;
    // The first restore after a capture reads and checks what later ones know.
    await besideKeeper(options);
    await store.setFigure('restored, keeper starts', await times(runs, () => besideKeeper(options)));
  },

  async restored() {
    await engines.endKeeper();
    const samples = await times(fewer, () => startToPicture({ ...restored, keeper: false }));
    await store.setFigure('restored', samples);
    await engines.with(
      async (host) => {
        await draw(host);
        const { start } = await host.ready();
        await store.setFigure('auto picks: restored', [start === 'restored' ? 1 : 0]);
      },
      { ...restored, start: 'auto', keeper: false },
    );
  },

  async killed() {
    await store.setFigure('killed: fresh', await replaced({}, killed));
    if (criu) await store.setFigure('killed: restored', await replaced(restored, killed));
  },

  async 'out-of-memory'() {
    // Where it has been warm, before there is no more to be had.
    for (const [name, options] of [
      ['fresh', {}],
      ['restored', restored],
    ] as const) {
      if (name === 'restored' && !criu) continue;
      let ballast: Awaited<ReturnType<typeof fillDevice>> | undefined;
      try {
        const samples = await replaced(options, async (host) => {
          if (!isDry) ballast ??= await fillDevice(index, Number(values.spare));
          return outOfMemory(host);
        });
        await store.setFigure(`out of memory: ${name}`, samples);
      } finally {
        await ballast?.[Symbol.asyncDispose]();
      }
    }
  },

  async standby() {
    for (const keeper of [true, false]) {
      if (!keeper) await engines.endKeeper();
      const samples = await engines.with(
        (host) =>
          keeper ? sampleStandby(host, size, runs) : sampleStandby(host, size, fewer, isDry ? 0 : REST_MS),
        { keeper },
      );
      const name = keeper ? 'standby, keeper' : 'standby';
      await store.setFigure(name, samples.first);
      await store.setFigure(`${name}: warm`, samples.warm);
    }
  },

  async turns() {
    await engines.endKeeper();
    const residents = new Residents(1);
    const hosts = await Promise.all(
      ['a', 'b'].map((name) =>
        engines.open({
          ...{ checkpoint: turnsCheckpoint, model: `model-${name}`, residents },
          ...{ exclusive: false, keeper: false },
        }),
      ),
    );
    try {
      for (const host of hosts) {
        for (let warmUp = 0; warmUp < 2; warmUp++) await host.render({ items: itemsOf(size, 1) });
      }
      const budget = isDry ? undefined : Number(values.budget) * 1e9;
      await using _ = await takeAllBut(device, hosts[0] as EngineHost, budget);
      const { swapped, warm } = await sampleTurns(hosts, size, 2 * fewer);
      await store.setFigure('turns', swapped);
      await store.setFigure('turns: warm', warm);
    } finally {
      await Promise.all(hosts.map((host) => engines.close(host)));
    }
  },

  async timeline() {
    await store.set({ start: await tracedStart({ engine, engines, criu, size, isDry, log }) });
  },

  async 'several-sizes'() {
    const sizes = [size / 2, (size / 4) * 3, size];
    await engines.endKeeper();
    for (const [name, warmed] of [
      ['one size', [size]],
      ['three sizes', sizes],
    ] as const) {
      const cache = await cacheCopy(cacheFolder, 'sizes');
      await engines.endKeeper();
      const took = await milliseconds(() => starter('snapshot', cache, warmed).create({ replace: true }));
      await store.setFigure(`capture, ${name}`, [took]);
      const first = new Map<number, number[]>(sizes.map((side) => [side, []]));
      const options = { ...restored, cacheFolder: cache };
      // It reads and checks what later ones know.
      await startToPicture(options);
      for (let round = 0; round < fewer; round++) {
        for (const side of sizes) {
          await engines.with(async (host) => {
            await requireStart(host, 'restored');
            await engines.keeperHasAll();
            first.get(side)?.push(await milliseconds(() => host.render({ items: itemsOf(side, 1) })));
          }, options);
        }
      }
      for (const [side, samples] of first) await store.setFigure(`${name}: first ${side}`, samples);
    }
  },

  async 'text-on-cpu'() {
    await engines.endKeeper();
    const file = join(work, 'text-on-cpu.json');
    rmSync(file, { force: true });
    const program = fileURLToPath(new URL('text-on-cpu.js', import.meta.url));
    const child = spawn(process.execPath, [program, JSON.stringify({ lab: { ...lab, runs: 3 }, file })], {
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    const ended = once(child, 'close');
    const limit = new AbortController();
    const late = sleep(120_000, undefined, { signal: limit.signal }).then(
      () => child.kill('SIGKILL'),
      () => {},
    );
    await ended;
    limit.abort();
    await late;
    const text = await readFile(file, 'utf8').catch(() => {
      throw new Error('no prompt was encoded on the CPU within 120 s');
    });
    const { openMs, encodeMs } = JSON.parse(text) as TextOnCpu;
    await store.setFigure('text on the CPU: open', [openMs]);
    await store.setFigure('text on the CPU', encodeMs);
  },

  async report() {
    const reference = await Reference.open(join(work, `reference-${values.shape}`)).catch(() => undefined);
    const title = `Weights that outlive their engine, ${values.shape.toUpperCase()}, ${device}`;
    const section = outliveSection(store.results, reference?.file, {
      shape: values.shape,
      turns: values.turns,
    });
    const command = `node dist/bench/gpu/outlive.js --work DIR --shape ${values.shape} --turns ${values.turns} --device ${device} --size ${size} --runs ${runs}`;
    // Figures of a dry run are no results.
    if (isDry) process.stdout.write(`${section}\n`);
    else await publishSection(title, command, section);
    if (!store.results.start) return;
    const picture = join(isDry ? work : join(packageRoot(), 'bench'), 'keeper-timeline.png');
    await drawTimeline(store.results.start, `${title}: a start beside a keeper`, picture);
  },
};

/** Making a checkpoint takes a minute, and each may be missing. */
const DEADLINES_S: Readonly<Record<string, number>> = {
  prepare: 400,
  'text-on-cpu': 135,
  'several-sizes': 120,
};

/** @throws Error where it is not done in time: what it had open is closed then */
async function inTime(name: string, work: () => Promise<void>): Promise<void> {
  const seconds = DEADLINES_S[name] ?? Number(values.patience);
  const done = new AbortController();
  const late = sleep(seconds * 1000, undefined, { signal: done.signal }).then(() => {
    throw new Error(`not done after ${seconds} s`);
  });
  late.catch(() => {});
  try {
    await Promise.race([work(), late]);
  } finally {
    done.abort();
    await Promise.race([engines.closeAll(), sleep(10_000, undefined, { ref: false })]);
  }
}

const wanted = values.stages?.split(',') ?? Object.keys(stages);
for (const name of wanted) {
  const stage = stages[name];
  if (!stage) throw new Error(`--stages: expected some of ${Object.keys(stages).join(', ')}, got ${name}`);
  await store.stage(name, () => inTime(name, stage));
}
await engines.endKeeper();
rmSync(keeperFolder, { recursive: true, force: true });
process.exit(wanted.some((name) => store.results.failures[name] !== undefined) ? 1 : 0);
