/*
 * Two GPUs of one host, each with an engine and a keeper of its own, and one cache of weights in shared memory:
 *
 *   node dist/bench/gpu/several-gpus.js --work DIR [--shape 4b] [--devices cuda:0,cuda:1] [--size 1024] [--runs 3]
 *
 * Prints a line a case, and ends with 1 where one failed or `--limit` seconds are over. The checkpoint of random weights
 * is made in DIR where it is not there, which takes longer than all else; DIR must be on a disk, since what lies in
 * memory already is not copied there. `--dry` tries the script with memory in the place of GPUs (`--checkpoint
 * test/fixtures/tiny-klein --size 64 --runs 1`).
 */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs, promisify } from 'node:util';
import { pino } from 'pino';
import { DeviceBusy } from '../../src/contract/errors.js';
import { DeviceName } from '../../src/gpu/engine/device-name.js';
import type { EngineHost } from '../../src/gpu/host.js';
import { HostCache } from '../../src/gpu/runtime/cuda/host-cache.js';
import { gpuIndexOf } from '../../src/gpu/runtime/gpu-index.js';
import { timing } from '../report.js';
import { makeCheckpoint } from './checkpoints.js';
import { meanDifference } from './difference.js';
import { Engines, endEngine, expect, streamedBytes, until } from './engines.js';
import { itemsOf, type Lab, milliseconds } from './lab.js';

const { values } = parseArgs({
  options: {
    work: { type: 'string' },
    shape: { type: 'string', default: '4b' },
    checkpoint: { type: 'string' },
    devices: { type: 'string', default: 'cuda:0,cuda:1' },
    size: { type: 'string', default: '1024' },
    runs: { type: 'string', default: '3' },
    /** Seconds of all cases, without the making of a checkpoint. */
    limit: { type: 'string', default: '120' },
    dry: { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
  },
});
if (values.work === undefined)
  throw new Error('expected --work FOLDER, on a disk, with room for the checkpoint');
const isDry = values.dry;
const work = resolve(values.work);
const checkpoint = resolve(values.checkpoint ?? join(work, `klein-${values.shape}`));
const cacheFolder = join(work, 'cache');
const size = Number(values.size);
const runs = Number(values.runs);
mkdirSync(cacheFolder, { recursive: true });
if (!isDry) await makeCheckpoint(checkpoint, values.shape);

/** Levels of 255 in the mean: two cards' libraries may choose other kernels. */
const ROUNDINGS = 2;
/** More than any of these checkpoints has. */
const HOST_CACHE_BYTES = 64e9;

const log = pino({ level: values.verbose ? 'info' : 'silent' }, pino.destination({ dest: 2, sync: true }));
const keeperFolder = mkdtempSync(join(tmpdir(), 'tdiff-keepers-'));
const gpus = values.devices.split(',').map((name) => {
  const device = DeviceName.parse(name);
  const lab: Lab = {
    ...{ checkpoint, device, cacheFolder },
    ...{ threads: availableParallelism(), sizes: [size], batches: [1], runs },
  };
  return { device, engines: new Engines({ lab, keeperFolder, isDry, log }) };
});
const [gpu0, gpu1] = gpus;
if (!gpu0 || !gpu1 || gpus.length !== 2) throw new Error('--devices: expected two, such as cuda:0,cuda:1');
const both = [gpu0, gpu1] as const;
type Gpu = typeof gpu0;

const print = (line: string) => process.stdout.write(`${line}\n`);
const seconds = (ms: number) => `${(ms / 1000).toFixed(3)} s`;
const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(2)} GB`;
const ranged = (samples: readonly number[]) =>
  `${seconds(timing(samples).median)} (${samples.map(seconds).join(', ')})`;
const results: Record<string, unknown> = {};

async function draw(host: EngineHost): Promise<Buffer> {
  const [image] = await host.render({ items: itemsOf(size, 1) });
  if (!image) throw new Error('expected a picture');
  return image.pixels;
}

const openOn = ({ engines }: Gpu) => engines.open({ weights: { hostCacheBytes: HOST_CACHE_BYTES } });

interface FirstPicture {
  readonly ms: number;
  readonly pixels: Buffer;
  readonly host: EngineHost;
}

/** A worker's start on a GPU, with no keeper there. */
async function start(gpu: Gpu): Promise<FirstPicture> {
  await gpu.engines.endKeeper();
  const began = performance.now();
  const host = await openOn(gpu);
  const pixels = await draw(host);
  return { ms: performance.now() - began, pixels, host };
}

const startBoth = () => Promise.all([start(gpu0 as Gpu), start(gpu1 as Gpu)]);
const closeAll = () => Promise.all(both.map(({ engines }) => engines.closeAll()));

async function endAll(): Promise<void> {
  await closeAll();
  for (const { engines } of both) await engines.endKeeper();
}

/** Bytes of each card in use, by whomever. */
async function usedBytes(): Promise<number[]> {
  const query = ['--query-gpu=memory.used', '--format=csv,noheader,nounits'];
  const { stdout } = await promisify(execFile)('nvidia-smi', query, { timeout: 20_000 });
  const all = stdout
    .trim()
    .split('\n')
    .map((line) => Number(line) * 2 ** 20);
  return both.map(({ device }) => all[gpuIndexOf(device) ?? 0] ?? Number.NaN);
}

async function weightsFiles(): Promise<string[]> {
  const names = await readdir(checkpoint, { recursive: true });
  return names.filter((name) => name.endsWith('.safetensors')).map((name) => join(checkpoint, name));
}

const cache = HostCache.open();
async function cachedPaths(): Promise<string[]> {
  const found = await Promise.all((await weightsFiles()).map((file) => cache.find(file)));
  return found.flatMap((entry) => {
    entry?.close();
    return entry ? [entry.path] : [];
  });
}

const cases: Record<string, () => Promise<string>> = {
  async 'both at once, nothing cached: first picture, files read once'() {
    for (const path of await cachedPaths()) await rm(path);
    const before = cache.usedBytes();
    const [first, second] = await startBoth();
    const files = await weightsFiles();
    // Engines do that once they have drawn; those of a dry run have no such cache.
    if (isDry) await Promise.all([cache.keep(files), cache.keep(files)]);
    await until('all files are in memory', async () => (await cachedPaths()).length === files.length);
    const bytes = files.reduce((sum, file) => sum + statSync(file).size, 0);
    const added = cache.usedBytes() - before;
    await closeAll();
    results.uncached = [first.ms, second.ms];
    expect(added === bytes, `${bytes} bytes in shared memory, once, ${added} have come`);
    return `${seconds(first.ms)} and ${seconds(second.ms)}; ${gigabytes(added)} in ${cache.folder}, of ${files.length} files with ${gigabytes(bytes)}`;
  },

  async 'each alone, cached: first picture'() {
    const alone: number[][] = [];
    for (const gpu of both) {
      const samples: number[] = [];
      for (let run = 0; run < runs; run++) {
        samples.push((await start(gpu)).ms);
        await closeAll();
      }
      await gpu.engines.endKeeper();
      alone.push(samples);
    }
    results.alone = alone;
    return both.map(({ device }, at) => `${device} ${ranged(alone[at] as number[])}`).join('; ');
  },

  async 'both at once, cached: first picture'() {
    const together: [number[], number[]] = [[], []];
    for (let run = 0; run < runs; run++) {
      const [first, second] = await startBoth();
      together[0].push(first.ms);
      together[1].push(second.ms);
      await closeAll();
    }
    results.together = together;
    return both.map(({ device }, at) => `${device} ${ranged(together[at] as number[])}`).join('; ');
  },

  async 'the same picture on both, each keeper with its own card’s weights'() {
    for (const { engines } of both) await engines.endKeeper();
    const before = isDry ? [] : await usedBytes();
    const [first, second] = await startBoth();
    const off = meanDifference(first.pixels, second.pixels);
    expect(off < ROUNDINGS, `the same picture on both, they differ by ${off} levels in the mean`);
    await closeAll();
    const kept: string[] = [];
    const keepers = await Promise.all(both.map(({ engines }) => engines.keeperStats()));
    expect(keepers[0]?.pid !== keepers[1]?.pid, 'two keepers');
    for (const [at, { device }] of both.entries()) {
      const held = keepers[at]?.holdings.reduce((sum, { mappedBytes }) => sum + mappedBytes, 0) ?? 0;
      expect(held > 0, `${device}: a keeper that holds something`);
      const more = isDry ? held : ((await usedBytes())[at] ?? 0) - (before[at] ?? 0);
      expect(more >= held, `${device}: ${held} bytes more in use, they are ${more}`);
      // Two models' would be on one of them.
      expect(more < held * 1.5, `${device}: no more than its own weights, ${more} bytes are in use`);
      kept.push(`${device} ${gigabytes(more)} more in use, ${gigabytes(held)} of them weights`);
    }
    const pixels = first.pixels.equals(second.pixels) ? 'equal pixels' : `${off.toFixed(4)} levels apart`;
    return `${pixels}; ${kept.join('; ')}`;
  },

  async 'engine of the first killed: the second draws on, the first finds its weights'() {
    const [first, second] = await Promise.all([openOn(gpu0 as Gpu), openOn(gpu1 as Gpu)]);
    await Promise.all([draw(first), draw(second)]);
    const { pid } = await second.ready();
    const warm = await milliseconds(() => draw(second));
    const streamed = streamedBytes(await (gpu0 as Gpu).engines.keeperStats());
    const [beside] = await Promise.all([milliseconds(() => draw(second)), endEngine(first)]);
    const again = await milliseconds(() => draw(first));
    expect(
      (await second.ready()).pid === pid && second.starts.fresh === 1,
      'the second engine to be the same',
    );
    const after = streamedBytes(await (gpu0 as Gpu).engines.keeperStats());
    expect(after === streamed, 'no byte to be streamed again');
    await closeAll();
    results.killed = { warm, beside, again };
    return `a picture beside it in ${seconds(beside)}, one without in ${seconds(warm)}; the first's next picture after ${seconds(again)}`;
  },

  async 'a lock a device: a second host is refused where one works, and only there'() {
    if (isDry) return 'not in a dry run, whose engines take none';
    const [first] = await Promise.all(
      [openOn(gpu0 as Gpu), openOn(gpu1 as Gpu)].map(async (opening) => {
        const host = await opening;
        await draw(host);
        return host;
      }),
    );
    const other = await openOn(gpu1 as Gpu);
    const refused = await other.ready().then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(refused instanceof DeviceBusy, `DeviceBusy, got ${refused}`);
    await draw(first as EngineHost);
    await closeAll();
    return String(refused);
  },
};

const limit = setTimeout(() => {
  print(`FAILED  not done after ${values.limit} s`);
  void Promise.race([endAll(), sleep(5000)]).finally(() => process.exit(1));
}, Number(values.limit) * 1000);
let failures = 0;
for (const [name, run] of Object.entries(cases)) {
  try {
    print(`ok      ${name}: ${await run()}`);
  } catch (error) {
    failures++;
    print(`FAILED  ${name}: ${error instanceof Error ? error.stack : error}`);
    await closeAll();
  }
  writeFileSync(join(work, 'several-gpus.json'), JSON.stringify(results));
}
clearTimeout(limit);
await endAll();
if (isDry) for (const path of await cachedPaths()) await rm(path);
if (failures === 0) rmSync(keeperFolder, { recursive: true });
print(failures === 0 ? 'all cases hold' : `${failures} cases FAILED`);
process.exit(failures === 0 ? 0 : 1);
