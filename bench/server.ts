import { Client } from '@temporalio/client';
import { cacheFolder } from '../src/cli/cache-folder.js';
import { type EmbeddedServer, startEmbeddedServer } from '../src/cli/embedded-server.js';
import { findTemporal } from '../src/cli/install-temporal.js';
import type { LoadTemporalSdk } from '../src/cli/temporal-sdk.js';
import { DiffusionClient, type DiffusionClientOptions } from '../src/client/diffusion-client.js';

/** A real Temporal server on this machine, for benchmarks and tests. */
export interface Server extends EmbeddedServer {
  readonly client: Client;
  readonly diffusion: DiffusionClient;
}

/** The caller closes it, once the workers that use it have stopped. */
export async function startServer(
  loadSdk: LoadTemporalSdk,
  options?: DiffusionClientOptions,
): Promise<Server> {
  const program = await temporalProgram(loadSdk);
  const server = await startEmbeddedServer({ program, loadSdk, signal: new AbortController().signal });
  const client = new Client({ connection: server.connection, namespace: server.namespace });
  return { ...server, client, diffusion: new DiffusionClient(client, options) };
}

/** The `temporal` program's path; installs it where there is none. */
export function temporalProgram(loadSdk: LoadTemporalSdk): Promise<string> {
  return findTemporal({
    path: process.env.PATH ?? '',
    cacheFolder: cacheFolder(),
    loadSdk,
    notify: console.error,
    signal: new AbortController().signal,
  });
}
