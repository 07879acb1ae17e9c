import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs, { closeSync, ftruncateSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { CheckpointInvalid, DeviceLost, OutOfMemory, StorageUnavailable } from '../src/contract/errors.js';
import { readSafetensorsHeader } from '../src/gpu/checkpoint/safetensors.js';
import { HostCache } from '../src/gpu/runtime/cuda/host-cache.js';
import { PinnedFiles } from '../src/gpu/runtime/cuda/pinned-files.js';
import { WeightArena } from '../src/gpu/runtime/cuda/weight-arena.js';
import type { NamedTensor } from '../src/gpu/runtime/cuda/weight-layout.js';
import { type StreamProgress, streamWeights } from '../src/gpu/runtime/cuda/weight-stream.js';
import { diskFolder } from './support/disk-folder.js';
import { MemoryDriver, type MemoryDriverOptions } from './support/memory-driver.js';
import { memoryFolder } from './support/memory-folder.js';
import { scratchFolder } from './support/scratch.js';

const CHUNK = 16 * 1024;
const folder = scratchFolder();
let files = 0;

/** A linear congruential generator, so that a file of a seed is always the same. */
function randomBytes(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = seed >>> 0;
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

/** A safetensors file of tensors of those lengths, called w0, w1, … */
async function makeWeights(lengths: readonly number[], seed = 1, inside = folder): Promise<NamedTensor[]> {
  const file = join(inside, `${files++}.safetensors`);
  const header: Record<string, unknown> = {};
  let end = 0;
  lengths.forEach((length, index) => {
    header[`w${index}`] = { dtype: 'U8', shape: [length], data_offsets: [end, end + length] };
    end += length;
  });
  const json = Buffer.from(JSON.stringify(header));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(json.length));
  writeFileSync(file, Buffer.concat([prefix, json, randomBytes(end, seed)]));
  return [...(await readSafetensorsHeader(file))].map(([name, tensor]) => ({ name, ...tensor }));
}

function bytesOf({ file, offset, length }: NamedTensor): Buffer {
  return readFileSync(file).subarray(offset, offset + length);
}

function expectInPlace(driver: MemoryDriver, arena: WeightArena, weights: readonly NamedTensor[]): void {
  for (const weight of weights) {
    if (weight.length === 0) continue;
    const there = driver.bytesAt(arena.addressOf(weight.name), weight.length);
    assert.ok(bytesOf(weight).equals(there), `${arena.component}: ${weight.name}`);
  }
}

interface Scene {
  readonly driver: MemoryDriver;
  readonly arenas: WeightArena[];
  readonly weights: NamedTensor[][];
  /** Closes everything; throws where something leaked or a buffer was used too early. */
  end(): void;
}

async function scene(
  components: Record<string, readonly number[]>,
  options: MemoryDriverOptions = {},
  inside = folder,
): Promise<Scene> {
  const driver = new MemoryDriver(options);
  const arenas: WeightArena[] = [];
  const weights: NamedTensor[][] = [];
  for (const [component, lengths] of Object.entries(components)) {
    const made = await makeWeights(lengths, arenas.length + 1, inside);
    weights.push(made);
    arenas.push(new WeightArena(driver, component, made));
  }
  return {
    driver,
    arenas,
    weights,
    end() {
      for (const arena of arenas) arena.close();
      driver.close();
    },
  };
}

function expectAllInPlace({ driver, arenas, weights }: Scene): void {
  arenas.forEach((arena, index) => {
    assert.equal(arena.isLoaded, true, arena.component);
    expectInPlace(driver, arena, weights[index] as NamedTensor[]);
  });
}

type Read = (
  descriptor: number,
  into: Uint8Array,
  at: number,
  length: number,
  position: number,
  done: (error: NodeJS.ErrnoException | null, count: number) => void,
) => void;

/** Puts something between all reads by descriptor of this process and the system, for one test. */
function interceptReads(t: TestContext, intercept: (read: Read) => Read): void {
  const { read } = fs;
  fs.read = intercept(read as unknown as Read) as unknown as typeof fs.read;
  syncBuiltinESMExports();
  t.after(() => {
    fs.read = read;
    syncBuiltinESMExports();
  });
}

function systemError(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: as the test told`), { code });
}

/** Lets the event loop turn until something is so. */
async function until(isSo: () => boolean): Promise<void> {
  for (let turns = 0; !isSo(); turns++) {
    if (turns > 200_000) throw new Error('it never came to be');
    await turn();
  }
}

const SMALL = { bufferBytes: 4 * CHUNK, chunkBytes: CHUNK };
/** Many sizes that are no multiples of anything. */
const ODD = [1, 300, 256, 0, 70_001, 4096, 33_000, 5, 100_000, 512, 512, 512, 65_536];

test('every weight comes to its place, with the default settings and with small buffers', async () => {
  for (const options of [{}, SMALL, { ...SMALL, streams: 3 }, { bufferBytes: 8192 }]) {
    const all = await scene({ text_encoder: ODD, transformer: [...ODD, ...ODD], vae: [10] });
    const streamed = await streamWeights(all.driver, all.arenas, options).done;
    assert.deepEqual(
      streamed.map(({ component, bytes }) => [component, bytes]),
      all.arenas.map(({ component, bytes }) => [component, bytes]),
    );
    expectAllInPlace(all);
    all.end();
  }
});

test('every weight comes to its place when copies are late and streams overtake each other', async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  console.log(`seed ${seed}`);
  for (let round = 0; round < 4; round++) {
    const all = await scene({ text_encoder: ODD, transformer: ODD }, { pace: { seed: seed + round } });
    await streamWeights(all.driver, all.arenas, { ...SMALL, streams: 2 + round, checksum: round % 2 === 1 })
      .done;
    expectAllInPlace(all);
    all.end();
  }
});

test('a component is loaded when its last byte is in place, before the next one is', async () => {
  const all = await scene({ text_encoder: [3 * CHUNK], transformer: [20 * CHUNK] }, { pace: 'held' });
  const [textEncoder, transformer] = all.arenas as [WeightArena, WeightArena];
  const stream = streamWeights(all.driver, all.arenas, { ...SMALL, streams: 2 });
  let isTextThere = false;
  stream.loaded('text_encoder').then(() => {
    isTextThere = true;
  });
  // Four buffers: three or four chunks of the text encoder, which its header moves off the file's chunk borders.
  await until(() => all.driver.held().reduce((sum, held) => sum + held, 0) === 4);
  all.driver.advance(0, 1);
  all.driver.advance(1, 1);
  for (let turns = 0; turns < 50; turns++) await turn();
  assert.equal(isTextThere, false);
  assert.equal(textEncoder.isLoaded, false);
  await until(() => all.driver.held().reduce((sum, held) => sum + held, 0) === 4);
  all.driver.advance(0, 1);
  all.driver.advance(1, 1);
  await until(() => isTextThere);
  assert.equal(textEncoder.isLoaded, true);
  assert.equal(transformer.isLoaded, false);
  expectInPlace(all.driver, textEncoder, all.weights[0] as NamedTensor[]);
  all.driver.letGo();
  const transformerStreamed = await stream.loaded('transformer');
  assert.equal(transformerStreamed.bytes, 20 * CHUNK);
  await stream.done;
  expectAllInPlace(all);
  assert.throws(() => stream.loaded('vae'), /expected one of text_encoder, transformer, got vae/);
  all.end();
});

test('slow copies hold reads back: no more is pinned or read than the buffer', async () => {
  const all = await scene({ transformer: [40 * CHUNK] }, { pace: 'held' });
  let read = 0;
  const onProgress = ({ kind, bytes }: StreamProgress) => {
    if (kind === 'read') read += bytes;
  };
  const stream = streamWeights(all.driver, all.arenas, { ...SMALL, onProgress });
  await until(() => all.driver.held().reduce((sum, held) => sum + held, 0) === 4);
  for (let turns = 0; turns < 100; turns++) await turn();
  assert.ok(read <= 4 * CHUNK, String(read));
  assert.equal(all.driver.peakPinnedBytes, 4 * CHUNK);
  const before = read;
  all.driver.advance(0, 1);
  await until(() => read > before);
  assert.ok(read <= before + CHUNK);
  all.driver.letGo();
  await stream.done;
  assert.equal(read, 40 * CHUNK);
  assert.equal(all.driver.peakPinnedBytes, 4 * CHUNK);
  all.end();
});

test('a few weights pin no more than they need', async () => {
  const all = await scene({ vae: [CHUNK + 1] });
  await streamWeights(all.driver, all.arenas, { chunkBytes: CHUNK }).done;
  // Behind the header they lie in two or three of the file's chunks.
  assert.ok(all.driver.peakPinnedBytes <= 3 * CHUNK, String(all.driver.peakPinnedBytes));
  expectAllInPlace(all);
  all.end();
});

test('several reads run at a time', async (t) => {
  let inFlight = 0;
  let most = 0;
  interceptReads(t, (read) => (descriptor, into, at, length, position, done) => {
    most = Math.max(most, ++inFlight);
    read(descriptor, into, at, length, position, (error, count) => {
      inFlight--;
      done(error, count);
    });
  });
  const all = await scene({ transformer: [40 * CHUNK] });
  await streamWeights(all.driver, all.arenas, SMALL).done;
  assert.equal(most, 4);
  all.end();
});

for (const [direct, how] of [
  [false, 'through the page cache'],
  [true, 'past it'],
] as const) {
  test(`a read that brings a part goes on where it stopped, ${how}`, async (t) => {
    const all = await scene({ transformer: ODD });
    let parts = 0;
    interceptReads(t, (read) => (descriptor, into, at, length, position, done) => {
      // An odd part, and of a direct read one that ends within a block.
      const part = length > 4096 && parts++ % 3 < 2 ? Math.ceil(length / 2) + 1 : length;
      if (direct) assert.equal(position % 4096, 0);
      read(descriptor, into, at, length, position, (error, count) => {
        const got = Math.min(count, part);
        into.fill(0xaa, at + got, at + length);
        done(error, got);
      });
    });
    await streamWeights(all.driver, all.arenas, { ...SMALL, direct }).done;
    assert.ok(parts > 10);
    expectAllInPlace(all);
    all.end();
  });
}

test('a read that fails names file and place; nothing counts as loaded, and a second stream goes on', async (t) => {
  const all = await scene({ text_encoder: [2 * CHUNK], transformer: [40 * CHUNK], vae: [CHUNK] });
  let reads = 0;
  let isBroken = true;
  interceptReads(t, (read) => (descriptor, into, at, length, position, done) => {
    if (isBroken && ++reads === 20) setImmediate(() => done(systemError('EIO'), 0));
    else read(descriptor, into, at, length, position, done);
  });
  const stream = streamWeights(all.driver, all.arenas, SMALL);
  const [text, transformer, vae] = await Promise.allSettled(
    ['text_encoder', 'transformer', 'vae'].map((component) => stream.loaded(component)),
  );
  assert.equal(text?.status, 'fulfilled');
  assert.equal(vae?.status, 'rejected');
  assert.ok(transformer?.status === 'rejected' && transformer.reason instanceof StorageUnavailable);
  const file = all.weights[1]?.[0]?.file as string;
  assert.match(transformer.reason.message, /can't read \d+ bytes at byte \d+: EIO/);
  assert.ok(transformer.reason.message.startsWith(file));
  await assert.rejects(stream.done, StorageUnavailable);
  assert.deepEqual(
    all.arenas.map(({ isLoaded }) => isLoaded),
    [true, false, false],
  );

  isBroken = false;
  const again = await streamWeights(all.driver, all.arenas, SMALL).done;
  assert.deepEqual(
    again.map(({ component }) => component),
    ['text_encoder', 'transformer', 'vae'],
  );
  assert.equal(again[0]?.bytes, 0);
  assert.ok((again[1]?.bytes ?? 0) > 0 && (again[1]?.bytes ?? 0) < 40 * CHUNK, String(again[1]?.bytes));
  assert.equal(again[2]?.bytes, CHUNK);
  expectAllInPlace(all);
  all.end();
});

test('a file that is cut off, or gone, is an invalid checkpoint', async () => {
  for (const direct of [false, true]) {
    const all = await scene({ transformer: [10 * CHUNK] });
    const file = all.weights[0]?.[0]?.file as string;
    const descriptor = openSync(file, 'r+');
    ftruncateSync(descriptor, 5 * CHUNK + 7);
    closeSync(descriptor);
    await assert.rejects(streamWeights(all.driver, all.arenas, { ...SMALL, direct }).done, (error) => {
      assert.ok(error instanceof CheckpointInvalid);
      assert.match(
        error.message,
        new RegExp(`${file}: expected weights up to byte \\d+, the file ends at byte`),
      );
      return true;
    });
    assert.equal(all.arenas[0]?.isLoaded, false);
    fs.rmSync(file);
    await assert.rejects(streamWeights(all.driver, all.arenas, { ...SMALL, direct }).done, CheckpointInvalid);
    all.end();
  }
});

test('a copy that is refused ends the stream, which can be taken up again', async () => {
  const all = await scene({ transformer: [20 * CHUNK] });
  all.driver.failOnce('copyToDevice', { after: 7, code: 1 });
  await assert.rejects(streamWeights(all.driver, all.arenas, SMALL).done, /CUDA_ERROR_INVALID_VALUE/);
  assert.equal(all.arenas[0]?.isLoaded, false);
  await streamWeights(all.driver, all.arenas, SMALL).done;
  expectAllInPlace(all);
  all.end();
});

test('a GPU that falls off while copies are under way is DeviceLost, and everything is given back', async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  console.log(`seed ${seed}`);
  const all = await scene({ text_encoder: [CHUNK], transformer: [20 * CHUNK] }, { pace: { seed } });
  all.driver.failOnce('copying', { after: 9, code: 719 });
  const stream = streamWeights(all.driver, all.arenas, SMALL);
  await assert.rejects(stream.loaded('transformer'), DeviceLost);
  await assert.rejects(stream.done, DeviceLost);
  assert.equal(all.arenas[1]?.isLoaded, false);
  all.end();
});

test('a host that can pin no more memory, or an event that is refused, leaves nothing behind', async () => {
  for (const call of ['createStream', 'allocatePinned', 'createEvent', 'record'] as const) {
    const all = await scene({ transformer: [20 * CHUNK] }, { pace: { seed: 1 } });
    all.driver.failOnce(call, { after: call === 'allocatePinned' ? 0 : 1 });
    await assert.rejects(streamWeights(all.driver, all.arenas, SMALL).done, OutOfMemory, call);
    await streamWeights(all.driver, all.arenas, SMALL).done;
    expectAllInPlace(all);
    all.end();
  }
});

test('a cancelled stream ends once nothing is under way, and can be taken up again', async () => {
  for (const checksum of [false, true]) {
    const all = await scene({ transformer: [30 * CHUNK] }, { pace: 'held' });
    const controller = new AbortController();
    const reason = new Error('the job was cancelled');
    const stream = streamWeights(all.driver, all.arenas, { ...SMALL, checksum, signal: controller.signal });
    let isOver = false;
    const over = assert.rejects(stream.done, reason).then(() => {
      isOver = true;
    });
    await until(() => all.driver.held().reduce((sum, held) => sum + held, 0) === 4);
    controller.abort(reason);
    for (let turns = 0; turns < 50; turns++) await turn();
    assert.equal(isOver, false, 'its buffers are still being copied from');
    assert.throws(() => all.arenas[0]?.release(), /expected its stream to end before release/);
    assert.throws(() => streamWeights(all.driver, all.arenas, SMALL), /being streamed already/);
    all.driver.letGo();
    await over;
    assert.equal(all.arenas[0]?.isLoaded, false);
    const again = await streamWeights(all.driver, all.arenas, SMALL).done;
    // What was copied needs no second copy; the header makes the first chunk a little shorter than the others.
    if (!checksum) assert.equal(Math.floor((again[0]?.bytes ?? 0) / CHUNK), 26);
    expectAllInPlace(all);
    all.end();
  }
});

test('a component that was there already stays loaded when one before it fails', async () => {
  const all = await scene({ text_encoder: [CHUNK], transformer: [CHUNK], vae: [CHUNK] });
  const [textEncoder, transformer] = all.arenas as [WeightArena, WeightArena];
  await streamWeights(all.driver, [transformer], SMALL).done;
  fs.rmSync(all.weights[0]?.[0]?.file as string);
  const stream = streamWeights(all.driver, all.arenas, SMALL);
  assert.equal((await stream.loaded('transformer')).bytes, 0);
  await assert.rejects(stream.loaded('text_encoder'), CheckpointInvalid);
  await assert.rejects(stream.loaded('vae'), CheckpointInvalid);
  assert.equal(transformer.isLoaded, true);
  assert.equal(textEncoder.isLoaded, false);
  expectInPlace(all.driver, transformer, all.weights[1] as NamedTensor[]);
  all.end();
});

test('a stream that is cancelled before it began takes nothing', async () => {
  const all = await scene({ transformer: [CHUNK] });
  const signal = AbortSignal.abort(new Error('too late'));
  await assert.rejects(streamWeights(all.driver, all.arenas, { signal }).done, /too late/);
  assert.equal(all.driver.peakPinnedBytes, 0);
  all.end();
});

test('weights that were released and streamed again are the same at the same addresses', async () => {
  const all = await scene({ text_encoder: ODD, transformer: ODD });
  await streamWeights(all.driver, all.arenas, SMALL).done;
  const addresses = all.arenas.map((arena) => arena.addressOf('w4'));
  const free = all.driver.memory().freeBytes;
  for (const arena of all.arenas) arena.release();
  assert.equal(all.driver.memory().freeBytes, all.driver.facts.totalBytes);
  assert.deepEqual(
    all.arenas.map(({ isLoaded }) => isLoaded),
    [false, false],
  );
  assert.throws(() => streamWeights(all.driver, all.arenas, SMALL), /text_encoder: expected resume\(\)/);
  for (const arena of all.arenas) arena.resume();
  assert.equal(all.driver.memory().freeBytes, free);
  assert.equal(all.arenas[0]?.isLoaded, false);
  await streamWeights(all.driver, all.arenas, SMALL).done;
  assert.deepEqual(
    all.arenas.map((arena) => arena.addressOf('w4')),
    addresses,
  );
  expectAllInPlace(all);
  all.end();
});

test('the ring is of memory for writing only, except where it is read for a checksum', async () => {
  const all = await scene({ a: [3 * CHUNK] });
  await streamWeights(all.driver, all.arenas, SMALL).done;
  await streamWeights(all.driver, all.arenas, { ...SMALL, checksum: true }).done;
  assert.deepEqual(all.driver.pinnedWriteOnly, [true, false]);
  all.end();
});

test('a checksum is the SHA-256 of a component in the order of its plan, whatever comes first', async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  console.log(`seed ${seed}`);
  const all = await scene({ text_encoder: ODD, transformer: [50 * CHUNK, 11] }, { pace: { seed } });
  const expected = all.arenas.map(({ plan }) => {
    const hash = createHash('sha256');
    for (const { file, fileOffset, length } of plan) {
      hash.update(readFileSync(file).subarray(fileOffset, fileOffset + length));
    }
    return hash.digest('hex');
  });
  for (let round = 0; round < 2; round++) {
    // What is in place already is read once more.
    const streamed = await streamWeights(all.driver, all.arenas, { ...SMALL, checksum: true }).done;
    assert.deepEqual(
      streamed.map(({ sha256 }) => sha256),
      expected,
    );
  }
  expectAllInPlace(all);
  all.end();
});

test('a chunk that was copied stays in its buffer until those before it are digested', async (t) => {
  const all = await scene({ transformer: [20 * CHUNK] });
  const first = all.arenas[0]?.plan[0];
  let release = () => {};
  interceptReads(t, (read) => (descriptor, into, at, length, position, done) => {
    if (position !== first?.fileOffset) read(descriptor, into, at, length, position, done);
    else release = () => read(descriptor, into, at, length, position, done);
  });
  let copied = 0;
  const onProgress = ({ kind }: StreamProgress) => {
    if (kind === 'copy') copied++;
  };
  const stream = streamWeights(all.driver, all.arenas, { ...SMALL, checksum: true, onProgress });
  await until(() => copied === 3);
  for (let turns = 0; turns < 100; turns++) await turn();
  assert.equal(copied, 3);
  release();
  const [streamed] = await stream.done;
  const weights = Buffer.concat((all.weights[0] as NamedTensor[]).map(bytesOf));
  assert.equal(streamed?.sha256, createHash('sha256').update(weights).digest('hex'));
  all.end();
});

test('reads go past the page cache in whole blocks where the file system can, else through it', async (t) => {
  const disk = diskFolder();
  if (disk === undefined) return t.skip('this machine has no disk for temporary files');
  let direct = 0;
  let refuse = false;
  interceptReads(t, (read) => (descriptor, into, at, length, position, done) => {
    const flags = Number.parseInt(
      /flags:\s*(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, 'utf8'))?.[1] ?? '0',
      8,
    );
    const isDirect = (flags & fs.constants.O_DIRECT) !== 0;
    if (isDirect) {
      direct++;
      assert.equal(position % 4096, 0);
      assert.equal(length % 4096, 0);
      assert.equal(at % 4096, 0);
    }
    if (isDirect && refuse) setImmediate(() => done(systemError('EINVAL'), 0));
    else read(descriptor, into, at, length, position, done);
  });
  const all = await scene({ text_encoder: ODD, transformer: [37 * CHUNK, 3] }, {}, disk);
  await streamWeights(all.driver, all.arenas, { ...SMALL, direct: true }).done;
  assert.ok(direct > 40, `${direct} direct reads`);
  expectAllInPlace(all);

  direct = 0;
  refuse = true;
  for (const arena of all.arenas) {
    arena.release();
    arena.resume();
  }
  await streamWeights(all.driver, all.arenas, { ...SMALL, direct: true }).done;
  assert.ok(direct > 0 && direct <= 8, `${direct} direct reads before it went on through the page cache`);
  expectAllInPlace(all);
  all.end();
});

test('what the host cache has is read from there, and from the file where the cache is gone', async (t) => {
  const disk = diskFolder();
  if (disk === undefined) return t.skip('this machine has no disk for temporary files');
  const all = await scene({ text_encoder: ODD, transformer: [10 * CHUNK] }, {}, disk);
  const cacheFolder = join(disk, 'cache');
  const cache = HostCache.open({ folder: cacheFolder, maxBytes: 2 ** 30 });
  const file = all.weights[1]?.[0]?.file as string;
  await cache.keep([file]);
  const copy = await cache.find(file);
  // A mark that the file itself doesn't have.
  const marked = openSync(copy?.path as string, 'r+');
  writeSync(marked, 'mark', all.weights[1]?.[0]?.offset);
  closeSync(marked);
  copy?.close();
  const beginning = () =>
    Buffer.from(all.driver.bytesAt(all.arenas[1]?.address as bigint, 4)).toString('latin1');
  await streamWeights(all.driver, all.arenas, { ...SMALL, cache }).done;
  assert.equal(beginning(), 'mark');
  expectInPlace(all.driver, all.arenas[0] as WeightArena, all.weights[0] as NamedTensor[]);

  fs.rmSync(cacheFolder, { recursive: true });
  for (const arena of all.arenas) {
    arena.release();
    arena.resume();
  }
  await streamWeights(all.driver, all.arenas, { ...SMALL, cache }).done;
  expectAllInPlace(all);
  all.end();
});

test('progress tells of every byte that was read and copied, in time', async () => {
  const all = await scene({ text_encoder: ODD, transformer: [10 * CHUNK] });
  const events: StreamProgress[] = [];
  await streamWeights(all.driver, all.arenas, { ...SMALL, onProgress: (progress) => events.push(progress) })
    .done;
  for (const { component, bytes } of all.arenas) {
    for (const kind of ['read', 'copy']) {
      const mine = events.filter((event) => event.component === component && event.kind === kind);
      assert.equal(
        mine.reduce((sum, event) => sum + event.bytes, 0),
        bytes,
        `${component} ${kind}`,
      );
      assert.ok(mine.every(({ from, to }) => from <= to));
    }
  }
  all.end();
});

test('settings that can not work are refused', async () => {
  const all = await scene({ transformer: [CHUNK] });
  for (const options of [
    { chunkBytes: 5000 },
    { bufferBytes: 4096, chunkBytes: 8192 },
    { bufferBytes: 100 },
  ]) {
    assert.throws(() => streamWeights(all.driver, all.arenas, options), RangeError);
  }
  const twice = [...all.arenas, ...all.arenas];
  assert.throws(() => streamWeights(all.driver, twice), /expected different components/);
  all.end();
});

describe('a large buffer', () => {
  const MIB = 2 ** 20;

  test('is taken in pieces, while the first ones are in use', async () => {
    const all = await scene({ transformer: [40 * MIB] });
    await streamWeights(all.driver, all.arenas).done;
    expectAllInPlace(all);
    const taken = all.driver.log.flatMap((line) => /^allocatePinned bytes=(\d+)$/.exec(line)?.[1] ?? []);
    assert.equal(Number(taken[0]), 8 * MIB);
    assert.ok(
      taken.every((bytes) => Number(bytes) <= 8 * MIB),
      String(taken),
    );
    assert.ok(all.driver.peakPinnedBytes <= 42 * MIB);
    all.end();
  });

  test('of which a later piece can not be had fails the stream; the rest comes the next time', async () => {
    const all = await scene({ transformer: [40 * MIB] }, { pace: 'held' });
    all.driver.failOnce('allocatePinned', { after: 1 });
    const { done } = streamWeights(all.driver, all.arenas);
    const failed = assert.rejects(done, OutOfMemory);
    await until(() => all.driver.log.filter((line) => line.startsWith('allocatePinned')).length === 2);
    all.driver.letGo();
    await failed;
    await streamWeights(all.driver, all.arenas).done;
    expectAllInPlace(all);
    all.end();
  });

  test('is taken no further once the stream is cancelled, and given back', async () => {
    const all = await scene({ transformer: [40 * MIB] }, { pace: 'held' });
    const stop = new AbortController();
    const { done } = streamWeights(all.driver, all.arenas, { signal: stop.signal });
    const failed = assert.rejects(done, /not wanted/);
    await until(() => all.driver.peakPinnedBytes > 0);
    stop.abort(new Error('not wanted'));
    const { peakPinnedBytes } = all.driver;
    all.driver.letGo();
    await failed;
    await turn();
    assert.equal(all.driver.peakPinnedBytes, peakPinnedBytes);
    all.end();
  });
});

describe('what is pinned where it lies', () => {
  const memory = memoryFolder();
  const skip = memory === undefined && 'this machine has no shared memory';
  const PIECE = 4 * CHUNK;

  function filesOf({ weights }: Scene): string[] {
    return weights.flat().map(({ file }) => file);
  }

  /** @param pieces how many are pinned before the driver refuses one. Default: all */
  async function pinned(all: Scene, pieces?: number): Promise<PinnedFiles> {
    const made = new PinnedFiles(all.driver, { pieceBytes: PIECE });
    if (pieces !== undefined) all.driver.failOnce('pin', { after: pieces });
    await made.pin(filesOf(all));
    return made;
  }

  test('goes to the device from there, with no buffer between', { skip }, async () => {
    const all = await scene({ text_encoder: ODD, transformer: [...ODD, ...ODD] }, {}, memory);
    const files = await pinned(all);
    const placed: Record<string, number> = {};
    const heard = new Set<string>();
    await streamWeights(all.driver, all.arenas, {
      pinned: files,
      onPlaced: (component, end) => (placed[component] = end),
      onProgress: ({ kind }) => heard.add(kind),
    }).done;
    expectAllInPlace(all);
    assert.equal(all.driver.peakPinnedBytes, 0);
    assert.deepEqual([...heard], ['copy']);
    for (const { component, plan } of all.arenas) {
      const last = plan.at(-1);
      assert.equal(placed[component], (last?.arenaOffset ?? 0) + (last?.length ?? 0));
    }
    files.release();
    all.end();
  });

  test('in part is streamed in part, whenever copies end', { skip }, async () => {
    for (let round = 0; round < 12; round++) {
      const all = await scene(
        { text_encoder: ODD, transformer: [...ODD, ...ODD] },
        { pace: { seed: 4711 + round } },
        memory,
      );
      const files = await pinned(all, round);
      await streamWeights(all.driver, all.arenas, { ...SMALL, streams: 2, pinned: files }).done;
      expectAllInPlace(all);
      files.release();
      all.end();
    }
  });

  test('is copied in chunks of 16 MiB, none of two pieces', { skip }, async () => {
    const all = await scene({ transformer: [40 * 2 ** 20] }, {}, memory);
    const files = new PinnedFiles(all.driver);
    await files.pin(filesOf(all));
    await streamWeights(all.driver, all.arenas, { pinned: files }).done;
    expectAllInPlace(all);
    const copies = all.driver.log.filter((line) => line.startsWith('copyToDevice'));
    assert.equal(copies.length, 3);
    files.release();
    all.end();
  });

  test('and has changed since is read anew', { skip }, async () => {
    const all = await scene({ transformer: [PIECE] }, {}, memory);
    const files = await pinned(all);
    const [file] = filesOf(all) as [string];
    const bytes = readFileSync(file);
    bytes.fill(7, bytes.length - PIECE);
    writeFileSync(file, bytes);
    await streamWeights(all.driver, all.arenas, { ...SMALL, pinned: files }).done;
    expectAllInPlace(all);
    assert.ok(all.driver.peakPinnedBytes > 0);
    files.release();
    all.end();
  });

  test('is read where it is to be digested', { skip }, async () => {
    const all = await scene({ transformer: ODD }, {}, memory);
    const files = await pinned(all);
    const [streamed] = await streamWeights(all.driver, all.arenas, { checksum: true, pinned: files }).done;
    assert.match(streamed?.sha256 ?? '', /^[0-9a-f]{64}$/);
    assert.ok(all.driver.peakPinnedBytes > 0);
    files.release();
    all.end();
  });

  test('comes the next time where a copy fails, or the stream is cancelled', { skip }, async () => {
    for (const cancel of [false, true]) {
      const all = await scene({ text_encoder: ODD, transformer: ODD }, { pace: 'held' }, memory);
      const files = await pinned(all);
      const stop = new AbortController();
      if (!cancel) all.driver.failOnce('copyToDevice', { after: 3, code: 1 });
      const { done } = streamWeights(all.driver, all.arenas, { pinned: files, signal: stop.signal });
      const failed = assert.rejects(done, cancel ? /not now/ : /CUDA_ERROR_INVALID_VALUE/);
      await until(() => all.driver.held().some((copies) => copies > 0));
      if (cancel) stop.abort(new Error('not now'));
      all.driver.letGo();
      await failed;
      assert.ok(all.arenas.some(({ isLoaded }) => !isLoaded));
      await streamWeights(all.driver, all.arenas, { pinned: files }).done;
      expectAllInPlace(all);
      files.release();
      all.end();
    }
  });
});
