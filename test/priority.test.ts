import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { Client } from '@temporalio/client';
import type { NativeConnection } from '@temporalio/worker';
import { DiffusionClient } from '../src/client/diffusion-client.js';
import type { EngineHost } from '../src/gpu/host.js';
import { createFolderStore } from '../src/storage/folder-store.js';
import type { DiffusionWorker } from '../src/worker/gpu-worker.js';
import { createDurableServer, type DurableServer } from './support/durable-server.js';
import { emojiHost } from './support/engine.js';
import { scratchFolder } from './support/scratch.js';
import { loadSdk } from './support/temporal.js';
import { until } from './support/waiting.js';
import { startDiffusionWorker, withParts } from './support/workers.js';

const scratch = scratchFolder();
const small = { prompt: 'a red heart', width: 64, height: 64, steps: 1 };
/** Of one partition each, since order holds within a partition only. */
const ONE_PARTITION = ['matching.numTaskqueueReadPartitions=1', 'matching.numTaskqueueWritePartitions=1'];

interface TestedServer {
  readonly name: string;
  readonly settings: readonly string[];
  /** Which of the 21 batches a single image is at the latest. The first one is in progress already. */
  readonly latest: number;
  readonly isFair: boolean;
}

const servers: readonly TestedServer[] = [
  // It has four partitions, and asks one after the other: a task of any urgency waits until its own is asked.
  { name: 'as it comes', settings: [], latest: 18, isFair: false },
  { name: 'with one partition a queue', settings: ONE_PARTITION, latest: 1, isFair: false },
  {
    name: 'with one partition a queue, and fairness',
    settings: ['matching.enableFairness=true', ...ONE_PARTITION],
    latest: 1,
    isFair: true,
  },
];

let host: EngineHost;
before(() => {
  host = emojiHost();
});
after(() => host.close());

for (const { name, settings, latest, isFair } of servers) {
  describe(`on a server ${name}`, () => {
    let server: DurableServer;
    let connection: NativeConnection;
    let client: Client;
    let diffusion: DiffusionClient;
    let worker: DiffusionWorker;
    /** First seeds of what was drawn, call by call. */
    let calls: number[];
    let open: () => void;
    let gate: Promise<void>;

    before(async () => {
      const folder = join(scratch, String(settings.length));
      mkdirSync(folder);
      server = await createDurableServer(folder, settings);
      await server.start();
      const { NativeConnection } = await loadSdk();
      connection = await NativeConnection.connect({ address: server.address });
      client = new Client({ connection });
      diffusion = new DiffusionClient(client, { pollMs: 50 });
      const render: EngineHost['render'] = async (options) => {
        calls.push(options.items[0]?.seed ?? 0);
        await gate;
        return host.render(options);
      };
      worker = await startDiffusionWorker(
        {
          address: server.address,
          connection,
          client,
          diffusion,
          namespace: 'default',
          failed: new Promise(() => {}),
          close: async () => {},
        },
        {
          store: createFolderStore(join(scratch, 'out')),
          host: withParts(host, { render, close: async () => {} }),
        },
      );
    });
    after(async () => {
      await worker.stop();
      await connection.close();
      await server.kill();
    });
    beforeEach(() => {
      calls = [];
      gate = new Promise((resolve) => {
        open = resolve;
      });
    });

    /** Waits until a job's GPU work is in the queue. */
    async function queued(id: string, activities: number): Promise<void> {
      await until(`${activities} of ${id} are queued`, async () => {
        const { raw } = await client.workflow.getHandle(id).describe();
        const drawing = (raw.pendingActivities ?? []).filter(
          ({ activityType }) => activityType?.name === 'generate',
        );
        return drawing.length >= activities;
      });
      // Scheduled is not yet queued: the server hands tasks on a moment later, and tells nobody.
      await new Promise((resolve) => setTimeout(resolve, 500));
    }

    const batchOf = (items: number, from: number, more: { tenant?: string; tenantWeight?: number } = {}) =>
      diffusion.batch({
        items: Array.from({ length: items }, (_, item) => ({ ...small, seed: from + item })),
        maxBatch: 2,
        ...more,
      });

    test('a single image passes the bulk work that waits already', async () => {
      const bulk = await batchOf(40, 1000);
      await queued(bulk.id, 20);
      const single = await diffusion.generate({ ...small, seed: 1 });
      await queued(single.id, 1);
      open();
      await single.result();
      const place = calls.indexOf(1);
      assert.ok(place >= 1 && place <= latest, `${place}. in the order ${calls}`);
      await bulk.result();
    });

    if (isFair) {
      test('tenants share by turns, whoever came first', async () => {
        const first = await batchOf(40, 1000, { tenant: 'large' });
        await queued(first.id, 20);
        const second = await batchOf(6, 2000, { tenant: 'small' });
        await queued(second.id, 3);
        open();
        await Promise.all([first.result(), second.result()]);
        const places = calls.flatMap((seed, place) => (seed >= 2000 ? [place] : []));
        assert.equal(places.length, 3);
        assert.ok((places.at(-1) ?? 99) <= 8, `drawn in the order ${calls}`);
      });

      test('a tenant of three times the weight gets three times the turns', async () => {
        const first = await batchOf(40, 1000, { tenant: 'light', tenantWeight: 1 });
        await queued(first.id, 20);
        const second = await batchOf(40, 2000, { tenant: 'heavy', tenantWeight: 3 });
        await queued(second.id, 20);
        open();
        await Promise.all([first.result(), second.result()]);
        const heavy = calls.slice(1, 17).filter((seed) => seed >= 2000).length;
        assert.ok(heavy >= 10 && heavy <= 14, `${heavy} of 16: drawn in the order ${calls}`);
      });
    }
  });
}
