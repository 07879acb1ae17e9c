import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DeviceLost, OutOfMemory } from '../src/contract/errors.js';
import { openCudaDriver } from '../src/gpu/runtime/cuda/cuda-driver.js';
import { CudaError, errorOfCuda } from '../src/gpu/runtime/cuda/cuda-error.js';
import { WeightArena } from '../src/gpu/runtime/cuda/weight-arena.js';
import type { NamedTensor } from '../src/gpu/runtime/cuda/weight-layout.js';
import { MemoryDriver } from './support/memory-driver.js';

const UNIT = 2 * 2 ** 20;

function tensor(name: string, file: string, offset: number, length: number): NamedTensor {
  return { name, file, offset, length, dtype: 'U8', shape: [length] };
}

test('neighbours in a file are one copy, whatever the order of use; each weight is aligned', () => {
  const driver = new MemoryDriver();
  const arena = new WeightArena(driver, 'transformer', [
    tensor('c', '/one', 1000 + 768, 512),
    tensor('a', '/one', 1000, 256),
    tensor('b', '/one', 1256, 512),
    tensor('far', '/one', 9000, 100),
    tensor('behind odd', '/one', 9100, 300),
    tensor('other file', '/two', 8, 64),
  ]);
  assert.deepEqual(arena.plan, [
    { file: '/one', fileOffset: 1000, arenaOffset: 0, length: 1280 },
    { file: '/one', fileOffset: 9000, arenaOffset: 1280, length: 100 },
    { file: '/one', fileOffset: 9100, arenaOffset: 1536, length: 300 },
    { file: '/two', fileOffset: 8, arenaOffset: 2048, length: 64 },
  ]);
  assert.equal(arena.addressOf('b') - arena.address, 256n);
  assert.equal(arena.addressOf('c') - arena.address, 768n);
  for (const name of ['a', 'b', 'c', 'far', 'behind odd', 'other file']) {
    assert.equal(arena.addressOf(name) % 256n, 0n, name);
  }
  assert.equal(arena.bytes, 1280 + 100 + 300 + 64);
  assert.throws(() => arena.addressOf('d'), /transformer: expected one of its weights, got d/);
  arena.close();
  driver.close();
});

test('tied weights share their bytes, and an empty one needs none', () => {
  const driver = new MemoryDriver();
  const arena = new WeightArena(driver, 'text_encoder', [
    tensor('embed', '/one', 512, 1024),
    tensor('head', '/one', 512, 1024),
    tensor('embed', '/one', 512, 1024),
    tensor('empty', '/one', 512, 0),
  ]);
  assert.equal(arena.addressOf('embed'), arena.addressOf('head'));
  assert.equal(arena.plan.length, 1);
  assert.equal(arena.bytes, 1024);
  arena.close();
  driver.close();
});

test('a name with two places is refused', () => {
  const driver = new MemoryDriver();
  const twice = [tensor('a', '/one', 512, 1024), tensor('a', '/two', 512, 1024)];
  assert.throws(() => new WeightArena(driver, 'vae', twice), /one place for the weight a, got two/);
  driver.close();
});

test('an arena takes a few large pieces, gives them back with release and keeps its addresses', () => {
  const driver = new MemoryDriver({ totalBytes: 8 * UNIT });
  const weights = [tensor('a', '/one', 0, 5 * UNIT - 100)];
  const arena = new WeightArena(driver, 'vae', weights, { pieceBytes: 2 * UNIT });
  assert.deepEqual(
    driver.log.filter((line) => line.startsWith('createPhysical')),
    [2, 2, 1].map((units) => `createPhysical bytes=${units * UNIT}`),
  );
  assert.equal(driver.memory().freeBytes, 3 * UNIT);
  const before = arena.addressOf('a');
  arena.release();
  assert.equal(driver.memory().freeBytes, 8 * UNIT);
  assert.equal(arena.isMapped, false);
  assert.throws(() => arena.beginLoading(), /expected resume\(\)/);
  arena.release();
  arena.resume();
  assert.equal(arena.addressOf('a'), before);
  assert.equal(driver.memory().freeBytes, 3 * UNIT);
  arena.release();
  arena.close();
  driver.close();
});

test('weights that do not fit say what they need and what is free, and take nothing', () => {
  const driver = new MemoryDriver({ totalBytes: 4 * UNIT });
  const weights = [tensor('a', '/one', 0, 5 * UNIT)];
  assert.throws(
    () => new WeightArena(driver, 'transformer', weights, { pieceBytes: UNIT }),
    (error) =>
      error instanceof OutOfMemory &&
      /weights of transformer need 0\.01 GB .* 0\.01 GB of 0\.01 GB free; .*needed=10485760, free=8388608/.test(
        error.message.replaceAll('\n', ' '),
      ),
  );
  assert.equal(driver.memory().freeBytes, 4 * UNIT);
  driver.close();
});

test('an arena that finds no room at resume stays released, and resumes once there is', () => {
  const driver = new MemoryDriver({ totalBytes: 4 * UNIT });
  const arena = new WeightArena(driver, 'transformer', [tensor('a', '/one', 0, 3 * UNIT)], {
    pieceBytes: UNIT,
  });
  arena.release();
  const other = driver.allocate(2 * UNIT);
  assert.throws(() => arena.resume(), OutOfMemory);
  assert.equal(arena.isMapped, false);
  assert.equal(driver.memory().freeBytes, 2 * UNIT);
  other.close();
  arena.resume();
  assert.equal(arena.isMapped, true);
  arena.close();
  driver.close();
});

test('the memory driver keeps physical memory as long as it is mapped or held, and reports what was never closed', () => {
  const driver = new MemoryDriver({ totalBytes: 4 * UNIT });
  const range = driver.reserve(2 * UNIT);
  const memory = driver.createPhysical(UNIT);
  driver.map(range.address, memory);
  const pinned = driver.allocatePinned(4096);
  pinned.bytes.fill(7);
  const stream = driver.createStream();
  stream.copyToDevice(range.address, pinned.address, 4096);
  driver.unmap({ address: range.address, bytes: UNIT });
  driver.map(range.address + BigInt(UNIT), memory);
  assert.equal(driver.bytesAt(range.address + BigInt(UNIT), 4096).at(-1), 7);
  assert.throws(() => stream.copyToDevice(range.address, pinned.address, 1), CudaError);
  memory.close();
  assert.equal(driver.memory().freeBytes, 3 * UNIT);
  driver.unmap({ address: range.address + BigInt(UNIT), bytes: UNIT });
  assert.equal(driver.memory().freeBytes, 4 * UNIT);
  assert.throws(() => memory.close(), /piece of physical memory was closed twice/);
  assert.throws(() => driver.close(), /never closed: 1 × range of addresses, 1 × pinned buffer, 1 × stream/);
});

test('the memory driver notices a pinned buffer that is used again before its copy is made', async () => {
  const driver = new MemoryDriver({ pace: 'held' });
  const target = driver.allocate(4096);
  const pinned = driver.allocatePinned(4096);
  const stream = driver.createStream();
  const event = driver.createEvent();
  stream.copyToDevice(target.address, pinned.address, 4096);
  stream.record(event);
  assert.equal(event.isDone(), false);
  pinned.bytes[0] = 1;
  driver.letGo();
  await event.done();
  for (const handle of [event, stream, pinned, target]) handle.close();
  assert.throws(() => driver.close(), /pinned memory changed before the copy from it was made/);
});

test('answers of CUDA become our kinds of error, with its name, its number and what to do', () => {
  const full = errorOfCuda('cuMemCreate', 2, 'CUDA_ERROR_OUT_OF_MEMORY', 'bytes=4096');
  assert.ok(full instanceof OutOfMemory);
  assert.match(full.message, /cuMemCreate failed: CUDA_ERROR_OUT_OF_MEMORY \(2\): \[bytes=4096\]/);
  assert.ok(full.cause instanceof CudaError && full.cause.code === 2);
  for (const code of [100, 101, 214, 700, 719, 999]) {
    assert.ok(errorOfCuda('cuEventQuery', code) instanceof DeviceLost, String(code));
  }
  const mistake = errorOfCuda('cuMemMap', 1);
  assert.ok(mistake instanceof CudaError);
  assert.equal(mistake.codeName, 'CUDA_ERROR_INVALID_VALUE');
});

test('a machine without an NVIDIA driver is told what is missing and how to get it', async (t) => {
  const opened = await openCudaDriver().catch((error: unknown) => error);
  if (!(opened instanceof Error)) {
    (opened as { close(): void }).close();
    return t.skip('this machine has a driver');
  }
  assert.ok(opened instanceof DeviceLost);
  assert.match(
    opened.message,
    /expected NVIDIA's driver library libcuda\.so\.1, .*install the NVIDIA driver/,
  );
});
