import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { join } from 'node:path';
import { before, describe, type TestContext, test } from 'node:test';
import { DeviceLost } from '../src/contract/errors.js';
import { openCheckpoint } from '../src/gpu/checkpoint/checkpoint.js';
import { openPipeline, type Pipeline } from '../src/gpu/engine/pipeline.js';
import { GraphBuilder } from '../src/gpu/graph/builder.js';
import { buildGraphs, FLOAT32 } from '../src/gpu/graph/graphs.js';
import { OrtSession } from '../src/gpu/runtime/cuda/ort.js';
import { StageProgress, StageWait } from '../src/gpu/runtime/cuda/stage-progress.js';
import { Stages } from '../src/gpu/runtime/cuda/stages.js';
import { layOut } from '../src/gpu/runtime/cuda/weight-layout.js';
import { openCpuRuntime } from '../src/gpu/runtime/onnxruntime-cpu.js';
import type { Runtime } from '../src/gpu/runtime/session.js';
import { SPANS, type Span } from '../src/gpu/spans.js';
import { memoryRuntime } from './support/device-runtime.js';
import { Lender } from './support/lender.js';
import { MemoryDriver } from './support/memory-driver.js';
import { levelDifference, TINY_QWEN } from './support/references.js';
import { scratchFolder } from './support/scratch.js';
import { until } from './support/waiting.js';
import { widenCheckpoint } from './support/widened-checkpoint.js';

const scratch = scratchFolder();
const wide = join(scratch, 'wide');
const item = { index: 0, seed: 4, prompt: 'a small red house', width: 64, height: 48, steps: 2 };
const quiet = { onStep: () => {}, signal: new AbortController().signal };

before(() => widenCheckpoint(TINY_QWEN, wide));

async function open(runtime: Runtime): Promise<Pipeline> {
  const checkpoint = await openCheckpoint(wide, { name: 'wide', cacheFolder: scratch });
  return openPipeline(checkpoint, runtime, scratch);
}

/** What the other runtime draws. */
async function expectedPixels(): Promise<Uint8Array> {
  const pipeline = await open(openCpuRuntime(2));
  const [picture] = await pipeline.render([item], quiet);
  await pipeline.close();
  assert.ok(picture);
  return picture.pixels;
}

/** A device whose copies wait for the test, with little room for them, and a pipeline that draws meanwhile. */
async function slowDevice(): Promise<SlowDevice> {
  const driver = new MemoryDriver({ isShared: true, pace: 'held' });
  return slow(driver, await open(memoryRuntime(driver, { ownOperators: true, bufferBytes: 32 << 10 })));
}

interface SlowDevice {
  readonly driver: MemoryDriver;
  readonly pipeline: Pipeline;
  /** Lets a few copies be made. */
  advance(): void;
}

function slow(driver: MemoryDriver, pipeline: Pipeline): SlowDevice {
  const advance = () => {
    for (const stream of driver.held().keys()) driver.advance(stream, 1);
  };
  return { driver, pipeline, advance };
}

/** The same, whose weights a lender brings. @param loaded tells of `component`, in place of the lender */
async function slowLender(
  component?: string,
  loaded?: Promise<void>,
): Promise<SlowDevice & { lender: Lender }> {
  const lender: Lender = new Lender(
    { ...(loaded && { loaded: (name) => (name === component ? loaded : lender.loaded(name)) }) },
    new MemoryDriver({ pace: 'held' }),
    32 << 10,
  );
  const runtime = memoryRuntime(new MemoryDriver({ isShared: true }), { ownOperators: true, source: lender });
  return { lender, ...slow(lender.driver, await open(runtime)) };
}

/** Hears of each run that waits for weights, as it begins. */
function onWaitingRun(t: TestContext, listener: () => void): void {
  const { run } = OrtSession.prototype;
  t.mock.method(OrtSession.prototype, 'run', function (this: OrtSession, ...args: Parameters<typeof run>) {
    if (args[1]?.waits) listener();
    return run.apply(this, args);
  });
}

describe('where weights lie that are needed in stages', () => {
  const weight = (name: string, file: string, offset: number, length = 512) => ({
    ...{ name, file, offset, length },
    dtype: 'F32' as const,
    shape: [length / 4],
  });

  test('each stage is whole before the next one begins; inside it the files keep their order', () => {
    const weights = [
      weight('b', '/one', 512),
      weight('a', '/one', 0),
      weight('far', '/two', 0),
      weight('d', '/one', 1536),
      weight('c', '/one', 1024),
    ];
    const { plan, offsets, stageEnds, extent } = layOut(weights, [3, 5]);
    assert.deepEqual(stageEnds, [1536, 2560]);
    assert.equal(extent, 2560);
    assert.deepEqual(Object.fromEntries(offsets), { a: 0, b: 512, far: 1024, c: 1536, d: 2048 });
    assert.deepEqual(
      plan.map(({ file, fileOffset, length }) => [file, fileOffset, length]),
      [
        ['/one', 0, 1024],
        ['/two', 0, 512],
        ['/one', 1024, 1024],
      ],
    );
    assert.deepEqual(layOut(weights).stageEnds, [2560]);
  });

  test('what a later stage shares with an earlier one lies there already', () => {
    const weights = [weight('embedding', '/one', 0), weight('other', '/one', 512), weight('head', '/one', 0)];
    const { offsets, stageEnds } = layOut(weights, [1, 3]);
    assert.equal(offsets.get('head'), offsets.get('embedding'));
    assert.deepEqual(stageEnds, [512, 1024]);
  });
});

describe('a run that waits for weights', () => {
  test('hears what is told while it looks', (t) => {
    const progress = new StageProgress();
    const wait = new StageWait(progress.shared);
    const { wait: sleep } = Atomics;
    let looked = 0;
    t.mock.method(Atomics, 'wait', (words: Int32Array, index: number, value: number) => {
      // It has looked by now, and does not sleep yet.
      if (looked++ === 0) progress.giveUp(1);
      const woken = sleep(words, index, value, 1000);
      assert.notEqual(woken, 'timed-out');
      return woken;
    });
    wait.begin(1, true);
    assert.throws(() => wait.wait(0), /not wanted any more/);
    assert.equal(looked, 1);
  });

  test('goes on with each stage, and ends where they will not come or it is not wanted', () => {
    const progress = new StageProgress();
    const wait = new StageWait(progress.shared);
    wait.begin(7, true);
    progress.reached(2);
    wait.wait(0);
    wait.wait(1);
    progress.giveUp(6);
    progress.giveUp(7);
    assert.throws(() => wait.wait(2), /not wanted any more/);
    // What has its weights goes on.
    wait.wait(1);
    wait.begin(8, true);
    progress.failed();
    assert.throws(() => wait.wait(0), /will not come/);
    wait.begin(9, false);
    wait.wait(5);
  });

  test('hears nothing more of weights that are lent and will not do', async () => {
    const stages = new Stages([100, 200, 300]);
    const wait = new StageWait(stages.progress.shared);
    wait.begin(1, true);
    let arrive: () => void = () => {};
    stages.follow(
      new Promise<void>((resolve) => {
        arrive = resolve;
      }),
    );
    stages.placedByLender(200);
    await stages.begun;
    wait.wait(1);
    // All of it is there, and was not looked at.
    stages.placedByLender(300);
    stages.lapse();
    stages.placedByLender(300);
    assert.throws(() => wait.wait(0), /will not come/);
    stages.placed(100);
    wait.wait(0);
    arrive();
    await new Promise(setImmediate);
    wait.wait(2);
  });

  test('is of a graph all of whose weights wait for their stage', async () => {
    const stages = async (folder: string) => {
      const checkpoint = await openCheckpoint(folder, { name: 'tested', cacheFolder: scratch });
      const { transformer, textEncoder, vaeDecoder } = buildGraphs(checkpoint, {
        ...FLOAT32,
        ownOperators: true,
      });
      const { num_layers: double, num_single_layers: single } = checkpoint.transformer.config;
      const deepest = Math.max(...checkpoint.generation.text_encoder_out_layers);
      return {
        expected: [double + single + 2, deepest + 1],
        got: [transformer.stages?.length, textEncoder.stages?.length],
        others: vaeDecoder.stages,
      };
    };
    const { expected, got, others } = await stages(wide);
    assert.deepEqual(got, expected);
    assert.equal(others, undefined);
    // Stored in another type than they are computed in, they are cast at any time.
    assert.deepEqual((await stages(TINY_QWEN)).got, [undefined, undefined]);
  });

  test('comes to its stages one after the other: what hangs on nothing may be computed first', () => {
    const graph = new GraphBuilder('two stages', { folder: '/nowhere', tensors: new Map() }, 'float32');
    const x = graph.input('x', 'float32', ['tokens']);
    graph.beginStage();
    const first = graph.staged(x);
    graph.beginStage();
    graph.output('second', 'float32', ['tokens'], graph.staged(first));
    assert.doesNotThrow(() => graph.finish());
    graph.output('at once', 'float32', ['tokens'], graph.staged(x));
    assert.throws(() => graph.finish(), /weights of stage 2 to come from stage 1, got stage 0/);
  });

  test('draws the same picture, and has begun before the last of them comes', async (t) => {
    let copied = 0;
    const onSpan = (message: unknown) => {
      const { name, bytes = 0 } = message as Span;
      if (name === 'copy transformer') copied += bytes;
    };
    subscribe(SPANS, onSpan);
    const begun: number[] = [];
    onWaitingRun(t, () => begun.push(copied));
    const { driver, pipeline, advance } = await slowDevice();
    const drawing = pipeline.render([item], quiet);
    await until('the first step has begun', () => {
      advance();
      return begun.length === 2;
    });
    driver.letGo();
    const [drawn] = await drawing;
    assert.ok(levelDifference(drawn?.pixels ?? new Uint8Array(), await expectedPixels()) <= 1);
    await pipeline.close();
    unsubscribe(SPANS, onSpan);
    const [, first = 0, second = 0] = begun;
    assert.ok(
      0 < first && first < second / 2,
      `copied at the first step: ${first}, at the second: ${second}`,
    );
  });

  /** A picture whose first step has begun, and stands still. */
  async function standingStill<T extends SlowDevice>(
    t: TestContext,
    opening: Promise<T>,
    signal: AbortSignal = quiet.signal,
  ) {
    let runs = 0;
    onWaitingRun(t, () => runs++);
    const slow = await opening;
    const drawing = slow.pipeline.render([item], { ...quiet, signal });
    drawing.catch(() => {});
    await until('the first step has begun', () => {
      if (runs < 2) slow.advance();
      return runs === 2;
    });
    return { ...slow, drawing };
  }

  test('fails as the stream does', async (t) => {
    const { driver, pipeline, drawing } = await standingStill(t, slowDevice());
    driver.failOnce('copying', { code: 719 });
    driver.letGo();
    await assert.rejects(drawing, (error: unknown) => {
      assert.ok(error instanceof DeviceLost, String(error));
      return true;
    });
    await pipeline.close().catch(() => {});
  });

  test('ends when it is cancelled, and the next one draws', async (t) => {
    const cancel = new AbortController();
    const { driver, pipeline, drawing } = await standingStill(t, slowDevice(), cancel.signal);
    cancel.abort(new Error('enough'));
    await assert.rejects(drawing, /enough/);
    driver.letGo();
    assert.equal((await pipeline.render([item], quiet)).length, 1);
    await pipeline.close();
  });

  test('ends when the weights are given back, and draws when they are there again', async (t) => {
    const { driver, pipeline, drawing } = await standingStill(t, slowDevice());
    const released = pipeline.release();
    // What is under way is still to be made.
    driver.letGo();
    assert.ok((await released).bytes > 0);
    await assert.rejects(drawing, /weights were released/);
    await pipeline.resume();
    assert.equal((await pipeline.render([item], quiet)).length, 1);
    await pipeline.close();
  });

  test('goes on over weights that are lent, as they come', async (t) => {
    const { driver, pipeline, lender, drawing } = await standingStill(t, slowLender());
    const transformer = lender.holdings.all().find(({ component }) => component === 'transformer');
    assert.equal(transformer?.state, 'streaming');
    driver.letGo();
    const [drawn] = await drawing;
    assert.ok(levelDifference(drawn?.pixels ?? new Uint8Array(), await expectedPixels()) <= 1);
    await pipeline.close();
    lender.close();
  });

  test('begins anew where lent weights will not come', async (t) => {
    let fail: (error: Error) => void = () => {};
    const failing = new Promise<void>((_, reject) => {
      fail = reject;
    });
    const { driver, pipeline, lender, drawing } = await standingStill(t, slowLender('transformer', failing));
    fail(new Error('the lender has died'));
    driver.letGo();
    const [drawn] = await drawing;
    assert.ok(levelDifference(drawn?.pixels ?? new Uint8Array(), await expectedPixels()) <= 1);
    assert.deepEqual(
      lender.givenBack.map(([component]) => component),
      ['transformer', 'vae'],
    );
    await pipeline.close();
    await until('the lender has loaded all', () =>
      lender.holdings.all().every(({ state }) => state === 'loaded'),
    );
    lender.close();
  });
});
