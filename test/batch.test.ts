import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Client } from '@temporalio/client';
import sharp from 'sharp';
import { readProvenance } from '../src/activities/provenance.js';
import { openStaging, type Staging } from '../src/activities/staging.js';
import { DiffusionClient } from '../src/client/diffusion-client.js';
import type { BatchItemResult, BatchRequestInput } from '../src/contract/batch.js';
import {
  EngineCrashed,
  InvalidRequest,
  JobCancelled,
  OutOfMemory,
  PromptRejected,
} from '../src/contract/errors.js';
import type { EngineHost, RenderOptions } from '../src/gpu/host.js';
import { levelDifference } from './support/references.js';
import { scratchFolder } from './support/scratch.js';
import { sharedEngine } from './support/shared-engine.js';
import { log } from './support/temporal.js';
import { until } from './support/waiting.js';

const scratch = scratchFolder();
const small = { prompt: 'a red heart', width: 64, height: 64, steps: 2 };

describe('before anything is sent', () => {
  // Nothing listens there, and a call would say so.
  const client = new DiffusionClient(new Client());
  const refused: [name: string, request: object, message: RegExp][] = [
    ['no item', { items: [] }, /expected 1 to 1000 items: render more as a catalogue\n {2}→ at items/],
    ['1,001 items', { items: Array(1001).fill(small) }, /expected 1 to 1000 items/],
    [
      'more than 1,000 images',
      { items: Array(100).fill({ ...small, count: 11 }) },
      /at most 1000 images of all items together, got 1100/,
    ],
    [
      'items of more than a mebibyte',
      { items: Array(600).fill({ ...small, prompt: '猫'.repeat(2000) }) },
      /at most 1048576 bytes of items as JSON, got 3\d{6}/,
    ],
    ['a bad item', { items: [small, { ...small, seed: -1 }] }, /→ at items\[1\]\.seed/],
    [
      "an item's own key",
      { items: [{ ...small, idempotencyKey: 'x' }] },
      /Unrecognized key: "idempotencyKey"/,
    ],
    ['a batch of 65', { items: [small], maxBatch: 65 }, /→ at maxBatch/],
    [
      'too many tags of batch and item together',
      {
        items: [{ ...small, tags: Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`a${i}`, ''])) }],
        tags: Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`b${i}`, ''])),
      },
      /at most 32 tags\n {2}→ at items\[0\]\.tags/,
    ],
  ];
  for (const [name, request, message] of refused) {
    test(`${name} is refused in words`, async () => {
      await assert.rejects(client.batch(request as BatchRequestInput), (error) => {
        assert.ok(error instanceof InvalidRequest);
        assert.match(error.message, message);
        return true;
      });
    });
  }
});

describe('a batch', () => {
  const shared = sharedEngine(scratch);
  const { lent, withWorker, withHost } = shared;

  /** What the engine was asked to draw, call by call. */
  function watched(also: (options: RenderOptions) => void = () => {}) {
    const calls: number[][] = [];
    const render: EngineHost['render'] = (options) => {
      calls.push(options.items.map(({ seed }) => seed));
      also(options);
      return shared.host.render(options);
    };
    return { calls, host: lent(render) };
  }

  const statuses = (items: readonly BatchItemResult[]) => items.map(({ status }) => status);
  const failures = (items: readonly BatchItemResult[]) =>
    items.flatMap((item) => (item.status === 'failed' ? [[item.index, item.error.type]] : []));

  test('groups what can be drawn together, and draws and stores identical items once', async () => {
    const { calls, host } = watched();
    await withWorker({ host }, async () => {
      const items = [
        { ...small, seed: 1 },
        { ...small, seed: 2, width: 128 },
        { ...small, seed: 1 },
        { ...small, seed: 3 },
        { ...small, seed: 0, count: 2 },
        { ...small, seed: 1, output: { format: 'webp' as const } },
        { ...small, seed: 9, steps: 3 },
      ];
      const handle = await shared.server.diffusion.batch({ items, tags: { for: 'test' } });
      const result = await handle.result();
      assert.equal(result.partial, false);
      assert.deepEqual(calls.map((seeds) => seeds.toSorted()).toSorted(), [[0, 1, 3], [2], [9]]);
      const images = result.items.map((item) => (item.status === 'done' ? item.images : []));
      assert.deepEqual(
        images.map((images) => images.map(({ seed }) => seed)),
        [[1], [2], [1], [3], [0, 1], [1], [9]],
      );
      assert.equal(images[0]?.[0]?.url, images[2]?.[0]?.url);
      assert.equal(images[0]?.[0]?.url, images[4]?.[1]?.url);
      assert.equal(images[0]?.[0]?.pixelsSha256, images[5]?.[0]?.pixelsSha256);
      assert.match(images[5]?.[0]?.url ?? '', /\.webp$/);
      const names = (await readdir(join(shared.out, 'blobs'))).length;
      assert.equal(names, 6);
      const { tags, workflowId } = await readProvenance(await shared.store.get(images[3]?.[0]?.url ?? ''));
      assert.deepEqual([tags, workflowId], [{ for: 'test' }, handle.id]);
      assert.ok(result.gpuMs > 0);
    });
  });

  test('has the pictures that single renders of the same seeds have', async () => {
    await withWorker({}, async () => {
      const seeds = [11, 12, 13, 14, 15];
      const batch = await shared.server.diffusion.batch({ items: seeds.map((seed) => ({ ...small, seed })) });
      const { items } = await batch.result();
      for (const [place, seed] of seeds.entries()) {
        const item = items[place];
        assert.ok(item?.status === 'done');
        const [image] = (await (await shared.server.diffusion.generate({ ...small, seed })).result()).images;
        const [together, alone] = await Promise.all(
          [item.images[0]?.url, image?.url].map((url) =>
            sharp(fileURLToPath(url ?? ''))
              .raw()
              .toBuffer(),
          ),
        );
        assert.ok(together && alone);
        // As docs/reproducibility.md states it.
        assert.ok(levelDifference(together, alone) <= 2, `seed ${seed}`);
      }
    });
  });

  test('tells items as they come, each once, while others are drawn', async () => {
    let open = (): void => {};
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    let calls = 0;
    // Whichever comes second.
    const gated = lent(async (options) => {
      if (++calls === 2) await gate;
      return shared.host.render(options);
    });
    await withWorker({ host: gated }, async () => {
      const items = [
        { ...small, seed: 1 },
        { ...small, seed: 2, width: 128 },
        { ...small, seed: 3, width: 1024 },
      ];
      const handle = await shared.server.diffusion.batch({ items });
      const seen: number[] = [];
      for await (const item of handle.items()) {
        seen.push(item.index);
        assert.equal(item.status, item.index === 2 ? 'failed' : 'done');
        if (seen.length === 2) {
          assert.deepEqual(await handle.progress(), { items: 3, done: 1, failed: 1 });
          open();
        }
      }
      assert.deepEqual(seen.toSorted(), [0, 1, 2]);
      assert.equal(seen[0], 2);
      const again: number[] = [];
      for await (const item of (await shared.server.diffusion.batchJob(handle.id)).items())
        again.push(item.index);
      assert.deepEqual(again, [0, 1, 2]);
    });
  });

  test('fails the items that are refused, and draws the others', async () => {
    const moderate = ({ prompt }: { prompt: string }): void => {
      if (prompt.includes('heart')) throw new PromptRejected('no hearts here');
    };
    await withWorker({ moderate }, async () => {
      const items = [
        { ...small, prompt: 'a tree' },
        small,
        { ...small, prompt: 'a star', model: 'unheard-of' },
        { ...small, prompt: 'a car', width: 1024 },
      ];
      const result = await (await shared.server.diffusion.batch({ items })).result();
      assert.equal(result.partial, true);
      assert.deepEqual(failures(result.items), [
        [1, 'PromptRejected'],
        [2, 'UnknownModel'],
        [3, 'InvalidRequest'],
      ]);
    });
  });

  test('one item that kills the engine each time fails alone', async () => {
    let killed = 0;
    const host = lent((options) => {
      if (!options.items.some(({ seed }) => seed === 13)) return lent().render(options);
      killed++;
      throw new EngineCrashed('the engine ended in mid-work');
    });
    await withHost({ host }, async () => {
      const items = [11, 12, 13, 14].map((seed) => ({ ...small, seed }));
      const result = await (await shared.server.diffusion.batch({ items })).result();
      assert.deepEqual(statuses(result.items), ['done', 'done', 'failed', 'done']);
      assert.deepEqual(failures(result.items), [[2, 'EngineCrashed']]);
      assert.equal(killed, 3 + 5);
    });
  });

  test('goes on with half of a batch that does not fit into memory', async () => {
    const calls: number[] = [];
    const tight = lent((options) => {
      calls.push(options.items.length);
      if (options.items.length > 2) throw new OutOfMemory('no room');
      return shared.host.render(options);
    });
    const cacheFolder = join(scratch, 'tight');
    await withWorker({ host: tight, cacheFolder }, async () => {
      const items = Array.from({ length: 8 }, (_, seed) => ({ ...small, seed }));
      const result = await (await shared.server.diffusion.batch({ items })).result();
      assert.deepEqual(new Set(statuses(result.items)), new Set(['done']));
      assert.deepEqual(calls, [8, 4, 2, 2, 2, 2]);
    });
  });

  test('draws again what was lost before it was stored, and only that', async () => {
    const staging = await openStaging({ folder: join(scratch, 'staging'), log });
    let losses = 1;
    const forgetful: Staging = {
      ...staging,
      async put(id, pixels) {
        await staging.put(id, pixels);
        if (id.endsWith('-1') && losses-- > 0) await staging.discard(id);
      },
    };
    const { calls, host } = watched();
    await withHost({ staging: forgetful, host }, async () => {
      const items = [21, 22, 23].map((seed) => ({ ...small, seed }));
      const result = await (await shared.server.diffusion.batch({ items })).result();
      assert.equal(result.partial, false);
      assert.deepEqual(calls, [[21, 22, 23], [22]]);
      await staging.drained();
    });
  });

  test('is shared by several hosts', async () => {
    await shared.withTwoHosts(async () => {
      const items = [31, 32, 33].map((seed) => ({ ...small, seed }));
      const result = await (await shared.server.diffusion.batch({ items, maxBatch: 2 })).result();
      assert.equal(result.partial, false);
    });
  });

  test('that is cancelled ends as cancelled, with nothing staged and the engine free', async () => {
    const staging = await openStaging({ folder: join(scratch, 'staging'), log });
    await withHost({ staging }, async () => {
      const items = Array.from({ length: 12 }, (_, seed) => ({ ...small, width: 256, steps: 50, seed }));
      const handle = await shared.server.diffusion.batch({ items, maxBatch: 2 });
      await until('it is drawing', () => shared.host.state.name === 'rendering');
      await handle.cancel();
      await assert.rejects(handle.result(), JobCancelled);
      await staging.drained();
      await (await shared.server.diffusion.generate(small)).result();
    });
  });

  test('of the same key is the same batch, and another one is refused', async () => {
    await withWorker({}, async () => {
      const request = { items: [small, { ...small, prompt: 'a tree' }], idempotencyKey: 'order-1' };
      const first = await shared.server.diffusion.batch(request);
      const second = await shared.server.diffusion.batch(request);
      assert.equal(first.id, 'generate-batch/order-1');
      assert.equal(second.runId, first.runId);
      await first.result();
      await assert.rejects(
        shared.server.diffusion.batch({ ...request, items: [small] }),
        (error) => error instanceof InvalidRequest && /generate-batch\/order-1 has it/.test(error.message),
      );
      await assert.rejects(shared.server.diffusion.job(first.id), /expected a job of temporal-diffusion/);
    });
  });

  test('of 200 items stays within a bounded history', async () => {
    await withWorker({}, async () => {
      const items = Array.from({ length: 200 }, (_, seed) => ({ ...small, steps: 1, seed }));
      const handle = await shared.server.diffusion.batch({ items });
      const result = await handle.result();
      assert.equal(result.partial, false);
      const { events } = await shared.server.client.workflow
        .getHandle(handle.id, handle.runId)
        .fetchHistory();
      const { raw } = await shared.server.client.workflow.getHandle(handle.id, handle.runId).describe();
      const bytes = Number(raw.workflowExecutionInfo?.historySizeBytes);
      if (process.env.TEST_FIGURES) console.log({ events: events?.length, bytes });
      // 25 GPU batches of two activities each, and the workflow's own tasks.
      assert.ok((events?.length ?? 0) < 350, `${events?.length} events`);
      assert.ok(bytes < 200 * 4000, `${bytes} bytes`);
    });
  });
});
