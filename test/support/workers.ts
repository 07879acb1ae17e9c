import { hostname } from 'node:os';
import { createGenerateActivities } from '../../src/activities/generate.js';
import { createPublishActivities } from '../../src/activities/publish.js';
import type { Staging } from '../../src/activities/staging.js';
import { gpuQueue } from '../../src/contract/queues.js';
import type { BatchCeilings } from '../../src/gpu/batches.js';
import type { EngineHost } from '../../src/gpu/host.js';
import type { BlobStore } from '../../src/storage/blob-store.js';
import {
  createGpuWorker,
  type DiffusionWorker,
  type DiffusionWorkerOptions,
} from '../../src/worker/gpu-worker.js';
import { type RunningWorker, startWorker } from '../../src/worker/running-worker.js';
import { ENGINE_CACHE } from './engine.js';
import { EMOJI } from './references.js';
import { log, type TestServer } from './temporal.js';

export type TestWorkerOptions = Pick<DiffusionWorkerOptions, 'store'> & Partial<DiffusionWorkerOptions>;

/** A worker of the bundled model that works already. The caller stops it. */
export async function startDiffusionWorker(
  server: TestServer,
  options: TestWorkerOptions,
): Promise<DiffusionWorker> {
  const worker = await createGpuWorker({
    model: 'emoji',
    checkpoint: EMOJI,
    cacheFolder: ENGINE_CACHE,
    graceMs: 20_000,
    log,
    ...options,
  });
  worker.run(server.connection, server.namespace).catch((error: unknown) => log.error(error));
  return worker;
}

export interface HostParts {
  readonly host: EngineHost;
  readonly staging: Staging;
  readonly store: BlobStore;
  readonly queue: string;
}

/** The two workers of a GPU's host, of parts that fail in the way that a test needs. The caller stops them. */
export async function startHostWorkers(
  { connection, namespace }: TestServer,
  { host, staging, store, queue }: HostParts,
) {
  // What one test's host could not hold is nothing to the next one's.
  const ceilings: BatchCeilings = { of: async () => undefined, lower: async () => {} };
  const common = { connection, namespace, maxHeartbeatThrottleInterval: 50 };
  const drawing = await startWorker({
    ...common,
    taskQueue: gpuQueue('emoji'),
    activities: createGenerateActivities({
      host,
      staging,
      ceilings,
      hostQueue: queue,
      hostName: hostname(),
      log,
    }),
    maxConcurrentActivityTaskExecutions: 1,
    maxConcurrentActivityTaskPolls: 1,
  });
  const publishing = await startWorker({
    ...common,
    taskQueue: queue,
    activities: createPublishActivities({ store, staging, log }),
  });
  return {
    drawing,
    publishing,
    async stop() {
      await Promise.all([drawing, publishing].map((worker: RunningWorker) => worker.stop()));
    },
  };
}

/** `host` with other methods in part, for what a real engine does only by accident. */
export function withParts(
  host: EngineHost,
  parts: Partial<Pick<EngineHost, 'render' | 'close'>>,
): EngineHost {
  const close = parts.close ?? (() => host.close());
  return {
    get state() {
      return host.state;
    },
    starts: host.starts,
    ready: () => host.ready(),
    stats: () => host.stats(),
    release: () => host.release(),
    resume: () => host.resume(),
    render: parts.render ?? ((options) => host.render(options)),
    close,
    [Symbol.asyncDispose]: close,
  };
}
