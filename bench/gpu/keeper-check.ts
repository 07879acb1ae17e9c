/*
 * A keeper and its engines for real, a line a case with what it took:
 *
 *   node dist/bench/gpu/keeper-check.js --work DIR [--shape 9b] [--device cuda:0] [--size 1024] [--runs 3]
 *
 * The checkpoint is the one that `run.js --stages prepare` makes in DIR, or `--checkpoint FOLDER`. `--cases a,b` does some
 * of it. `--dry` goes through all of it with memory in the place of a GPU (`--checkpoint test/fixtures/tiny-klein --size
 * 64`), which tries this script and says nothing of speed. Times are medians, with all values behind them. They and what
 * did not hold go into keeper-check.json. Ends with 1 where a case failed.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { pino } from 'pino';
import { OutOfMemory } from '../../src/contract/errors.js';
import { DeviceName } from '../../src/gpu/engine/device-name.js';
import { FLOAT32 } from '../../src/gpu/graph/graphs.js';
import type { EngineHost } from '../../src/gpu/host.js';
import { KeeperSource } from '../../src/gpu/keeper/client.js';
import { closeDescriptors } from '../../src/gpu/keeper/descriptor-passing.js';
import { weightsOf } from '../../src/gpu/keeper/plan.js';
import type { KeeperStats } from '../../src/gpu/keeper/protocol.js';
import { computeTypes } from '../../src/gpu/runtime/cuda/cuda-runtime.js';
import type { CudaDriver } from '../../src/gpu/runtime/cuda/driver.js';
import { gpuIndexOf } from '../../src/gpu/runtime/gpu-index.js';
import { Engines, endEngine, expect, fillDevice, isAlive, streamedBytes, until } from './engines.js';
import { itemsOf, type Lab, milliseconds, openLabCheckpoint } from './lab.js';
import { pinnedPeak } from './limits.js';

const { values } = parseArgs({
  options: {
    work: { type: 'string' },
    shape: { type: 'string', default: '9b' },
    checkpoint: { type: 'string' },
    device: { type: 'string', default: 'cuda:0' },
    size: { type: 'string', default: '1024' },
    runs: { type: 'string', default: '3' },
    cases: { type: 'string' },
    dry: { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
  },
});
if (values.work === undefined) throw new Error('expected --work FOLDER');
const work = values.work;
const device = DeviceName.parse(values.device);
const checkpoint = values.checkpoint ?? join(work, `klein-${values.shape}`);
const cacheFolder = join(work, 'cache');
const size = Number(values.size);
const runs = Number(values.runs);
const lab: Lab = {
  ...{ checkpoint, device, cacheFolder },
  ...{ threads: availableParallelism(), sizes: [size], batches: [1], runs },
};
mkdirSync(cacheFolder, { recursive: true });
/** Keepers of this run alone, so that none is met that others have left. */
const folder = mkdtempSync(join(tmpdir(), 'tdiff-keepers-'));
const log = pino({ level: values.verbose ? 'info' : 'silent' }, pino.destination({ dest: 2, sync: true }));

/** More pictures at a time than there is room for where so little is left free. */
const TOO_MANY = 48;
const SPARE_MB = 1000;

const print = (line: string) => process.stdout.write(`${line}\n`);
const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(2)} GB`;
const seconds = (ms: number) => `${(ms / 1000).toFixed(3)} s`;
const results: Record<string, unknown> = {};
let failures = 0;

function median(samples: readonly number[]): number {
  return [...samples].sort((a, b) => a - b)[Math.floor(samples.length / 2)] ?? Number.NaN;
}

/** Does something as often as was asked for. @returns what to print, after it was written down */
async function timed(name: string, once: () => Promise<number>): Promise<string> {
  const samples: number[] = [];
  for (let run = 0; run < runs; run++) samples.push(await once());
  results[name] = samples;
  return `${seconds(median(samples))} (${samples.map(seconds).join(', ')})`;
}

const engines = new Engines({ lab, keeperFolder: folder, isDry: values.dry, log });
const { place } = engines;

async function draw(host: EngineHost): Promise<Buffer> {
  const [image] = await host.render({ items: itemsOf(size, 1) });
  return image?.pixels as Buffer;
}

/** Draws what is known. @returns milliseconds */
async function drawSame(host: EngineHost): Promise<number> {
  let pixels: Buffer | undefined;
  const took = await milliseconds(async () => {
    pixels = await draw(host);
  });
  const off = pixels?.reduce((sum, value, at) => sum + (value === expected[at] ? 0 : 1), 0);
  expect(off === 0, `the same pixels as without a keeper, ${off} of ${expected.length} bytes are others`);
  return took;
}

const held = ({ holdings }: KeeperStats) => holdings.reduce((sum, holding) => sum + holding.mappedBytes, 0);

/** Writes over what the keeper holds, as a program gone wrong would that has mapped it. */
async function vandalize(driver: CudaDriver): Promise<string> {
  const compute = values.dry ? FLOAT32 : computeTypes(driver.facts);
  const { granularity } = driver;
  const wanted = await weightsOf(await openLabCheckpoint(lab), { cacheFolder, compute, granularity });
  const source = new KeeperSource({ socket: place.socket });
  const lent = await source.lend(wanted, driver.facts);
  const [first] = wanted;
  if (!first || !lent) throw new Error('expected a component and a keeper');
  const taken = lent.take(first.component);
  const pieces = taken.map(({ descriptor, bytes }) => driver.importDescriptor(descriptor, bytes));
  // Each keeps the memory from being free, also when the keeper is gone.
  closeDescriptors(taken.map(({ descriptor }) => descriptor));
  // An arena of its own would map it to be read only.
  const range = driver.reserve(first.mappedBytes);
  let at = range.address;
  for (const piece of pieces) {
    driver.map(at, piece, 'read and write');
    at += BigInt(piece.bytes);
  }
  const bytes = 2 ** 20;
  const pinned = driver.allocatePinned(bytes);
  const stream = driver.createStream();
  pinned.bytes.fill(0xa5);
  for (let offset = 0; offset < first.layout.extent; offset += bytes) {
    const length = Math.min(bytes, first.layout.extent - offset);
    stream.copyToDevice(range.address + BigInt(offset), pinned.address, length);
  }
  stream.close();
  pinned.close();
  at = range.address;
  for (const { bytes } of pieces) {
    driver.unmap({ address: at, bytes });
    at += BigInt(bytes);
  }
  for (const piece of pieces) piece.close();
  driver.unreserve(range);
  await lent.close();
  return `${gigabytes(first.layout.extent)} of ${first.component}`;
}

let expected: Buffer;
let warmMs = Number.NaN;
let floorMs = Number.NaN;

const began = performance.now();
const driver = await engines.openDriver();
const initMs = performance.now() - began;
const { freeBytes: freeAtFirst } = driver.memory();

const cases: Record<string, () => Promise<string>> = {
  async 'without a keeper: start to first picture'() {
    const first = await timed('without', () =>
      engines.with(
        async (host) => {
          const took = await milliseconds(async () => {
            expected = await draw(host);
          });
          const warm: number[] = [];
          for (let run = 0; run < 3; run++) warm.push(await drawSame(host));
          warmMs = median(warm);
          return took;
        },
        { keeper: false },
      ),
    );
    results.warmMs = warmMs;
    return `${first}; one warm picture ${seconds(warmMs)}`;
  },

  async 'no engine and no keeper: start to first picture'() {
    let bytes = 0;
    const took = await timed('cold', async () => {
      await engines.endKeeper();
      return engines.with(async (host) => {
        const took = await drawSame(host);
        const found = await engines.keeperStats();
        expect(streamedBytes(found) > 0, 'the keeper to have streamed');
        expect(
          found.holdings.every(({ lentTo }) => lentTo === 1),
          'an engine that has all of it from the keeper',
        );
        bytes = streamedBytes(found);
        return took;
      });
    });
    const peak = values.dry ? 1e9 : await pinnedPeak(driver);
    floorMs = (bytes / peak) * 1000 + initMs + warmMs;
    const ratio = median(results.cold as number[]) / floorMs;
    results.floor = { ms: floorMs, bytes, peak, initMs, warmMs, ratio };
    return `${took}; floor ${seconds(floorMs)}: ${gigabytes(bytes)} at ${gigabytes(peak)}/s, CUDA ${seconds(initMs)}, one warm picture; ${ratio.toFixed(2)} × the floor`;
  },

  async 'engine killed, keeper alive: kill to next picture'() {
    return engines.with(async (host) => {
      await drawSame(host);
      const before = streamedBytes(await engines.keeperStats());
      const took = await timed('engineKilled', async () => {
        const from = performance.now();
        await endEngine(host);
        await drawSame(host);
        return performance.now() - from;
      });
      expect(streamedBytes(await engines.keeperStats()) === before, 'no byte to be streamed again');
      expect(host.starts.fresh === runs + 1, 'another engine each time');
      return `${took}; no byte streamed; ${seconds(median(results.engineKilled as number[]) - warmMs)} more than a warm picture`;
    });
  },

  async 'engine replaced after it ran out of memory: failure to next picture'() {
    return engines.with(async (host) => {
      await drawSame(host);
      const before = streamedBytes(await engines.keeperStats());
      // As another program would: an engine at work has taken what it needs for one picture.
      await using _ = values.dry ? undefined : await fillDevice(gpuIndexOf(device) ?? 0, SPARE_MB);
      const took = await timed('outOfMemory', async () => {
        if (values.dry) {
          await endEngine(host);
        } else {
          const failure = await host
            .render({ items: itemsOf(size, TOO_MANY) })
            .catch((error: unknown) => error);
          expect(
            failure instanceof OutOfMemory,
            `OutOfMemory of ${TOO_MANY} pictures at once, got ${failure}`,
          );
        }
        const from = performance.now();
        await drawSame(host);
        return performance.now() - from;
      });
      expect(streamedBytes(await engines.keeperStats()) === before, 'no byte to be streamed again');
      return `${took}; no byte streamed${values.dry ? '; simulated by a kill' : ''}`;
    });
  },

  async 'rolling replacement, same model: new worker to first picture'() {
    let host = await engines.open();
    try {
      await drawSame(host);
      const before = await engines.keeperStats();
      const took = await timed('rolling', async () => {
        await host.close();
        const from = performance.now();
        host = await engines.open();
        await drawSame(host);
        return performance.now() - from;
      });
      const after = await engines.keeperStats();
      expect(
        streamedBytes(after) === streamedBytes(before) && after.pid === before.pid,
        'the same keeper, no byte streamed',
      );
      return `${took}; no byte streamed`;
    } finally {
      await host.close();
    }
  },

  async 'standby: resume to picture, the keeper has kept the weights'() {
    return engines.with(async (host) => {
      await drawSame(host);
      const before = streamedBytes(await engines.keeperStats());
      const took = await timed('standby', async () => {
        await host.release();
        expect(
          (await engines.keeperStats()).holdings.every(({ lentTo }) => lentTo === 0),
          'nothing to be mapped',
        );
        return drawSame(host);
      });
      expect(streamedBytes(await engines.keeperStats()) === before, 'no byte to be streamed again');
      return `${took}; no byte streamed`;
    });
  },

  async 'keeper killed while its engine lives: the engine draws on'() {
    return engines.with(async (host) => {
      await drawSame(host);
      await engines.endKeeper();
      const took = await drawSame(host);
      expect(host.starts.fresh === 1, 'the same engine');
      return `${seconds(took)} for a picture`;
    });
  },

  async 'keeper killed while it streams: start to first picture'() {
    return timed('killedWhileStreaming', async () => {
      await engines.endKeeper();
      return engines.with(
        async (host) => {
          const drawing = drawSame(host);
          drawing.catch(() => {});
          await until('the keeper streams to an engine', async () =>
            (await engines.keeperStats()).holdings.some(
              ({ state, lentTo }) => state === 'streaming' && lentTo > 0,
            ),
          );
          await engines.endKeeper();
          return drawing;
        },
        {},
        { isHeld: true },
      );
    });
  },

  async 'verification of all that is held'() {
    await engines.with(drawSame);
    const { holdings } = await engines.keeperStats();
    let bytes = 0;
    const took = await milliseconds(() =>
      engines.ask(async (keeper) => {
        for (const { key, component, mappedBytes } of holdings) {
          expect((await keeper.verify(key)).isGood, `${component} to be what its files have`);
          bytes += mappedBytes;
        }
      }),
    );
    results.verifyMs = took;
    return `${gigabytes(bytes)} in ${seconds(took)}`;
  },

  async 'weights that somebody has written over: refused, streamed again, drawn'() {
    const what = await vandalize(driver);
    const took = await engines.with(drawSame);
    const after = await engines.with(drawSame);
    return `${what}; ${seconds(took)}, the next start ${seconds(after)}`;
  },

  async 'keeper replaced while its engine draws: the old one ends with the engine'() {
    return engines.with(async (host) => {
      await drawSame(host);
      const { pid } = await engines.keeperStats();
      await engines.ask(async (keeper) => keeper.tell({ type: 'retire' }));
      await drawSame(host);
      expect(isAlive(pid), 'the old keeper to stay');
      await host.close();
      await until('the old keeper is gone', () => !isAlive(pid));
      const took = await engines.with(drawSame);
      expect((await engines.keeperStats()).pid !== pid, 'another keeper');
      return `a cold start after that: ${seconds(took)}`;
    });
  },

  async 'a keeper that nobody needs ends by itself and leaves nothing'() {
    await engines.endKeeper();
    const { pid, bytes } = await engines.with(
      async (host) => {
        await drawSame(host);
        const found = await engines.keeperStats();
        return { pid: found.pid, bytes: held(found) };
      },
      { keepSeconds: 1 },
    );
    await until('it has ended', () => !isAlive(pid));
    if (values.dry) return 'it has ended';
    const missing = () => freeAtFirst - driver.memory().freeBytes;
    await until(
      'its memory is back',
      () => missing() < 64 * 2 ** 20,
      () => `${gigabytes(missing())} of it are not`,
    );
    return `${gigabytes(bytes)} are free again`;
  },
};

print(
  `${driver.facts.name}, driver ${driver.facts.driverVersion}, ${cpus()[0]?.model}, ${availableParallelism()} cores`,
);
print(`${checkpoint}, ${size}×${size}, ${runs} runs each; the keeper's log: ${place.logFile}`);
const wanted = values.cases?.split(',');
let isFirst = true;
for (const [name, run] of Object.entries(cases)) {
  // The first one draws what the others compare with.
  if (!isFirst && wanted && !wanted.some((part) => name.includes(part))) continue;
  isFirst = false;
  try {
    print(`ok      ${name}: ${await run()}`);
  } catch (error) {
    failures++;
    results[`failed: ${name}`] = String(error);
    print(`FAILED  ${name}: ${error instanceof Error ? error.stack : error}`);
  }
  writeFileSync(join(work, 'keeper-check.json'), JSON.stringify(results, undefined, 2));
}
await engines.endKeeper();
driver.close();
if (failures === 0) rmSync(folder, { recursive: true });
print(failures === 0 ? 'all cases hold' : `${failures} cases FAILED`);
process.exit(failures === 0 ? 0 : 1);
