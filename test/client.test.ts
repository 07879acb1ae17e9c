import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Client, WorkflowNotFoundError } from '@temporalio/client';
import { z } from 'zod';
import { DiffusionClient } from '../src/client/diffusion-client.js';
import type { JobUpdate } from '../src/client/updates.js';
import { InvalidRequest, UnknownModel } from '../src/contract/errors.js';
import { createFolderStore } from '../src/storage/folder-store.js';
import type { DiffusionWorker } from '../src/worker/gpu-worker.js';
import { scratchFolder } from './support/scratch.js';
import { startTestServer, type TestServer } from './support/temporal.js';
import { startDiffusionWorker } from './support/workers.js';

const scratch = scratchFolder();
const small = { prompt: 'a red heart', width: 64, height: 64, steps: 2 };

describe('before anything is sent', () => {
  // Nothing listens there, and a call would say so.
  const client = new DiffusionClient(new Client());

  const refused: [name: string, request: object, message: RegExp][] = [
    [
      'an empty prompt',
      { prompt: ' \n ' },
      /✖ expected a prompt of 1 to 2000 characters, got an empty one\n {2}→ at prompt/,
    ],
    ['a huge prompt', { prompt: 'x'.repeat(2001) }, /✖ expected at most 2000 characters\n {2}→ at prompt/],
    ['an enormous prompt', { prompt: 'x'.repeat(10_000_000) }, /→ at prompt/],
    ['a size of 0', { width: 0 }, /→ at width/],
    ['a size of a million', { width: 1_000_000, height: 1_000_000 }, /→ at width\n.*\n {2}→ at height/],
    ['a size that is no multiple of 16', { width: 100 }, /multiple of 16\n {2}→ at width/],
    ['a NaN', { steps: Number.NaN }, /received NaN\n {2}→ at steps/],
    ['a seed of −1', { seed: -1 }, /→ at seed/],
    ['a seed beyond 32 bits', { seed: 2 ** 32 }, /→ at seed/],
    ['no image', { count: 0 }, /→ at count/],
    ['17 images', { count: 17 }, /→ at count/],
    ['a field that does not exist', { promt: 'typo' }, /Unrecognized key: "promt"/],
    [
      'quality for PNG',
      { output: { format: 'png', quality: 5 } },
      /PNG is lossless.*\n {2}→ at output\.quality/,
    ],
    ['a model name that is no name', { model: '../x' }, /→ at model/],
    [
      'too many tags',
      { tags: Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`k${i}`, ''])) },
      /at most 32 tags/,
    ],
    [
      'too much in the tags',
      { tags: Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`k${i}`, 'x'.repeat(256)])) },
      /at most 4096/,
    ],
  ];
  for (const [name, request, message] of refused) {
    test(`${name} is refused in words`, async () => {
      await assert.rejects(client.generate({ prompt: 'a cat', ...request }), (error) => {
        assert.ok(error instanceof InvalidRequest);
        assert.match(error.message, message);
        assert.ok(error.cause instanceof z.ZodError);
        return true;
      });
    });
  }
});

describe('with a server', () => {
  let server: TestServer;
  let worker: DiffusionWorker;
  let client: DiffusionClient;
  before(async () => {
    server = await startTestServer();
    client = server.diffusion;
    worker = await startDiffusionWorker(server, { store: createFolderStore(join(scratch, 'out')) });
  });
  after(async () => {
    await worker.stop();
    await server.close();
  });

  test('a seed that is left out is drawn once, and stands in handle, history and result', async () => {
    const handle = await client.generate(small);
    const { images } = await handle.result();
    assert.deepEqual(
      images.map(({ seed }) => seed),
      [handle.seed],
    );
    const { memo, staticSummary } = await server.client.workflow.getHandle(handle.id).describe();
    assert.equal(memo?.seed, handle.seed);
    assert.equal(await staticSummary(), `a red heart · emoji · seed ${handle.seed}`);
    assert.equal((await client.job(handle.id)).seed, handle.seed);
  });

  test('the same key again is the same job, while it runs and when it is done', async () => {
    const request = { ...small, idempotencyKey: 'order-1' };
    const [first, second] = await Promise.all([client.generate(request), client.generate({ ...request })]);
    assert.equal(first.id, 'generate-image/order-1');
    assert.deepEqual([second.runId, second.seed], [first.runId, first.seed]);
    const result = await first.result();
    const third = await client.generate({ ...request, prompt: ' a  red heart' });
    assert.equal(third.runId, first.runId);
    assert.deepEqual(await third.result(), result);
  });

  test('the same key with another request is refused', async () => {
    await client.generate({ ...small, idempotencyKey: 'order-2' });
    for (const other of [{ seed: 5 }, { prompt: 'another' }, { tags: { a: 'b' } }]) {
      await assert.rejects(client.generate({ ...small, ...other, idempotencyKey: 'order-2' }), (error) => {
        assert.ok(error instanceof InvalidRequest);
        assert.match(error.message, /job generate-image\/order-2 has it\n {2}→ at idempotencyKey/);
        return true;
      });
    }
  });

  test('a job that failed may run again under its key', async () => {
    const request = { ...small, model: 'unheard-of', idempotencyKey: 'order-3' };
    const first = await client.generate(request);
    await assert.rejects(first.result(), (error) => {
      assert.ok(error instanceof UnknownModel);
      assert.match(error.message, /expected one of the models emoji, got "unheard-of"/);
      return true;
    });
    const second = await client.generate({ ...small, idempotencyKey: 'order-3' });
    assert.notEqual(second.runId, first.runId);
    await second.result();
  });

  test('updates tell each step of each image once and in order', async () => {
    const handle = await client.generate({ ...small, steps: 5, count: 3, seed: 4_294_967_295 });
    const seen = new Map<number, JobUpdate[]>();
    for await (const update of handle.updates()) {
      seen.set(update.index, [...(seen.get(update.index) ?? []), update]);
    }
    assert.equal(seen.size, 3);
    for (const [index, seed] of [4_294_967_295, 0, 1].entries()) {
      const updates = seen.get(index) ?? [];
      assert.deepEqual(
        updates.map(({ step }) => step),
        [0, 1, 2, 3, 4, 5],
      );
      assert.ok(updates.every((update) => update.seed === seed && update.of === 5));
    }
    await handle.result();
  });

  test('a workflow that is none of ours is not taken for a job', async () => {
    await assert.rejects(client.job('nobody'), WorkflowNotFoundError);
    await server.client.workflow.start('other', { workflowId: 'theirs', taskQueue: 'theirs' });
    await assert.rejects(
      client.job('theirs'),
      /expected a job of temporal-diffusion, but workflow theirs is none/,
    );
  });
});
