import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { InvalidRequest, JobCancelled } from '../src/contract/errors.js';
import { Residents } from '../src/gpu/host/residents.js';
import type { EngineHost } from '../src/gpu/host.js';
import { createFolderStore } from '../src/storage/folder-store.js';
import { createGpuWorker, type DiffusionWorker } from '../src/worker/gpu-worker.js';
import { startHealthServer } from '../src/worker/health-server.js';
import type { WorkerModel } from '../src/worker/model-engines.js';
import { enginePids } from './support/engine.js';
import { type MemoryDevice, memoryDevice, memoryHost, ONE_MODEL } from './support/memory-host.js';
import { TINY_KLEIN, TINY_QWEN } from './support/references.js';
import { scratchFolder } from './support/scratch.js';
import { log, startTestServer, type TestServer } from './support/temporal.js';
import { until } from './support/waiting.js';

/*
 * A worker that draws with two models on one device, which has room for one: a real server, real engine processes over
 * memory that they share.
 */

const MODELS = { klein: TINY_KLEIN, qwen: TINY_QWEN } as const;
type Model = keyof typeof MODELS;
const SEEDS = [1, 2, 3, 4];

const scratch = scratchFolder();
let server: TestServer;
/** Digests of the pictures that each model draws alone, by seed. */
const expected: Record<Model, Map<number, string>> = { klein: new Map(), qwen: new Map() };
before(async () => {
  server = await startTestServer();
  for (const model of Object.keys(MODELS) as Model[]) {
    const alone = memoryDevice(scratch, ONE_MODEL);
    await using host = memoryHost(alone, MODELS[model], { cacheFolder: scratch }).host;
    for (const seed of SEEDS) {
      const item = { index: 0, prompt: 'a red tree', width: 64, height: 64, steps: 2, seed };
      const [image] = await host.render({ items: [item] });
      const digest = createHash('sha256').update(image?.pixels ?? '');
      expected[model].set(seed, digest.digest('hex'));
    }
  }
});
after(() => server.close());

let out = 0;
let hosts: Record<Model, EngineHost>;
let worker: DiffusionWorker;
let device: MemoryDevice;

/** A worker whose models take turns on a new device. The caller stops it. */
async function startWorker(): Promise<void> {
  device = memoryDevice(scratch, ONE_MODEL, { upset: 'holds copies back, or lets them go' });
  const residents = new Residents(1);
  const hostOf = (model: Model) =>
    memoryHost(device, MODELS[model], { cacheFolder: scratch, model, residents });
  const both = { klein: hostOf('klein'), qwen: hostOf('qwen') };
  hosts = { klein: both.klein.host, qwen: both.qwen.host };
  worker = await createGpuWorker({
    models: (['klein', 'qwen'] as const).map((model) => ({
      model,
      checkpoint: MODELS[model],
      host: hosts[model],
    })),
    store: createFolderStore(join(scratch, `out-${out++}`)),
    cacheFolder: scratch,
    graceMs: 20_000,
    log,
  });
  worker.run(server.connection, server.namespace).catch((error: unknown) => log.error(error));
  enginesOf = (model) => both[model].engines;
}
let enginesOf: (model: Model) => ReturnType<typeof memoryHost>['engines'];

const generate = (model: Model, seed: number) =>
  server.diffusion.generate({ model, prompt: 'a red tree', width: 64, height: 64, steps: 2, seed });

async function pixelsOf(job: Awaited<ReturnType<typeof generate>>): Promise<string | undefined> {
  return (await job.result()).images[0]?.pixelsSha256;
}

describe('a worker with two models, on a device with room for one', () => {
  beforeEach(startWorker);

  test('draws the jobs of both, each with its own model, and says what each is at', async () => {
    const health = await startHealthServer(0, () => worker.readiness(), {
      address: '127.0.0.1',
      states: () => worker.states(),
    });
    const readyz = async () => (await fetch(`http://127.0.0.1:${health.port}/readyz`)).text();
    try {
      await worker.ready();
      await until('both are there', async () => (await readyz()).startsWith('ready\n'));
      assert.match(await readyz(), /^ready\nklein: (idle|standby)\nqwen: (idle|standby)\n$/);
      const jobs = await Promise.all(
        SEEDS.flatMap((seed) =>
          (['klein', 'qwen'] as const).map(async (model) => ({
            model,
            seed,
            job: await generate(model, seed),
          })),
        ),
      );
      for (const { model, seed, job } of jobs) {
        assert.equal(await pixelsOf(job), expected[model].get(seed), `${model} ${seed}`);
      }
      // Nobody was replaced for want of room.
      assert.deepEqual([enginesOf('klein').length, enginesOf('qwen').length], [1, 1]);
      const states = [hosts.klein.state.name, hosts.qwen.state.name].sort();
      assert.deepEqual(states, ['idle', 'standby']);
    } finally {
      await worker.stop();
      await health.close();
    }
  });

  test('replaces an engine that is killed in standby: jobs of both end', async () => {
    try {
      await worker.ready();
      await (await generate('qwen', 1)).result();
      assert.equal(hosts.klein.state.name, 'standby');
      process.kill((await hosts.klein.ready()).pid, 'SIGKILL');
      const jobs = await Promise.all([generate('klein', 2), generate('qwen', 2)]);
      assert.deepEqual(await Promise.all(jobs.map(pixelsOf)), [expected.klein.get(2), expected.qwen.get(2)]);
      assert.equal(enginesOf('qwen').length, 1);
    } finally {
      await worker.stop();
    }
  });

  test('leaves a job that is cancelled while its model resumes, and draws the next one', async () => {
    try {
      await worker.ready();
      // What is not weights is on the device from then on.
      await (await generate('klein', 1)).result();
      await (await generate('qwen', 1)).result();
      const [klein] = enginesOf('klein');
      assert.ok(klein);
      await klein.upsetAnd('copies are held');
      const cancelled = await generate('klein', 1);
      await until('it waits for its weights', () => hosts.klein.state.name === 'rendering');
      const other = await generate('qwen', 2);
      await cancelled.cancel();
      // The other one's turn comes when nothing moves on the device any more.
      await assert.rejects(cancelled.result(), JobCancelled);
      await klein.upsetAnd('copies are made');
      assert.equal(await pixelsOf(other), expected.qwen.get(2));
      assert.equal(await pixelsOf(await generate('klein', 3)), expected.klein.get(3));
      assert.deepEqual([enginesOf('klein').length, enginesOf('qwen').length], [1, 1]);
    } finally {
      await worker.stop();
    }
  });
});

test('a worker with two models on the CPU starts an engine for each, and ends them', async () => {
  const models: WorkerModel[] = (['klein', 'qwen'] as const).map((model) => ({
    model,
    checkpoint: MODELS[model],
  }));
  const store = createFolderStore(join(scratch, `out-${out++}`));
  const options = { store, cacheFolder: scratch, threads: 1, graceMs: 20_000, log };
  const worker = await createGpuWorker({ ...options, models, resident: 1 });
  try {
    worker.run(server.connection, server.namespace).catch((error: unknown) => log.error(error));
    const jobs = await Promise.all([generate('klein', 1), generate('qwen', 1), generate('klein', 2)]);
    for (const job of jobs) await job.result();
    assert.match(worker.states().join('\n'), /^klein: (idle|standby)\nqwen: (idle|standby)$/);
    assert.equal(enginePids().length, 2);
  } finally {
    await worker.stop();
  }
  assert.deepEqual(enginePids(), []);

  const [klein] = models as [WorkerModel];
  for (const nonsense of [{ models: [] }, { models: [klein, klein] }, { models, resident: 0 }]) {
    await assert.rejects(createGpuWorker({ ...options, ...nonsense }), InvalidRequest);
  }
});
