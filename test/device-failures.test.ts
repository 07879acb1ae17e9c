import assert from 'node:assert/strict';
import fs from 'node:fs';
import { cp, truncate } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import {
  CheckpointInvalid,
  DeviceLost,
  EngineCrashed,
  OutOfMemory,
  RenderError,
  StorageUnavailable,
} from '../src/contract/errors.js';
import { openCheckpoint } from '../src/gpu/checkpoint/checkpoint.js';
import { openPipeline } from '../src/gpu/engine/pipeline.js';
import { buildGraphs, FLOAT32 } from '../src/gpu/graph/graphs.js';
import { errorOfOrt } from '../src/gpu/runtime/cuda/ort-error.js';
import { RunThread } from '../src/gpu/runtime/cuda/run-thread.js';
import { StageProgress } from '../src/gpu/runtime/cuda/stage-progress.js';
import type { RuntimeGraph } from '../src/gpu/runtime/session.js';
import { memoryRuntime } from './support/device-runtime.js';
import { MemoryDriver } from './support/memory-driver.js';
import { MemoryEngine } from './support/memory-engine.js';
import { TINY_KLEIN } from './support/references.js';
import { scratchFolder } from './support/scratch.js';

/*
 * What becomes of an engine whose device, weights or threads fail: ONNX Runtime through its C API, on its CPU kernels,
 * over an in-memory driver.
 */

const folder = scratchFolder();

async function vaeOf(checkpointFolder: string): Promise<RuntimeGraph> {
  const checkpoint = await openCheckpoint(checkpointFolder, { name: 'tested', cacheFolder: folder });
  const weightsFolder = checkpoint.vae.weights.folder;
  return { component: 'vae', ...buildGraphs(checkpoint, FLOAT32).vaeDecoder, weightsFolder };
}

const item = { index: 0, seed: 3, prompt: 'a red tree', width: 40, height: 64, steps: 2 };
const hooks = { onStep: () => {}, signal: new AbortController().signal };

/** Lets so many reads of weights fail as a disk does that does not answer. */
function failReads(t: TestContext, times: number): void {
  const { read } = fs;
  let failed = 0;
  fs.read = ((...args: unknown[]) => {
    if (failed >= times) return (read as unknown as (...args: unknown[]) => void)(...args);
    failed++;
    const done = args.at(-1) as (error: Error, count: number) => void;
    const error = Object.assign(new Error('EIO: as the test told'), { code: 'EIO' });
    process.nextTick(() => done(error, 0));
  }) as unknown as typeof fs.read;
  syncBuiltinESMExports();
  t.after(() => {
    fs.read = read;
    syncBuiltinESMExports();
  });
}

test('what ONNX Runtime says of the device decides what becomes of the engine', () => {
  const where = '; GPU=0 ; hostname=a ; file=cuda_call.cc ; line=129 ; expr=cudaStreamSynchronize(s); ';
  for (const lost of [
    `Non-zero status code returned while running Gemm node. CUDA failure 700: an illegal memory access was encountered ${where}`,
    `CUDA failure 719: unspecified launch failure ${where}`,
    `CUDA failure 710: device-side assert triggered ${where}`,
    `CUDA failure 214: uncorrectable ECC error encountered ${where}`,
    `CUDA error 709: context is destroyed ${where}`,
    `CUBLAS failure 13: CUBLAS_STATUS_EXECUTION_FAILED ${where}`,
    `CUDNN failure 5000: CUDNN_STATUS_EXECUTION_FAILED ${where}`,
    `CUDNN failure 5003: CUDNN_STATUS_EXECUTION_FAILED_CUDA_DRIVER ${where}`,
  ]) {
    const error = errorOfOrt(lost);
    assert.ok(error instanceof DeviceLost, lost);
    assert.ok(error.message.includes(lost));
    assert.match(error.message, /reset the GPU/);
  }
  for (const full of [
    `CUDA failure 2: out of memory ${where}`,
    `CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ${where}`,
    `CUDNN failure 4002: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED ${where}`,
    'bfc_arena.cc:359 Failed to allocate memory for requested buffer of size 4294967296',
    'Available memory of 12 is smaller than requested bytes of 4294967296',
  ]) {
    assert.ok(errorOfOrt(full) instanceof OutOfMemory, full);
  }
  for (const other of [
    `CUDNN failure 3000: CUDNN_STATUS_NOT_SUPPORTED ${where}`,
    `CUDA failure 1: invalid argument ${where}`,
    'Invalid input name: decoder',
  ]) {
    assert.ok(!(errorOfOrt(other) instanceof RenderError), other);
  }
});

describe('a GPU that falls off', () => {
  test('is known to the runtime from whoever meets it first, and nothing is begun on it any more', async () => {
    const driver = new MemoryDriver({ isShared: true });
    const checkpoint = await openCheckpoint(TINY_KLEIN, { name: 'tested', cacheFolder: folder });
    const runtime = memoryRuntime(driver);
    const pipeline = await openPipeline(checkpoint, runtime, folder);
    await pipeline.render([item], hooks);
    const lost = assert.rejects(pipeline.lost(), DeviceLost);
    driver.fallOff();
    assert.throws(() => pipeline.deviceMemory(), DeviceLost);
    await lost;
    const calls = driver.log.length;
    await assert.rejects(pipeline.render([item], hooks), DeviceLost);
    assert.equal(driver.log.length, calls);
    // What is left goes with the process.
    await pipeline.close().catch(() => {});
  });

  test('ends its engine: the render hears of it, then the engine is gone and says why', async () => {
    const engine = await MemoryEngine.spawn(TINY_KLEIN, folder, { upset: 'falls off' });
    try {
      const connection = await engine.greet();
      assert.equal((await connection.render({ items: [item] })).length, 1);
      const rendered = connection.render({
        items: [{ ...item, steps: 100 }],
        onStep: ({ step }) => {
          if (step === 1) engine.upset();
        },
      });
      await assert.rejects(rendered, (error: unknown) => {
        assert.ok(error instanceof DeviceLost, String(error));
        assert.match(error.message, /CUDA_ERROR_LAUNCH_FAILED \(719\)/);
        return true;
      });
      await engine.ended;
      assert.equal(engine.exitCode, 1);
      const lastLines = String(await engine.obituary(''));
      assert.doesNotMatch(lastLines, /write after end/);
      assert.match(lastLines, /CUDA_ERROR_LAUNCH_FAILED.*engine can not go on/s);
    } finally {
      await engine.kill();
    }
  });

  test('while the engine has nothing to do, is noticed when it is asked for a sign of life', async () => {
    const engine = await MemoryEngine.spawn(TINY_KLEIN, folder, { upset: 'falls off' });
    try {
      const reasons: RenderError[] = [];
      const connection = await engine.greet((reason) => reasons.push(reason));
      await connection.render({ items: [item] });
      const { deviceMemory } = await connection.stats();
      assert.ok(deviceMemory && deviceMemory.freeBytes < deviceMemory.totalBytes);
      engine.upset();
      while (!connection.end) await connection.stats().catch(() => {});
      assert.ok(connection.end instanceof DeviceLost, String(connection.end));
      assert.deepEqual(reasons, [connection.end]);
      await assert.rejects(connection.render({ items: [item] }), DeviceLost);
    } finally {
      await engine.kill();
    }
  });
});

describe('weights that do not come', () => {
  test('a disk that does not answer for a while is asked again', async (t) => {
    const graph = await vaeOf(TINY_KLEIN);
    failReads(t, 2);
    const runtime = memoryRuntime(new MemoryDriver({ isShared: true }));
    await runtime.open([graph]);
    await runtime.loaded();
    await runtime.close();
  });

  test('one that never does is StorageUnavailable in the end', async (t) => {
    const graph = await vaeOf(TINY_KLEIN);
    failReads(t, Number.POSITIVE_INFINITY);
    const runtime = memoryRuntime(new MemoryDriver({ isShared: true }));
    const [session] = await runtime.open([graph]);
    await assert.rejects(runtime.loaded(), StorageUnavailable);
    await assert.rejects(session?.run({}) ?? Promise.resolve(), StorageUnavailable);
    await runtime.close();
  });

  test('a runtime that is closed between two attempts is closed at once', async (t) => {
    const graph = await vaeOf(TINY_KLEIN);
    failReads(t, Number.POSITIVE_INFINITY);
    const runtime = memoryRuntime(new MemoryDriver({ isShared: true }));
    await runtime.open([graph]);
    await runtime.close();
    await assert.rejects(runtime.loaded(), /the runtime was closed/);
  });

  test('a file that is cut off after the greeting: renders in flight and the end of the engine say so', async () => {
    const checkpoint = join(folder, 'cut-off');
    await cp(TINY_KLEIN, checkpoint, { recursive: true });
    const engine = await MemoryEngine.spawn(checkpoint, folder, { upset: 'lets copies go' });
    try {
      const reasons: RenderError[] = [];
      const connection = await engine.greet((reason) => reasons.push(reason));
      const rendered = connection.render({ items: [item] });
      await truncate(
        join(checkpoint, 'transformer/diffusion_pytorch_model-00003-of-00003.safetensors'),
        9000,
      );
      engine.upset();
      await assert.rejects(rendered, (error: unknown) => {
        assert.ok(error instanceof CheckpointInvalid, String(error));
        assert.match(error.message, /00003-of-00003.*cut off, fetch it again/);
        return true;
      });
      await engine.ended;
      while (reasons.length === 0) await new Promise(setImmediate);
      assert.ok(reasons[0] instanceof CheckpointInvalid, String(reasons[0]));
      assert.equal(engine.exitCode, 1);
    } finally {
      await engine.kill();
    }
  });

  test('weights that do not fit: one message with what all of them need and what was free, and exit code 1', async () => {
    const totalBytes = 3 * 2 ** 20;
    const driver = new MemoryDriver({ isShared: true, totalBytes });
    const checkpoint = await openCheckpoint(TINY_KLEIN, { name: 'tested', cacheFolder: folder });
    const graphs = buildGraphs(checkpoint, FLOAT32);
    const needed = [graphs.textEncoder, graphs.transformer, graphs.vaeDecoder]
      .flatMap(({ weights }) => weights)
      .reduce(
        (all, { file, offset, length }) => all.set(`${file} ${offset}`, length),
        new Map<string, number>(),
      );
    const bytes = [...needed.values()].reduce((sum, length) => sum + length, 0);
    const runtime = memoryRuntime(driver);
    await assert.rejects(openPipeline(checkpoint, runtime, folder), (error: unknown) => {
      assert.ok(error instanceof OutOfMemory, String(error));
      assert.ok(error.message.includes(`[needed=${bytes}, free=${totalBytes}]`), error.message);
      return true;
    });
    assert.equal(driver.memory().freeBytes, totalBytes);
    await runtime.close();

    const engine = await MemoryEngine.spawn(TINY_KLEIN, folder, { totalBytes });
    try {
      await assert.rejects(engine.greet(), OutOfMemory);
      await engine.ended;
      assert.equal(engine.exitCode, 1);
    } finally {
      await engine.kill();
    }
  });
});

test('an engine ends with its parent, also while a call to its device never returns', {
  timeout: 120_000,
}, async () => {
  const engine = await MemoryEngine.spawn(TINY_KLEIN, folder, { upset: 'never returns from a call' });
  try {
    await engine.greet();
    const isStuck = engine.says('in a call that never returns');
    engine.upset();
    await isStuck;
    engine.askToEnd();
    await engine.ended;
    assert.equal(engine.exitCode, 0);
  } finally {
    await engine.kill();
  }
});

test('a thread that makes no runs any more says so to every run, also to later ones', async () => {
  const thread = new RunThread('/no/such/libonnxruntime.so', new StageProgress().shared);
  const run = () => thread.run({ session: 0n, options: 0n, binding: 0n, run: 1, waits: false });
  await assert.rejects(run(), EngineCrashed);
  await assert.rejects(run(), /thread that makes the model's runs ended: .*cannot open/s);
  await thread.close();
});

test('a tensor without elements is held and read like any other', async () => {
  const runtime = memoryRuntime(new MemoryDriver({ isShared: true }));
  const held = await runtime.hold({ type: 'float32', dims: [0, 4], data: new Float32Array() });
  assert.deepEqual(await held.read(), { type: 'float32', dims: [0, 4], data: new Float32Array() });
  held.release();
  await runtime.close();
});
