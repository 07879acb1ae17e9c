import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { OutOfMemory } from '../src/contract/errors.js';
import { openCheckpoint } from '../src/gpu/checkpoint/checkpoint.js';
import { openPipeline } from '../src/gpu/engine/pipeline.js';
import type { DeviceRuntime } from '../src/gpu/runtime/cuda/device-runtime.js';
import type { LentWeights } from '../src/gpu/runtime/cuda/weight-source.js';
import { memoryRuntime } from './support/device-runtime.js';
import { Lender } from './support/lender.js';
import { MemoryDriver } from './support/memory-driver.js';
import { TINY_KLEIN } from './support/references.js';
import { scratchFolder } from './support/scratch.js';
import { until } from './support/waiting.js';

/*
 * A runtime whose weights lie in another driver's memory, and what becomes of it where that fails: descriptors, mappings
 * and streams are real ones. Drivers that are closed complain of all that was not given back.
 */

const folder = scratchFolder();
const item = { index: 0, seed: 3, prompt: 'a red tree', width: 40, height: 64, steps: 2 };
const hooks = { onStep: () => {}, signal: new AbortController().signal };
const DRIVER = { isShared: true } as const;

async function drawnWith(runtime: DeviceRuntime): Promise<Uint8Array | undefined> {
  const checkpoint = await openCheckpoint(TINY_KLEIN, { name: 'tested', cacheFolder: folder });
  const pipeline = await openPipeline(checkpoint, runtime, folder);
  try {
    return (await pipeline.render([item], hooks))[0]?.pixels;
  } finally {
    await pipeline.close();
  }
}

test('what is lent is mapped to be read only, and nothing is streamed', async () => {
  const lender = new Lender();
  const driver = new MemoryDriver(DRIVER);
  const expected = await drawnWith(memoryRuntime(new MemoryDriver(DRIVER)));
  assert.deepEqual(await drawnWith(memoryRuntime(driver, { source: lender })), expected);
  assert.equal(driver.log.filter((line) => line.startsWith('createPhysical')).length, 0);
  assert.ok(driver.log.filter((line) => line.startsWith('importDescriptor')).length >= 3);
  assert.ok(lender.isClosed);
  lender.close();
});

describe('weights are streamed after all', () => {
  for (const [what, call, changes] of [
    ['where memory can’t be imported', 'importDescriptor', {}],
    ['where it can’t be mapped', 'map', {}],
    ['where it is less than it should be', undefined, { take: () => [] } satisfies Partial<LentWeights>],
    [
      'where they will not arrive',
      undefined,
      { loaded: () => Promise.reject(new Error('the disk is gone')) } satisfies Partial<LentWeights>,
    ],
  ] as const) {
    test(what, async () => {
      const expected = await drawnWith(memoryRuntime(new MemoryDriver(DRIVER)));
      const lender = new Lender(changes);
      const driver = new MemoryDriver(DRIVER);
      if (call) driver.failOnce(call, { after: 1, code: 1 });
      const reasons: unknown[] = [];
      const onFallback = (reason: unknown) => reasons.push(reason);
      assert.deepEqual(await drawnWith(memoryRuntime(driver, { source: lender, onFallback })), expected);
      assert.ok(reasons.length > 0 && lender.givenBack.length > 0);
      assert.ok(lender.givenBack.every(([, isDamaged]) => !isDamaged));
      await until('the lender has loaded all', () =>
        lender.holdings.all().every(({ state }) => state === 'loaded'),
      );
      lender.close();
    });
  }

  test('where the lender refuses', async () => {
    const reasons: unknown[] = [];
    const source = { lend: () => Promise.reject(new Error('no room')) };
    const onFallback = (reason: unknown) => reasons.push(String(reason));
    await drawnWith(memoryRuntime(new MemoryDriver(DRIVER), { source, onFallback }));
    assert.deepEqual(reasons, ['Error: no room']);
  });
});

test('a runtime that waits for what never comes is closed at once', async () => {
  const lender = new Lender({ loaded: () => new Promise(() => {}) });
  const runtime = memoryRuntime(new MemoryDriver(DRIVER), { source: lender });
  const checkpoint = await openCheckpoint(TINY_KLEIN, { name: 'tested', cacheFolder: folder });
  const pipeline = await openPipeline(checkpoint, runtime, folder);
  const loaded = assert.rejects(pipeline.loaded(), /the runtime was closed/);
  await Promise.all([loaded, pipeline.close()]);
  await until('the lender has loaded all', () =>
    lender.holdings.all().every(({ state }) => state === 'loaded'),
  );
  lender.close();
});

test('where the device is full, others make room and it is tried once more', async () => {
  const rooms = [4096, 0];
  const lender = new Lender({ makeRoom: async () => rooms.shift() ?? 0 });
  const driver = new MemoryDriver(DRIVER);
  const runtime = memoryRuntime(driver, { source: lender });
  const checkpoint = await openCheckpoint(TINY_KLEIN, { name: 'tested', cacheFolder: folder });
  const pipeline = await openPipeline(checkpoint, runtime, folder);
  const tensor = { type: 'float32', dims: [2], data: Float32Array.of(1, 2) } as const;
  driver.failOnce('allocate');
  const held = await runtime.hold(tensor);
  assert.deepEqual(await held.read(), tensor);
  held.release();
  driver.failOnce('allocate');
  await assert.rejects(runtime.hold(tensor), OutOfMemory);
  assert.deepEqual(rooms, []);
  await pipeline.close();
  lender.close();
});
