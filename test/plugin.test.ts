import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { NativeConnection, WorkerOptions } from '@temporalio/worker';
import { DIFFUSION_QUEUE } from '../src/contract/queues.js';
import { DiffusionPlugin } from '../src/plugin.js';
import { createFolderStore } from '../src/storage/folder-store.js';
import type { DiffusionWorker } from '../src/worker/gpu-worker.js';
import { type RunningWorker, startWorker } from '../src/worker/running-worker.js';
import { ENGINE_CACHE } from './support/engine.js';
import { EMOJI } from './support/references.js';
import { scratchFolder } from './support/scratch.js';
import { loadSdk, log, startTestServer, type TestServer } from './support/temporal.js';
import { startDiffusionWorker } from './support/workers.js';

const newPlugin = () => new DiffusionPlugin({ models: { emoji: EMOJI }, cacheFolder: ENGINE_CACHE, log });

describe('the plugin', () => {
  test('leaves all that the user has as it is, and adds our activities', () => {
    const plugin = newPlugin();
    const greet = async (): Promise<void> => {};
    const theirs: WorkerOptions = {
      taskQueue: DIFFUSION_QUEUE,
      workflowsPath: '/their/workflows.js',
      activities: { greet },
      dataConverter: { payloadConverterPath: '/their/converter.js' },
      nexusServices: [],
      interceptors: {
        activity: [() => ({})],
        client: { activity: [{}], workflow: [{}], schedule: [{}] },
        workflowModules: ['/their/interceptors.js'],
      },
      maxConcurrentActivityTaskExecutions: 3,
    };
    const { activities, ...rest } = plugin.configureWorker(theirs);
    const { activities: _, ...expected } = theirs;
    assert.deepEqual({ ...expected, workflowBundle: undefined }, rest);
    assert.equal(rest.interceptors, theirs.interceptors);
    assert.deepEqual(Object.keys(activities ?? {}).slice(0, 2), ['greet', 'preparePrompt']);

    const client = { interceptors: { activity: [{}], workflow: [{}], nexus: [{}] } };
    assert.equal(plugin.configureClient(client).interceptors, client.interceptors);
    const bundle = {
      workflowsPath: '/their/workflows.js',
      workflowInterceptorModules: ['/their/interceptors.js'],
    };
    assert.deepEqual(plugin.configureBundler(bundle), bundle);
  });

  test('may be given twice', () => {
    const plugin = newPlugin();
    const once = plugin.configureWorker({ taskQueue: DIFFUSION_QUEUE });
    assert.deepEqual(plugin.configureWorker(once), once);
  });

  test("refuses an activity of the user's that has one of our names", () => {
    const options = { taskQueue: 'their-queue', activities: { preparePrompt: async () => {} } };
    assert.throws(
      () => newPlugin().configureWorker(options),
      /activity called preparePrompt .* queue their-queue/,
    );
  });
});

describe("a user's own worker with the plugin", () => {
  const scratch = scratchFolder();
  const intercepted: string[] = [];
  let server: TestServer;
  let connection: NativeConnection;
  let own: RunningWorker;
  let gpu: DiffusionWorker;

  before(async () => {
    server = await startTestServer();
    const plugin = newPlugin();
    const { NativeConnection } = await loadSdk();
    connection = await NativeConnection.connect({ address: server.address, plugins: [plugin] });
    own = await startWorker({
      connection,
      namespace: server.namespace,
      taskQueue: DIFFUSION_QUEUE,
      workflowsPath: fileURLToPath(new URL('./support/own/workflows.js', import.meta.url)),
      activities: { greet: async (name: string) => `hello ${name}` },
      interceptors: {
        activity: [
          ({ info }) => ({
            inbound: {
              execute(input, next) {
                intercepted.push(info.activityType);
                return next(input);
              },
            },
          }),
        ],
        workflowModules: [fileURLToPath(new URL('./support/own/interceptors.js', import.meta.url))],
      },
      plugins: [plugin],
    });
    gpu = await startDiffusionWorker(server, {
      roles: ['gpu'],
      store: createFolderStore(join(scratch, 'out')),
    });
  });
  after(async () => {
    await gpu.stop();
    await own.stop();
    await connection.close();
    await server.close();
  });

  test('runs their workflows and activities, through their interceptors', async () => {
    const options = { taskQueue: DIFFUSION_QUEUE, workflowId: 'greeting', args: ['Ada'] };
    const handle = await server.client.workflow.start('greeting', options);
    assert.equal(await handle.result(), 'hello Ada');
    assert.ok(intercepted.includes('greet'));
    assert.equal((await handle.describe()).memo?.seenBy, 'own interceptor');
  });

  test('runs ours, through their interceptors too', async () => {
    const job = await server.diffusion.generate({ prompt: 'a red heart', width: 64, height: 64, steps: 2 });
    const { images } = await job.result();
    assert.equal(images.length, 1);
    assert.ok(intercepted.includes('preparePromptAtOnce'));
    const { memo } = await server.client.workflow.getHandle(job.id).describe();
    assert.equal(memo?.seenBy, 'own interceptor');
    assert.equal(memo?.seed, job.seed);
  });
});
