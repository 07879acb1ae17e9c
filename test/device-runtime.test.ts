import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { cp, mkdtemp, open, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { openCheckpoint } from '../src/gpu/checkpoint/checkpoint.js';
import { InputsThread } from '../src/gpu/engine/inputs-thread.js';
import { openPipeline, type Pipeline } from '../src/gpu/engine/pipeline.js';
import { warmUpInputs } from '../src/gpu/engine/warm-up.js';
import { buildGraphs, FLOAT32 } from '../src/gpu/graph/graphs.js';
import { type EnsureOptions, HostCache } from '../src/gpu/runtime/cuda/host-cache.js';
import { Ort, type OrtSessionOptions } from '../src/gpu/runtime/cuda/ort.js';
import { loadOrtLibrary } from '../src/gpu/runtime/cuda/ort-functions.js';
import { openCpuRuntime } from '../src/gpu/runtime/onnxruntime-cpu.js';
import { pipelineGraphs } from '../src/gpu/runtime/pipeline-graphs.js';
import type { Inputs, Runtime, Session } from '../src/gpu/runtime/session.js';
import { SPANS, type Span } from '../src/gpu/spans.js';
import { memoryRuntime } from './support/device-runtime.js';
import { diskFolder } from './support/disk-folder.js';
import { MemoryDriver } from './support/memory-driver.js';
import { memoryFolder } from './support/memory-folder.js';
import { EMOJI, levelDifference, relativeDifference, TINY_KLEIN } from './support/references.js';

/*
 * The runtime for GPUs with everything real but the GPU: ONNX Runtime through its C API, on its CPU kernels, over
 * weights that were streamed into arenas of an in-memory driver.
 */

let cacheFolder: string;
before(async () => {
  cacheFolder = await mkdtemp(join(tmpdir(), 'tdiff-device-'));
});
after(() => rm(cacheFolder, { recursive: true }));

async function pipelineOf(checkpoint: string, runtime: Runtime): Promise<Pipeline> {
  return openPipeline(
    await openCheckpoint(checkpoint, { name: 'tested', cacheFolder }),
    runtime,
    cacheFolder,
  );
}

const hooks = { onStep: () => {}, signal: new AbortController().signal };

describe('pictures drawn over streamed weights', () => {
  for (const [name, checkpoint, size] of [
    ['the bundled model', EMOJI, { width: 96, height: 128, steps: 2 }],
    ['a tiny klein', TINY_KLEIN, { width: 64, height: 40, steps: 3 }],
  ] as const) {
    test(`${name}: as the other runtime draws them`, async () => {
      const items = [7, 8].map((seed, index) => ({ index, seed, prompt: 'a small red house', ...size }));
      const drawn = [];
      const onDevice = (options = {}) => memoryRuntime(new MemoryDriver({ isShared: true }), options);
      for (const runtime of [openCpuRuntime(2), onDevice(), onDevice({ ownOperators: true })]) {
        const pipeline = await pipelineOf(checkpoint, runtime);
        try {
          const latents: Float32Array[] = [];
          const images = await pipeline.render(items, hooks, {
            onLatents: (_step, values) => latents.push(values.slice()),
          });
          drawn.push({ latents, images });
        } finally {
          await pipeline.close();
        }
      }
      const [expected, ...others] = drawn;
      assert.ok(expected);
      for (const got of others) {
        for (const [step, values] of expected.latents.entries()) {
          const difference = relativeDifference(got.latents[step] ?? new Float32Array(), values);
          assert.ok(difference < 1e-4, `latents of step ${step + 1} differ by ${difference}`);
        }
        for (const [index, image] of expected.images.entries()) {
          const pixels = got.images[index]?.pixels ?? new Uint8Array();
          assert.ok(levelDifference(pixels, image.pixels) <= 1);
        }
      }
    });
  }

  test('a session is warmed up as soon as it is made, while another is still on its way', async (t) => {
    const checkpoint = await openCheckpoint(TINY_KLEIN, { name: 'tested', cacheFolder });
    const graphs = pipelineGraphs(checkpoint, buildGraphs(checkpoint, FLOAT32));
    const thread = new InputsThread(checkpoint);
    const runtime = memoryRuntime(new MemoryDriver({ isShared: true }));
    let warm = () => {};
    const isWarm = new Promise<void>((resolve) => {
      warm = resolve;
    });
    const { createSession } = Ort.prototype;
    t.mock.method(Ort.prototype, 'createSession', async function (this: Ort, options: OrtSessionOptions) {
      if (options.graph === graphs[1].bytes) await isWarm;
      return createSession.call(this, options);
    });
    try {
      const warmUps = warmUpInputs(checkpoint, thread);
      const told: Session[] = [];
      const sessions = await runtime.open(graphs, (session, index) => {
        told[index] = session;
        const warmingUp = session.warmUp(warmUps[index] as () => Promise<Inputs>);
        if (index === 2) warmingUp.then(warm);
      });
      assert.deepEqual(told, sessions);
    } finally {
      await runtime.close();
      await thread.close();
    }
  });

  test('what was released and taken again draws the same', async () => {
    const driver = new MemoryDriver({ isShared: true });
    const runtime = memoryRuntime(driver);
    const pipeline = await pipelineOf(TINY_KLEIN, runtime);
    const items = [{ index: 0, seed: 3, prompt: 'a red tree', width: 40, height: 64, steps: 2 }];
    try {
      const [before] = await pipeline.render(items, hooks);
      assert.ok((await pipeline.release()).bytes > 0);
      await pipeline.resume();
      const [again] = await pipeline.render(items, hooks);
      assert.deepEqual(again?.pixels, before?.pixels);
    } finally {
      await pipeline.close();
    }
  });
});

const disk = diskFolder();
const NO_DISK = 'this machine has no disk for temporary files';

async function copyOfModel(name: string): Promise<string> {
  const model = join(disk as string, name);
  await cp(TINY_KLEIN, model, { recursive: true });
  return model;
}

describe('weights that come again', () => {
  const memory = memoryFolder();
  const skip = memory === undefined && 'this machine has no shared memory';
  const items = [{ index: 0, seed: 3, prompt: 'a red tree', width: 40, height: 64, steps: 2 }];

  test('come from where they lie, once that was made ready in standby', { skip }, async () => {
    const model = join(memory as string, 'ready');
    await cp(TINY_KLEIN, model, { recursive: true });
    const driver = new MemoryDriver({ isShared: true });
    const pipeline = await pipelineOf(model, memoryRuntime(driver));
    const heard: Span[] = [];
    const listen = (span: unknown) => heard.push(span as Span);
    try {
      const [before] = await pipeline.render(items, hooks);
      assert.deepEqual(await pipeline.prepareResume(), [], 'there is nothing to be done before a release');
      await pipeline.release();
      assert.deepEqual(await pipeline.prepareResume(), []);
      subscribe(SPANS, listen);
      await pipeline.resume();
      await pipeline.loaded();
      const [again] = await pipeline.render(items, hooks);
      assert.deepEqual(again?.pixels, before?.pixels);
    } finally {
      unsubscribe(SPANS, listen);
      await pipeline.close();
    }
    const names = new Set(heard.map(({ name }) => name));
    assert.ok(['text_encoder', 'transformer', 'vae'].every((component) => names.has(`copy ${component}`)));
    assert.ok(![...names].some((name) => name.startsWith('read ')), [...names].join(', '));
  });

  test('are kept in memory in standby, where they were not yet', {
    skip: disk === undefined && NO_DISK,
  }, async () => {
    const model = await copyOfModel('standby');
    const cache = HostCache.open({ folder: join(disk as string, 'standby-cache'), maxBytes: 2 ** 30 });
    const pipeline = await pipelineOf(model, memoryRuntime(new MemoryDriver({ isShared: true }), { cache }));
    await pipeline.loaded();
    await pipeline.release();
    assert.deepEqual(await pipeline.prepareResume(), []);
    assert.ok(cache.usedBytes() > 0);
    await pipeline.close();
  });

  /** In standby, with a cache that another process fills from a slow disk. @returns how often it was asked for that, too */
  async function besideSlowCache(): Promise<{ pipeline: Pipeline; asked: () => number }> {
    let asked = 0;
    const keep = (_: unknown, { signal }: EnsureOptions) => {
      asked++;
      return new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)));
    };
    const cache = { keep, find: async () => undefined } as unknown as HostCache;
    const runtime = memoryRuntime(new MemoryDriver({ isShared: true }), { cache });
    const pipeline = await pipelineOf(TINY_KLEIN, runtime);
    await pipeline.loaded();
    await pipeline.release();
    return { pipeline, asked: () => asked };
  }

  test('are copied once, whoever asks for that, and no longer than the runtime lives', async () => {
    const { pipeline, asked } = await besideSlowCache();
    const first = assert.rejects(pipeline.prepareResume(), /wanted again/);
    const second = assert.rejects(pipeline.prepareResume(), /wanted again/);
    await pipeline.resume();
    await Promise.all([first, second]);
    const keeping = assert.rejects(pipeline.keepWeights(), /the runtime was closed/);
    assert.equal(asked(), 1);
    await pipeline.close();
    await keeping;
  });

  test('do not wait for others that are copied meanwhile', async () => {
    const { pipeline } = await besideSlowCache();
    const ended = assert.rejects(pipeline.prepareResume(), /wanted again/);
    await pipeline.resume();
    await ended;
    await pipeline.loaded();
    await pipeline.close();
  });

  test('and are ready when the runtime is closed are let go', { skip }, async () => {
    const model = join(memory as string, 'closed');
    await cp(TINY_KLEIN, model, { recursive: true });
    const driver = new MemoryDriver({ isShared: true });
    const pipeline = await pipelineOf(model, memoryRuntime(driver));
    await pipeline.loaded();
    await pipeline.release();
    await pipeline.prepareResume();
    assert.ok(driver.log.some((line) => line.startsWith('pin ')));
    // The driver, which the runtime closes, throws where something is still pinned.
    await pipeline.close();
  });
});

describe('weights that are kept in memory', () => {
  const skip = disk === undefined && NO_DISK;
  const items = [{ index: 0, seed: 5, prompt: 'a red tree', width: 40, height: 64, steps: 1 }];

  async function pixelsOf(pipeline: Pipeline): Promise<Uint8Array | undefined> {
    return (await pipeline.render(items, hooks))[0]?.pixels;
  }

  test('are what the next runtime reads', { skip }, async () => {
    const model = await copyOfModel('kept');
    const cache = HostCache.open({ folder: join(disk as string, 'kept-cache'), maxBytes: 2 ** 30 });
    const first = await pipelineOf(model, memoryRuntime(new MemoryDriver({ isShared: true }), { cache }));
    const expected = await pixelsOf(first);
    assert.equal(cache.usedBytes(), 0, 'nothing is kept before somebody says so');
    assert.deepEqual(await first.keepWeights(), []);
    await first.close();

    const vae = join(model, 'vae', 'diffusion_pytorch_model.safetensors');
    const copy = await cache.find(vae);
    // Other weights than the file's own: what is drawn with them was read from the copy.
    const file = await open(copy?.path as string, 'r+');
    const { size } = await file.stat();
    const half = Math.floor(size / 2);
    await file.write(Buffer.alloc(size - half), 0, size - half, half);
    await file.close();
    copy?.close();

    for (const [used, isSame] of [
      [cache, false],
      [undefined, true],
    ] as const) {
      const pipeline = await pipelineOf(
        model,
        memoryRuntime(new MemoryDriver({ isShared: true }), { cache: used }),
      );
      const drawn = await pixelsOf(pipeline);
      await pipeline.close();
      assert.equal(Buffer.compare(drawn as Uint8Array, expected as Uint8Array) === 0, isSame);
    }
  });

  test('leave nothing half copied where the runtime is closed meanwhile', { skip }, async () => {
    const checkpoint = await openCheckpoint(await copyOfModel('closed'), { name: 'tested', cacheFolder });
    const folder = join(disk as string, 'closed-cache');
    const cache = HostCache.open({ folder, maxBytes: 2 ** 30 });
    const runtime = memoryRuntime(new MemoryDriver({ isShared: true }), { cache });
    const graph = buildGraphs(checkpoint, FLOAT32).vaeDecoder;
    await runtime.open([{ component: 'vae', ...graph, weightsFolder: checkpoint.vae.weights.folder }]);
    const keeping = runtime.keepWeights();
    await Promise.all([assert.rejects(keeping, /the runtime was closed/), runtime.close()]);
    assert.deepEqual(
      (await readdir(folder)).filter((name) => name.endsWith('.partial')),
      [],
    );
  });

  test('are none without a place for them, and none without room, which is said', { skip }, async () => {
    const model = await copyOfModel('no-room');
    const small = HostCache.open({ folder: join(disk as string, 'small-cache'), maxBytes: 1 });
    for (const [cache, reason] of [
      [undefined, /^$/],
      [small, /^\S+\.safetensors: \d+ bytes are more than \S+ may keep/],
    ] as const) {
      const pipeline = await pipelineOf(
        model,
        memoryRuntime(new MemoryDriver({ isShared: true }), { cache }),
      );
      assert.match((await pipeline.keepWeights()).join('\n'), reason);
      await pipeline.close();
    }
  });
});

test('whoever measures hears what a start and a render are made of', async () => {
  const heard: Span[] = [];
  const listen = (span: unknown) => heard.push(span as Span);
  subscribe(SPANS, listen);
  const runtime = memoryRuntime(new MemoryDriver({ isShared: true }));
  const pipeline = await pipelineOf(TINY_KLEIN, runtime);
  try {
    await pipeline.loaded();
    await pipeline.render([{ index: 0, seed: 3, prompt: 'a tree', width: 40, height: 64, steps: 2 }], hooks);
  } finally {
    unsubscribe(SPANS, listen);
    await pipeline.close();
  }
  const bytes = (name: string) =>
    heard.filter((span) => span.name === name).reduce((sum, span) => sum + (span.bytes ?? 0), 0);
  for (const component of ['text_encoder', 'transformer', 'vae']) {
    assert.ok(bytes(`read ${component}`) > 0);
    assert.equal(bytes(`read ${component}`), bytes(`copy ${component}`));
    assert.ok(heard.some(({ name }) => name === `session ${component}`));
  }
  for (const name of ['graphs', 'tokenizer', 'text', 'step 1', 'step 2', 'decode']) {
    assert.equal(heard.filter((span) => span.name === name).length, 1, name);
  }
  assert.ok(heard.every(({ from, to }) => from >= 0 && to >= from));
});

describe('what is wrong is said', () => {
  test('a graph that ONNX Runtime refuses', async () => {
    const runtime = memoryRuntime(new MemoryDriver({ isShared: true }));
    const graph = {
      component: 'broken',
      bytes: Buffer.from('no graph'),
      weights: [],
      weightsFolder: cacheFolder,
      compute: 'float32',
    } as const;
    await assert.rejects(runtime.open([graph]), /protobuf/i);
    await runtime.close();
  });

  test('an input that a graph does not have', async () => {
    const runtime = memoryRuntime(new MemoryDriver({ isShared: true }));
    const checkpoint = await openCheckpoint(TINY_KLEIN, { name: 'tested', cacheFolder });
    const graph = buildGraphs(checkpoint, FLOAT32).vaeDecoder;
    const [session] = await runtime.open([
      { component: 'vae', ...graph, weightsFolder: checkpoint.vae.weights.folder },
    ]);
    const image = { type: 'float32', dims: [1], data: new Float32Array(1) } as const;
    await assert.rejects(session?.run({ picture: image }) ?? Promise.resolve(), /picture|input/i);
    await runtime.close();
  });

  test('a library that is not ONNX Runtime', () => {
    assert.throws(() => loadOrtLibrary('libc.so.6'), /OrtGetApiBase/);
  });
});
