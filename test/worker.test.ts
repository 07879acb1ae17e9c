import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { Client, Connection } from '@temporalio/client';
import { pino } from 'pino';
import { DiffusionClient } from '../src/client/diffusion-client.js';
import {
  Busy,
  CheckpointInvalid,
  DeviceLost,
  EngineCrashed,
  InvalidRequest,
  OutOfMemory,
} from '../src/contract/errors.js';
import type { EngineHost } from '../src/gpu/host.js';
import type { BlobStore } from '../src/storage/blob-store.js';
import { createFolderStore } from '../src/storage/folder-store.js';
import { createGpuWorker, type DiffusionWorker } from '../src/worker/gpu-worker.js';
import { startHealthServer } from '../src/worker/health-server.js';
import { ENGINE_CACHE, emojiHost, enginePids } from './support/engine.js';
import { EMOJI } from './support/references.js';
import { scratchFolder } from './support/scratch.js';
import { loadSdk, log, startTestServer, type TestServer } from './support/temporal.js';
import { until } from './support/waiting.js';
import { startDiffusionWorker, withParts } from './support/workers.js';

const small = { prompt: 'a red heart', width: 64, height: 64, steps: 1, seed: 7 };

const scratch = scratchFolder();
let folders = 0;
let store: BlobStore;
let out: string;
beforeEach(() => {
  out = join(scratch, `out-${folders++}`);
  store = createFolderStore(out);
});

let server: TestServer;
before(async () => {
  server = await startTestServer();
});
after(() => server.close());

/** A worker's readiness and life over HTTP. */
async function probe(port: number, path: string): Promise<{ status: number; text: string }> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`);
  return { status: response.status, text: await response.text() };
}

/** `host`, which tells how many renders it has been asked for and how many of them ran at the same time at most. */
function counting(host: EngineHost) {
  const count = { renders: 0, atOnce: 0, most: 0 };
  const counted = withParts(host, {
    async render(options) {
      count.renders++;
      count.most = Math.max(count.most, ++count.atOnce);
      try {
        return await host.render(options);
      } finally {
        count.atOnce--;
      }
    },
  });
  return { count, counted };
}

describe('health over HTTP', () => {
  test('a worker lives from the start, and is ready when it is connected and its engine can draw', async () => {
    const host = emojiHost();
    const worker = await createGpuWorker({
      model: 'emoji',
      checkpoint: EMOJI,
      cacheFolder: ENGINE_CACHE,
      store,
      host,
      graceMs: 20_000,
      log,
    });
    const health = await startHealthServer(0, () => worker.readiness(), { address: '127.0.0.1' });
    try {
      assert.deepEqual(await probe(health.port, '/livez'), { status: 200, text: 'alive\n' });
      assert.deepEqual(await probe(health.port, '/readyz'), {
        status: 503,
        text: 'the worker is not connected to Temporal yet\nthe engine is starting\n',
      });
      worker.run(server.connection, server.namespace).catch((error: unknown) => log.error(error));
      await until('the worker is ready', async () => (await probe(health.port, '/readyz')).status === 200);
      assert.deepEqual(await probe(health.port, '/readyz'), { status: 200, text: 'ready\n' });

      const { pid } = await host.ready();
      process.kill(pid, 'SIGKILL');
      await until('the lost engine is told', async () => {
        const { status, text } = await probe(health.port, '/readyz');
        return status === 503 && /^the engine is (waiting: the engine ended .*|starting)\n/.test(text);
      });
      await until('it is ready again', async () => (await probe(health.port, '/readyz')).status === 200);

      const stopped = worker.stop();
      const { status, text } = await probe(health.port, '/readyz');
      assert.equal(status, 503);
      assert.match(text, /^the worker is stopping\n/);
      assert.equal((await probe(health.port, '/livez')).status, 200);
      await stopped;
    } finally {
      await worker.stop();
      await health.close();
    }
  });

  test('a worker whose disk is nearly full is not ready, and takes no job until there is room', async () => {
    const folder = join(scratch, 'staging');
    const full = await startDiffusionWorker(server, {
      store,
      stagingFolder: folder,
      minFreeBytes: Number.MAX_SAFE_INTEGER,
    });
    const health = await startHealthServer(0, () => full.readiness(), { address: '127.0.0.1' });
    try {
      await full.ready();
      const handle = await server.diffusion.generate(small);
      await until('the image waits for a GPU', async () => (await handle.progress()).images.length === 1);
      await until('the full disk is the only reason', async () => {
        const { status, text } = await probe(health.port, '/readyz');
        return (
          status === 503 && /^the disk of \S+ is nearly full: \d+ MiB free, \d+ MiB needed\n$/.test(text)
        );
      });
      const another = await anotherConnection();
      const roomy = await startDiffusionWorker(another, { store, roles: ['gpu'] });
      try {
        await handle.result();
        assert.deepEqual(await readdir(folder), []);
      } finally {
        await roomy.stop();
        await another.connection.close();
      }
    } finally {
      await full.stop();
      await health.close();
    }
  });

  test('other paths and methods are refused', async () => {
    const health = await startHealthServer(0, () => [], { address: '127.0.0.1' });
    try {
      assert.equal((await probe(health.port, '/')).status, 404);
      const { status } = await fetch(`http://127.0.0.1:${health.port}/livez`, { method: 'POST' });
      assert.equal(status, 405);
    } finally {
      await health.close();
    }
  });
});

describe('the GPU slot', () => {
  test('draws one image at a time, whatever waits', async () => {
    const { count, counted } = counting(emojiHost());
    const worker = await startDiffusionWorker(server, { store, host: counted });
    try {
      const jobs = await Promise.all([3, 4, 5].map((n) => server.diffusion.generate({ ...small, count: n })));
      await Promise.all(jobs.map((job) => job.result()));
      assert.deepEqual([count.renders, count.most], [12, 1]);
    } finally {
      await worker.stop();
    }
  });

  test('leaves jobs to an idle host while its own engine is down', async () => {
    const shared = { exclusive: true, cacheFolder: join(scratch, 'one-device') };
    const holder = emojiHost(shared);
    await holder.ready();
    const down = counting(emojiHost(shared));
    const idle = counting(emojiHost());
    const first = await startDiffusionWorker(server, { store, host: down.counted });
    const another = await anotherConnection();
    const second = await startDiffusionWorker(another, { store, host: idle.counted, roles: ['gpu'] });
    try {
      await second.ready();
      await until('the first worker says why it is not ready', async () => {
        return (await first.readiness()).some((reason) => /another engine already runs/.test(reason));
      });
      const seeds = [1, 2, 3, 4, 5];
      const jobs = await Promise.all(seeds.map((seed) => server.diffusion.generate({ ...small, seed })));
      await Promise.all(jobs.map((job) => job.result()));
      assert.deepEqual([down.count.renders, idle.count.renders], [0, 5]);
      await holder.close();
      await until('the first worker is ready', async () => (await first.readiness()).length === 0);
    } finally {
      await holder.close();
      await Promise.all([first.stop(), second.stop()]);
      await another.connection.close();
    }
  });

  test('hands back a job that came in the moment in which the engine was lost', async () => {
    const lost = counting(emojiHost());
    const warmHost = emojiHost();
    const warm = counting(warmHost);
    const { pid: spared } = await warmHost.ready();
    const first = await startDiffusionWorker(server, { store, host: lost.counted });
    const another = await anotherConnection();
    let second: DiffusionWorker | undefined;
    let killing: NodeJS.Timeout | undefined;
    try {
      await first.ready();
      // From then on it has asked for the next one.
      await (await server.diffusion.generate(small)).result();
      killing = setInterval(() => {
        for (const pid of enginePids()) if (pid !== spared) kill(pid);
      }, 10);
      await until('the engine is lost', async () => (await first.readiness()).length > 0);
      const handle = await server.diffusion.generate({ ...small, seed: 8 });
      await until('the job is handed back', async () => {
        const { raw } = await server.client.workflow.getHandle(handle.id).describe();
        const failures = (raw.pendingActivities ?? []).map(({ lastFailure }) => lastFailure?.message ?? '');
        return failures.some((message) => message.includes("this host's engine is being replaced"));
      });
      second = await startDiffusionWorker(another, { store, host: warm.counted, roles: ['gpu'] });
      await handle.result();
      assert.deepEqual([lost.count.renders, warm.count.renders], [1, 1]);
    } finally {
      clearInterval(killing);
      await Promise.all([first.stop(), second?.stop(), warmHost.close()]);
      await another.connection.close();
    }
  });
});

describe('the first engine', () => {
  test('of a worker may die while it starts: the next one draws', async () => {
    const host = emojiHost();
    const worker = await startDiffusionWorker(server, { store, host });
    try {
      let victims: number[] = [];
      await until('the engine loads its model', () => {
        victims = enginePids();
        return victims.length > 0;
      });
      victims.map(kill);
      await worker.ready();
      assert.ok(!victims.includes((await host.ready()).pid));
      await (await server.diffusion.generate(small)).result();
    } finally {
      await worker.stop();
    }
  });

  test('that can never start ends the worker, with the reason', async () => {
    // Not even node itself fits.
    const host = emojiHost({ memoryLimitBytes: 60 * 2 ** 20 });
    const worker = await createGpuWorker({
      model: 'emoji',
      checkpoint: EMOJI,
      cacheFolder: ENGINE_CACHE,
      store,
      host,
      log,
    });
    await assert.rejects(worker.run(server.connection, server.namespace), (error: unknown) => {
      assert.ok(error instanceof OutOfMemory || error instanceof EngineCrashed, String(error));
      return true;
    });
    await worker.stop();
    const damaged = await createGpuWorker({
      model: 'emoji',
      checkpoint: scratch,
      cacheFolder: ENGINE_CACHE,
      store,
      log,
    });
    await assert.rejects(damaged.run(server.connection, server.namespace), CheckpointInvalid);
    await damaged.stop();
  });

  test('whose GPU is not there ends the worker at once: no second try would find it', async () => {
    const lost: string[] = [];
    const worker = await createGpuWorker({
      model: 'emoji',
      checkpoint: EMOJI,
      cacheFolder: ENGINE_CACHE,
      store,
      device: 'cuda:999',
      log: pino({ level: 'warn' }, { write: (line: string) => void lost.push(line) }),
    });
    await assert.rejects(worker.ready(), DeviceLost);
    assert.equal(lost.filter((line) => line.includes('engine lost')).length, 1);
    await assert.rejects(worker.run(server.connection, server.namespace), DeviceLost);
    await worker.stop();
  });
});

describe('a worker for jobs only that is stopped while their images are drawn', () => {
  for (const when of ['runs already', 'starts later'] as const) {
    test(`leaves them to one that ${when}: they end, drawn once`, async () => {
      let draw = (): void => {};
      const gate = new Promise<void>((resolve) => {
        draw = resolve;
      });
      const host = emojiHost();
      let drawings = 0;
      const gated = withParts(host, {
        async render(options) {
          drawings++;
          await gate;
          return host.render(options);
        },
      });
      const gpu = await startDiffusionWorker(server, { store, host: gated, roles: ['gpu'] });
      const first = await startDiffusionWorker(server, { store, roles: ['jobs'] });
      const another = await anotherConnection();
      const startSecond = () => startDiffusionWorker(another, { store, roles: ['jobs'] });
      let second: DiffusionWorker | undefined;
      try {
        const handle = await server.diffusion.generate(small);
        await until('the image is being drawn', () => drawings === 1);
        if (when === 'runs already') second = await startSecond();
        await first.stop();
        draw();
        if (when === 'starts later') {
          await until('the image is drawn', async () => {
            const { raw } = await server.client.workflow.getHandle(handle.id).describe();
            return (raw.pendingActivities ?? []).length === 0;
          });
          second = await startSecond();
        }
        await handle.result();
        assert.equal(drawings, 1);
      } finally {
        draw();
        await Promise.all([gpu, first, second].map((worker) => worker?.stop()));
        await another.connection.close();
      }
    });
  }
});

describe('limits', () => {
  test('a request of too many pixels is refused, in words', async () => {
    const limits = { maxPixels: 4 * 64 * 64 };
    const worker = await startDiffusionWorker(server, { store, limits, roles: ['jobs'] });
    try {
      const handle = await server.diffusion.generate({ ...small, count: 5 });
      await assert.rejects(handle.result(), (error) => {
        assert.ok(error instanceof InvalidRequest);
        assert.equal(
          error.message,
          '✖ expected at most 16384 pixels a request, got 5 × 64 × 64 = 20480\n  → at count',
        );
        return true;
      });
    } finally {
      await worker.stop();
    }
  });

  test('a request is refused as Busy while too much waits, and taken when it does not any more', async () => {
    const worker = await startDiffusionWorker(server, { store, limits: { maxBacklog: 3 }, roles: ['jobs'] });
    const another = await anotherConnection();
    try {
      const waiting = [await server.diffusion.generate({ ...small, count: 5 })];
      let refusal: unknown;
      // The server's count may be some seconds old.
      await until('a request is refused', async () => {
        const handle = await server.diffusion.generate({ ...small, seed: 9 });
        let isWaiting = false;
        handle.result().catch((error: unknown) => {
          refusal = error;
        });
        await until('the request is judged', async () => {
          isWaiting = (await handle.progress()).images.length > 0;
          return isWaiting || refusal !== undefined;
        });
        if (isWaiting) waiting.push(handle);
        return !isWaiting;
      });
      assert.ok(refusal instanceof Busy, String(refusal));
      assert.match(refusal.message, /^about \d+ images wait for emoji already, more than 3: ask again later/);
      assert.equal(refusal.retry, true);

      const gpu = await startDiffusionWorker(another, { store, roles: ['gpu'] });
      try {
        await Promise.all(waiting.map((handle) => handle.result()));
        await until('a request is taken again', async () => {
          const handle = await server.diffusion.generate({ ...small, seed: 10 });
          return handle.result().then(
            () => true,
            () => false,
          );
        });
      } finally {
        await gpu.stop();
      }
    } finally {
      await worker.stop();
      await another.connection.close();
    }
  });
});

test('50 clients with one idempotency key are one workflow, one render and 50 equal results', async () => {
  const { count, counted } = counting(emojiHost());
  const worker = await startDiffusionWorker(server, { store, host: counted });
  const connections = await Promise.all(
    Array.from({ length: 50 }, () => Connection.connect({ address: server.address })),
  );
  try {
    const { seed: _, ...seedless } = small;
    const request = { ...seedless, idempotencyKey: 'order-50' };
    const handles = await Promise.all(
      connections.map((connection) =>
        new DiffusionClient(new Client({ connection, namespace: server.namespace })).generate(request),
      ),
    );
    const results = await Promise.all(handles.map((handle) => handle.result()));
    assert.equal(new Set(handles.map(({ runId }) => runId)).size, 1);
    for (const result of results) assert.deepEqual(result, results[0]);
    assert.equal(count.renders, 1);
    assert.equal((await readdir(join(out, 'blobs'))).length, 1);
    let workflows = 0;
    const query = "WorkflowId = 'generate-image/order-50'";
    await until('the server lists the workflow', async () => {
      ({ count: workflows } = await server.client.workflow.count(query));
      return workflows > 0;
    });
    assert.equal(workflows, 1);
  } finally {
    await worker.stop();
    await Promise.all(connections.map((connection) => connection.close()));
  }
});

/** The same server by another connection: a connection takes one worker a queue. */
async function anotherConnection(): Promise<TestServer> {
  const { NativeConnection } = await loadSdk();
  return { ...server, connection: await NativeConnection.connect({ address: server.address }) };
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It is gone already.
  }
}
