import type { Logger } from 'pino';
import { createEngineHost } from '../gpu/host.js';
import type { BlobStore } from '../storage/blob-store.js';
import type { WorkerTracing } from '../worker/tracing.js';
import type { Deployment } from './deployment.js';
import { startEmbeddedServer } from './embedded-server.js';
import { findTemporal } from './install-temporal.js';
import type { LoadTemporalSdk } from './temporal-sdk.js';

export interface EmbeddedDeploymentOptions {
  readonly model: string;
  readonly checkpoint: string;
  readonly store: BlobStore;
  /** Addresses below which catalogues may be read and their results written. Default: the store's own. */
  readonly catalogs?: readonly string[];
  readonly cacheFolder: string;
  /** The `PATH` to search for `temporal` and `python3`. */
  readonly path: string;
  readonly loadSdk: LoadTemporalSdk;
  readonly notify: (message: string) => void;
  readonly signal: AbortSignal;
  /** Of the worker. Default: none. */
  readonly tracing?: WorkerTracing;
  readonly log: Logger;
}

/** A job is done when this command ends: nothing is left that a worker would have to wait for. */
const GRACE_MS = 2_000;

/** A server and a worker of this command's own. They, and the engine, start side by side. */
export async function startEmbeddedDeployment(options: EmbeddedDeploymentOptions): Promise<Deployment> {
  const { model, checkpoint, store, catalogs, cacheFolder, tracing, log } = options;
  const begun = performance.now();
  const starting = findTemporal(options).then((program) => startEmbeddedServer({ ...options, program }));
  starting.catch(() => {});

  const host = createEngineHost({ model, checkpoint, device: 'cpu', cacheFolder, log });
  let engineMs: number | undefined;
  const engineReady = host.ready().then(() => {
    engineMs = performance.now() - begun;
  });
  engineReady.catch(() => {});

  // Half a second of loading code, in which server and engine have begun.
  await options.loadSdk();
  const { createGpuWorker } = await import('../worker/gpu-worker.js');
  const worker = await createGpuWorker({
    model,
    checkpoint,
    store,
    ...(catalogs !== undefined && { catalogs }),
    cacheFolder,
    graceMs: GRACE_MS,
    host,
    ...(tracing && { tracing }),
    log,
  });
  try {
    const server = await starting;
    const serverMs = performance.now() - begun;
    const running = worker.run(server.connection, server.namespace);
    const failed = Promise.race([server.failed, running.then(() => new Promise<never>(() => {}))]);
    failed.catch(() => {});
    return {
      connection: server.connection,
      namespace: server.namespace,
      failed,
      serverMs,
      engineMs: () => engineMs,
      hindrances: () => worker.readiness(),
      async close() {
        const gone = server.failed.catch(() => 'gone' as const);
        // Without a server there is nobody whom the worker could take leave of, though it would try for a while.
        if ((await Promise.race([worker.stop(), gone])) === 'gone') await host.close();
        else await server.close();
      },
    };
  } catch (error) {
    await worker.stop();
    throw error;
  }
}
