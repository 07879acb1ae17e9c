import assert from 'node:assert/strict';
import { cp, rm, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import {
  CheckpointInvalid,
  DeviceBusy,
  InvalidRequest,
  ModelReplaced,
  OutOfMemory,
} from '../src/contract/errors.js';
import { openCheckpoint } from '../src/gpu/checkpoint/checkpoint.js';
import { openPipeline } from '../src/gpu/engine/pipeline.js';
import { DeviceLock } from '../src/gpu/host/device-lock.js';
import type { EngineState } from '../src/gpu/host/engine-states.js';
import { Residents } from '../src/gpu/host/residents.js';
import type { EngineHost } from '../src/gpu/host.js';
import { OrtSession } from '../src/gpu/runtime/cuda/ort.js';
import { memoryRuntime } from './support/device-runtime.js';
import { emojiHost, isRunning, smallItem } from './support/engine.js';
import { MemoryDriver } from './support/memory-driver.js';
import { MemoryEngine } from './support/memory-engine.js';
import { memoryDevice, memoryHost, ONE_MODEL } from './support/memory-host.js';
import { EMOJI, TINY_KLEIN, TINY_QWEN } from './support/references.js';
import { scratchFolder } from './support/scratch.js';
import { until } from './support/waiting.js';

/*
 * Engines that give their device's memory back and take it again. Processes, sessions and streams are real ones; the
 * device is memory that they share, with room for one model.
 */

const folder = scratchFolder();
const item = { index: 0, seed: 3, prompt: 'a red tree', width: 40, height: 64, steps: 2 };
const MIB = 2 ** 20;

async function pixelsOf(host: EngineHost, signal?: AbortSignal): Promise<Buffer> {
  const [image] = await host.render({ items: [item], ...(signal && { signal }) });
  return image?.pixels ?? Buffer.alloc(0);
}

function stateOf(host: EngineHost): EngineState['name'] {
  return host.state.name;
}

async function usedBytes(host: EngineHost): Promise<number> {
  const { deviceMemory } = await host.stats();
  assert.ok(deviceMemory);
  return deviceMemory.totalBytes - deviceMemory.freeBytes;
}

/** The pictures that a model draws on a device of its own. */
const expected = new Map<string, Buffer>();
before(async () => {
  for (const checkpoint of [TINY_KLEIN, TINY_QWEN]) {
    await using host = memoryHost(memoryDevice(folder, ONE_MODEL), checkpoint, { cacheFolder: folder }).host;
    expected.set(checkpoint, await pixelsOf(host));
  }
});

describe('an engine', () => {
  test('gives all its weights back, and draws the same when it has taken them again', async () => {
    await using host = memoryHost(memoryDevice(folder, ONE_MODEL), TINY_KLEIN, { cacheFolder: folder }).host;
    await host.ready();
    // Before the first picture, and while weights may still be on their way.
    await host.release();
    assert.equal(stateOf(host), 'standby');
    for (let round = 0; round < 2; round++) {
      assert.deepEqual(await pixelsOf(host), expected.get(TINY_KLEIN));
      assert.equal(stateOf(host), 'idle');
      const held = await usedBytes(host);
      await host.release();
      assert.equal(stateOf(host), 'standby');
      // Tables of the last size stay.
      assert.ok(held > 6 * MIB && (await usedBytes(host)) < MIB, `${held}, then ${await usedBytes(host)}`);
    }
    await host.release();
    await host.resume();
    await host.resume();
    assert.equal(stateOf(host), 'idle');
    assert.ok((await usedBytes(host)) > 6 * MIB);
    // What a job's history, and metrics, say of the engine.
    const { start, readyAt, loadMs } = await host.ready();
    assert.equal(start, 'resumed');
    assert.ok(readyAt <= Date.now() && loadMs >= 0);
    const { fresh, restored, resumed } = host.starts;
    assert.deepEqual({ fresh, restored, resumed }, { fresh: 1, restored: 0, resumed: 3 });
  });

  test('finishes its renders before it releases, and refuses those that come before it resumes', async () => {
    const engine = await MemoryEngine.spawn(TINY_KLEIN, folder);
    try {
      const connection = await engine.greet();
      const order: string[] = [];
      const rendered = connection.render({ items: [item] }).then((images) => {
        order.push('rendered');
        return images;
      });
      const released = connection.release().then((bytes) => {
        order.push('released');
        return bytes;
      });
      const refused = connection.render({ items: [item] });
      await assert.rejects(
        refused,
        (error) => error instanceof InvalidRequest && /resume/.test(error.message),
      );
      assert.equal(await released, 6 * MIB);
      assert.deepEqual(order, ['rendered', 'released']);
      const resumed = connection.resume();
      const [again] = await connection.render({ items: [item] });
      await resumed;
      assert.deepEqual(again?.pixels, (await rendered)[0]?.pixels);
      // What was released, or taken again, already.
      await connection.resume();
      await connection.release();
      assert.equal(await connection.release(), 0);
    } finally {
      await engine.kill();
    }
  });

  test('resumes before its weights are there; a render that is cancelled meanwhile ends, and the engine lives', async () => {
    const { host, engines } = memoryHost(
      memoryDevice(folder, ONE_MODEL, { upset: 'holds copies back, or lets them go' }),
      TINY_KLEIN,
      { cacheFolder: folder },
    );
    try {
      await pixelsOf(host);
      await host.release();
      const [engine] = engines as [MemoryEngine];
      await engine.upsetAnd('copies are held');
      await host.resume();
      const cancel = new AbortController();
      const cancelled = pixelsOf(host, cancel.signal);
      await until('the render waits for weights', () => host.state.name === 'rendering');
      cancel.abort(new Error('not wanted any more'));
      await assert.rejects(cancelled, /not wanted any more/);
      assert.equal(stateOf(host), 'idle');
      await engine.upsetAnd('copies are made');
      assert.deepEqual(await pixelsOf(host), expected.get(TINY_KLEIN));
      assert.equal(engines.length, 1);
    } finally {
      await host.close();
    }
  });

  test('that is killed in standby, or while it resumes, is replaced, and the next one draws', async () => {
    const { host, engines } = memoryHost(
      memoryDevice(folder, ONE_MODEL, { upset: 'holds copies back, or lets them go' }),
      TINY_KLEIN,
      { cacheFolder: folder },
    );
    try {
      const { pid } = await host.ready();
      await host.release();
      process.kill(pid, 'SIGKILL');
      await until('it is lost', () => host.state.name !== 'standby');
      assert.deepEqual(await pixelsOf(host), expected.get(TINY_KLEIN));
      await host.release();
      const second = engines[1] as MemoryEngine;
      await second.upsetAnd('copies are held');
      const rendered = pixelsOf(host);
      await until('the render waits for weights', () => host.state.name === 'rendering');
      await second.kill();
      await assert.rejects(rendered, /the engine ended/);
      assert.deepEqual(await pixelsOf(host), expected.get(TINY_KLEIN));
      assert.equal(engines.length, 3);
    } finally {
      await host.close();
    }
  });

  test('whose files are others when it resumes ends: nothing is drawn that is not what it says', async () => {
    const checkpoint = join(folder, 'replaced');
    await cp(TINY_KLEIN, checkpoint, { recursive: true });
    const { host, engines } = memoryHost(memoryDevice(folder, ONE_MODEL), checkpoint, {
      cacheFolder: folder,
    });
    try {
      const { pid } = await host.ready();
      await host.release();
      await utimes(join(checkpoint, 'vae', 'diffusion_pytorch_model.safetensors'), 1, 1);
      await assert.rejects(pixelsOf(host), (error) => error instanceof ModelReplaced);
      assert.deepEqual(await pixelsOf(host), expected.get(TINY_KLEIN));
      assert.equal(await isRunning(pid), false);
      await host.release();
      await rm(join(checkpoint, 'vae', 'diffusion_pytorch_model.safetensors'));
      await assert.rejects(host.resume(), (error) => error instanceof ModelReplaced);
      await assert.rejects(host.ready(), (error) => error instanceof CheckpointInvalid);
      assert.ok(engines.length >= 3);
    } finally {
      await host.close();
    }
  });

  test('that finds its memory taken stays in standby, and resumes when it is given back', async () => {
    const shared = memoryDevice(folder, ONE_MODEL);
    await using first = memoryHost(shared, TINY_KLEIN, { cacheFolder: folder }).host;
    await using second = memoryHost(shared, TINY_QWEN, { cacheFolder: folder }).host;
    const { pid } = await first.ready();
    await first.release();
    assert.deepEqual(await pixelsOf(second), expected.get(TINY_QWEN));
    // These two know nothing of each other.
    await assert.rejects(pixelsOf(first), (error) => {
      assert.ok(error instanceof DeviceBusy, String(error));
      assert.match(error.message, /can't resume, others have its memory: .* need .* of device memory/);
      return true;
    });
    assert.equal(first.state.name, 'standby');
    const drawn = pixelsOf(first);
    await second.release();
    assert.deepEqual(await drawn, expected.get(TINY_KLEIN));
    assert.equal((await first.ready()).pid, pid);
  });

  test('on the CPU, whose weights are mapped, keeps them and goes on', async () => {
    await using host = emojiHost();
    const items = [smallItem({ steps: 1 })];
    const [before] = await host.render({ items });
    await host.release();
    assert.equal(stateOf(host), 'standby');
    assert.ok((await host.stats()).rssBytes > 0);
    const [again] = await host.render({ items });
    assert.deepEqual(again?.pixels, before?.pixels);
  });
});

describe('two models on a device with room for one', () => {
  for (const limit of [1, 2]) {
    test(`take turns, where ${limit} may be there`, async () => {
      const shared = memoryDevice(folder, ONE_MODEL);
      const residents = new Residents(limit);
      const hosts = [TINY_KLEIN, TINY_QWEN].map((checkpoint) =>
        memoryHost(shared, checkpoint, { cacheFolder: folder, residents }),
      );
      try {
        const [klein, qwen] = hosts.map(({ host }) => host) as [EngineHost, EngineHost];
        await Promise.all([klein.ready(), qwen.ready()]);
        for (let round = 0; round < 3; round++) {
          assert.deepEqual(await pixelsOf(klein), expected.get(TINY_KLEIN));
          assert.deepEqual([klein.state.name, qwen.state.name], ['idle', 'standby']);
          assert.deepEqual(await pixelsOf(qwen), expected.get(TINY_QWEN));
          assert.deepEqual([klein.state.name, qwen.state.name], ['standby', 'idle']);
        }
        const drawn = await Promise.all(
          [klein, qwen, klein, qwen].map(async (host) =>
            Buffer.compare(await pixelsOf(host), pictureOf(host)),
          ),
        );
        assert.deepEqual(drawn, [0, 0, 0, 0]);
        // Where a start had no room, its engine was tried again.
        assert.ok(hosts.every(({ engines }) => engines.length <= 2));

        function pictureOf(host: EngineHost): Buffer {
          return expected.get(host === klein ? TINY_KLEIN : TINY_QWEN) ?? Buffer.alloc(0);
        }
      } finally {
        await Promise.all(hosts.map(({ host }) => host.close()));
      }
    });
  }

  test('of which one has no room for a picture beside the other: it has the next time', async () => {
    // What the first one's tables leave is too little for the second one's.
    const shared = memoryDevice(folder, 12 * MIB + 30_000);
    const residents = new Residents(2);
    const hosts = [TINY_KLEIN, TINY_QWEN].map(
      (checkpoint) => memoryHost(shared, checkpoint, { cacheFolder: folder, residents }).host,
    );
    try {
      const [klein, qwen] = hosts as [EngineHost, EngineHost];
      await qwen.ready();
      assert.deepEqual(await pixelsOf(klein), expected.get(TINY_KLEIN));
      assert.deepEqual([klein.state.name, qwen.state.name], ['idle', 'idle']);
      await assert.rejects(pixelsOf(qwen), (error) => error instanceof OutOfMemory);
      assert.equal(stateOf(klein), 'standby');
      assert.deepEqual(await pixelsOf(qwen), expected.get(TINY_QWEN));
    } finally {
      await Promise.all(hosts.map((host) => host.close()));
    }
  });

  test('are drawn with by turns though one of their engines is killed again and again', async () => {
    const shared = memoryDevice(folder, ONE_MODEL);
    const residents = new Residents(1);
    const hosts = [TINY_KLEIN, TINY_QWEN].map(
      (checkpoint) => memoryHost(shared, checkpoint, { cacheFolder: folder, residents }).host,
    );
    try {
      const [klein, qwen] = hosts as [EngineHost, EngineHost];
      for (let round = 0; round < 2; round++) {
        assert.deepEqual(await pixelsOf(klein), expected.get(TINY_KLEIN));
        const { pid } = await klein.ready();
        assert.deepEqual(await pixelsOf(qwen), expected.get(TINY_QWEN));
        process.kill(pid, 'SIGKILL');
        await until('it is lost', () => klein.state.name !== 'standby');
      }
      assert.deepEqual(await pixelsOf(klein), expected.get(TINY_KLEIN));
    } finally {
      await Promise.all(hosts.map((host) => host.close()));
    }
  });
});

test('engines of one owner share a device, and nobody else gets it while one of them lives', async () => {
  const path = join(folder, 'locks', 'cuda-0.lock');
  const shared = memoryDevice(folder, 2 * ONE_MODEL);
  const owner = new DeviceLock(path);
  await using stranger = new DeviceLock(path);
  const hosts = [TINY_KLEIN, TINY_QWEN].map((checkpoint) =>
    memoryHost(shared, checkpoint, { cacheFolder: folder, lock: owner }),
  );
  try {
    await Promise.all(hosts.map(({ host }) => host.ready()));
    await assert.rejects(stranger.hold(), (error) => error instanceof DeviceBusy);
    await owner.close();
    await assert.rejects(stranger.hold(), (error) => error instanceof DeviceBusy);
    await hosts[0]?.host.close();
    await assert.rejects(stranger.hold(), (error) => error instanceof DeviceBusy);
    await hosts[1]?.host.close();
    assert.ok((await stranger.hold()) > 2);
    assert.equal(await stranger.hold(), await stranger.hold());
  } finally {
    await Promise.all(hosts.map(({ host }) => host.close()));
  }
});

test('a release gives back what runs have left in their arenas, too', async () => {
  const runtime = memoryRuntime(new MemoryDriver({ isShared: true }));
  const checkpoint = await openCheckpoint(EMOJI, { name: 'tested', cacheFolder: folder });
  const pipeline = await openPipeline(checkpoint, runtime, folder);
  try {
    const picture = { ...item, width: 256, height: 256, steps: 1 };
    const hooks = { onStep: () => {}, signal: new AbortController().signal };
    const [before] = await pipeline.render([picture], hooks);
    const { rss: full } = process.memoryUsage();
    const { bytes, kept } = await pipeline.release();
    assert.equal(kept, undefined);
    const { rss } = process.memoryUsage();
    assert.ok(full - rss > bytes + 16 * MIB, `${full - rss} bytes less, ${bytes} of them weights`);
    await pipeline.resume();
    const [again] = await pipeline.render([picture], hooks);
    assert.deepEqual(again?.pixels, before?.pixels);
  } finally {
    await pipeline.close();
  }
});

test('while weights come again, the decoder takes the memory that it decodes in', async (t) => {
  const driver = new MemoryDriver({ isShared: true });
  const runtime = memoryRuntime(driver, { bufferBytes: 64 << 10 });
  const opened = await openCheckpoint(TINY_KLEIN, { name: 'tested', cacheFolder: folder });
  const checkpoint = { ...opened };
  const pipeline = await openPipeline(checkpoint, runtime, folder);
  const decoded: number[][] = [];
  const { run } = OrtSession.prototype;
  t.mock.method(
    OrtSession.prototype,
    'run',
    async function (this: OrtSession, ...args: Parameters<typeof run>) {
      const outputs = await run.apply(this, args);
      const pixels = outputs.get('pixels');
      if (pixels) decoded.push([...pixels.dims]);
      return outputs;
    },
  );
  try {
    const hooks = { onStep: () => {}, signal: new AbortController().signal };
    await pipeline.render([item, { ...item, index: 1 }], hooks);
    await pipeline.release();
    decoded.length = 0;
    // As if its kernels could count the elements of one picture only.
    const decoder_channels = [Math.floor((2 ** 31 - 1) / (item.width * item.height))];
    checkpoint.vae = { ...opened.vae, config: { ...opened.vae.config, decoder_channels } };
    driver.holdBack();
    await pipeline.resume();
    await until('the decoder has run', () => decoded.length > 0);
    assert.deepEqual(decoded, [[1, item.height, item.width, 3]]);
    // It is under way, or done, when the memory is given back; and it is not begun once that is.
    driver.letGo();
    await pipeline.release();
    driver.holdBack();
    await pipeline.resume();
    driver.letGo();
    await pipeline.release();
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.equal(decoded.length, 1);
  } finally {
    await pipeline.close();
  }
});
