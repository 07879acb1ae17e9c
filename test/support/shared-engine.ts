import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { after, before, beforeEach } from 'node:test';
import { openStaging } from '../../src/activities/staging.js';
import type { EngineHost } from '../../src/gpu/host.js';
import type { BlobStore } from '../../src/storage/blob-store.js';
import { createFolderStore } from '../../src/storage/folder-store.js';
import type { DiffusionWorker } from '../../src/worker/gpu-worker.js';
import { emojiHost } from './engine.js';
import { loadSdk, log, startTestServer, type TestServer } from './temporal.js';
import { type HostParts, startDiffusionWorker, startHostWorkers, withParts } from './workers.js';

/** A server and an engine for all tests that leave them whole, and a new folder for the pictures of each. */
export interface SharedEngine {
  readonly server: TestServer;
  readonly host: EngineHost;
  /** Where the test's pictures go. */
  readonly out: string;
  readonly store: BlobStore;
  /** The engine for a worker that must not close it. */
  lent(render?: EngineHost['render']): EngineHost;
  /** Runs `work` beside a whole worker with the shared engine. */
  withWorker<T>(
    options: Partial<Parameters<typeof startDiffusionWorker>[1]>,
    work: (worker: DiffusionWorker) => Promise<T>,
  ): Promise<T>;
  /** Runs `work` beside a worker for workflows, and host workers of the given parts. */
  withHost<T>(parts: Partial<HostParts>, work: () => Promise<T>): Promise<T>;
  /** Runs `work` beside two hosts, each of which holds its first drawing until the other has one too. */
  withTwoHosts(work: () => Promise<void>): Promise<void>;
}

/** Call it where the tests are declared: in a `describe`, or for a whole file. */
export function sharedEngine(scratch: string): SharedEngine {
  let server: TestServer;
  let host: EngineHost;
  let out: string;
  let store: BlobStore;
  before(async () => {
    server = await startTestServer();
    host = emojiHost();
  });
  after(async () => {
    await host.close();
    await server.close();
  });
  beforeEach(() => {
    out = join(scratch, `out-${randomUUID()}`);
    store = createFolderStore(out);
  });

  const lent: SharedEngine['lent'] = (render = (options) => host.render(options)) =>
    withParts(host, { render, close: async () => {} });

  const withWorker: SharedEngine['withWorker'] = async (options, work) => {
    const worker = await startDiffusionWorker(server, { store, host: lent(), ...options });
    try {
      return await work(worker);
    } finally {
      await worker.stop();
    }
  };

  const withHost: SharedEngine['withHost'] = (parts, work) =>
    withWorker({ roles: ['jobs'] }, async () => {
      const staging = await openStaging({ folder: join(scratch, 'staging'), log });
      const queue = `host-${randomUUID()}`;
      const workers = await startHostWorkers(server, { host: lent(), staging, store, queue, ...parts });
      try {
        return await work();
      } finally {
        await workers.stop();
        await staging.close();
      }
    });

  const withTwoHosts: SharedEngine['withTwoHosts'] = async (work) => {
    let drawing = 0;
    let both = (): void => {};
    const together = new Promise<void>((resolve) => {
      both = resolve;
    });
    const patient = lent(async (options) => {
      if (++drawing === 2) both();
      await together;
      return host.render(options);
    });
    const { NativeConnection } = await loadSdk();
    // A connection takes one worker a queue.
    const connection = await NativeConnection.connect({ address: server.address });
    try {
      await withHost({ host: patient }, async () => {
        const other = await startDiffusionWorker(
          { ...server, connection },
          { store, host: patient, roles: ['gpu'] },
        );
        try {
          await work();
        } finally {
          await other.stop();
        }
      });
    } finally {
      await connection.close();
    }
  };

  return {
    get server() {
      return server;
    },
    get host() {
      return host;
    },
    get out() {
      return out;
    },
    get store() {
      return store;
    },
    lent,
    withWorker,
    withHost,
    withTwoHosts,
  };
}
