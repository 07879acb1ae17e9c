import type { BlobStore } from '../storage/blob-store.js';
import { createFolderStore } from '../storage/folder-store.js';
import { unlessAborted } from '../unless-aborted.js';
import { bundledModel } from './bundled-model.js';
import { cacheFolder } from './cache-folder.js';
import { configuredServer } from './configured-server.js';
import type { Deployment } from './deployment.js';
import { createLog } from './log.js';
import { temporalSdkLoader } from './temporal-sdk.js';
import { startTracing, traced } from './tracing.js';

export interface BulkDeploymentOptions {
  /** What an embedded worker draws with. */
  readonly model: string;
  /** The folder for the pictures; undefined where the user left it out. */
  readonly out: string | undefined;
  /** Addresses below which an embedded worker may read and write catalogues. */
  readonly catalogs: readonly string[];
  readonly verbose: boolean;
  readonly notify: (message: string) => void;
  readonly signal: AbortSignal;
}

export interface BulkDeployment {
  readonly deployment: Deployment;
  /** Where pictures have to be copied to, if the workers keep them elsewhere. */
  readonly copyTo: BlobStore | undefined;
}

/** The server that Temporal's configuration names, with the workers there; else both, for as long as this command runs. */
export async function deployForBulk(options: BulkDeploymentOptions): Promise<BulkDeployment> {
  const { model, out, catalogs, verbose, notify, signal } = options;
  const tracing = await startTracing();
  const log = createLog(verbose ? 'debug' : 'warn', tracing?.logFields);
  const loadSdk = temporalSdkLoader(log, verbose ? 'INFO' : 'ERROR');
  const store = createFolderStore(out ?? 'out');
  const server = configuredServer();
  if (server) {
    if (out !== undefined) await store.check();
    const { connectTo } = await import('./remote-deployment.js');
    const deployment = traced(await unlessAborted(connectTo(server, loadSdk), signal), tracing);
    return { deployment, copyTo: out === undefined ? undefined : store };
  }
  const checkpoint = bundledModel(model);
  await store.check();
  const { startEmbeddedDeployment } = await import('./embedded-deployment.js');
  const deployment = await startEmbeddedDeployment({
    model,
    checkpoint,
    store,
    catalogs,
    cacheFolder: cacheFolder(),
    path: process.env.PATH ?? '',
    loadSdk,
    notify,
    signal,
    ...(tracing && { tracing }),
    log,
  });
  return { deployment: traced(deployment, tracing), copyTo: undefined };
}
