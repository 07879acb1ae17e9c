import { Client } from '@temporalio/client';
import { pino } from 'pino';
import { cacheFolder } from '../../src/cli/cache-folder.js';
import { type EmbeddedServer, startEmbeddedServer } from '../../src/cli/embedded-server.js';
import { findTemporal } from '../../src/cli/install-temporal.js';
import { temporalSdkLoader } from '../../src/cli/temporal-sdk.js';
import { DiffusionClient } from '../../src/client/diffusion-client.js';

/** Set TEST_LOG=debug to see what happens. */
export const log = pino({ level: process.env.TEST_LOG ?? 'silent' }, pino.destination(2));

export const loadSdk = temporalSdkLoader(log, process.env.TEST_LOG === undefined ? 'ERROR' : 'INFO');

export interface TestServer extends EmbeddedServer {
  readonly client: Client;
  readonly diffusion: DiffusionClient;
}

/** A real Temporal server. The caller closes it, once the workers that use it have stopped. */
export async function startTestServer(): Promise<TestServer> {
  const signal = new AbortController().signal;
  const program = await findTemporal({
    path: process.env.PATH ?? '',
    cacheFolder: cacheFolder(),
    loadSdk,
    notify: (message) => console.log(message),
    signal,
  });
  const server = await startEmbeddedServer({ program, loadSdk, signal });
  const client = new Client({ connection: server.connection, namespace: server.namespace });
  return { ...server, client, diffusion: new DiffusionClient(client, { pollMs: 20 }) };
}
