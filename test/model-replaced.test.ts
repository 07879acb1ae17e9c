import assert from 'node:assert/strict';
import { appendFile, cp } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { readProvenance } from '../src/activities/provenance.js';
import { ModelReplaced } from '../src/contract/errors.js';
import type { GenerateResult } from '../src/contract/job.js';
import { createFolderStore } from '../src/storage/folder-store.js';
import { emojiHost } from './support/engine.js';
import { EMOJI } from './support/references.js';
import { scratchFolder } from './support/scratch.js';
import { startTestServer, type TestServer } from './support/temporal.js';
import { startDiffusionWorker, withParts } from './support/workers.js';

const scratch = scratchFolder();
const store = createFolderStore(join(scratch, 'out'));
const small = { prompt: 'a red heart', width: 64, height: 64, steps: 4, seed: 7 };

let server: TestServer;
before(async () => {
  server = await startTestServer();
});
after(() => server.close());

let models = 0;
async function copyOfEmoji(): Promise<string> {
  const folder = join(scratch, `emoji-${models++}`);
  await cp(EMOJI, folder, { recursive: true });
  return folder;
}

/** Makes another model of it, as far as its digest goes. */
const replace = (checkpoint: string) => appendFile(join(checkpoint, 'model_index.json'), '\n');

/** What result, image and picture say of the model that drew it. */
async function digestsOf({ plan, images }: GenerateResult): Promise<Set<string>> {
  const [image] = images;
  assert.ok(image);
  const { modelDigest } = await readProvenance(await store.get(image.url));
  return new Set([plan.modelDigest, modelDigest]);
}

test('a model that is replaced between two attempts: the job is planned again, and all that it says is of the new one', async () => {
  const checkpoint = await copyOfEmoji();
  const host = emojiHost({ checkpoint });
  const { model } = await host.ready();
  let renders = 0;
  const killed = withParts(host, {
    async render(options) {
      renders++;
      if (renders > 1) return host.render(options);
      await replace(checkpoint);
      process.kill((await host.ready()).pid, 'SIGKILL');
      return host.render(options);
    },
  });
  const worker = await startDiffusionWorker(server, { store, checkpoint, host: killed });
  try {
    const result = await (await server.diffusion.generate(small)).result();
    const [digest, ...others] = await digestsOf(result);
    assert.deepEqual(others, []);
    assert.notEqual(digest, model.digest);
    assert.equal((await host.ready()).model.digest, digest);
    // The first was lost with its engine; nothing was drawn for the plan that could not be kept.
    assert.equal(renders, 2);
  } finally {
    await worker.stop();
  }
});

test('a job whose GPUs never get the model that it is planned for fails in words, and nothing is drawn', async () => {
  const [planned, found] = await Promise.all([copyOfEmoji(), copyOfEmoji()]);
  await replace(found);
  const host = emojiHost({ checkpoint: found });
  let renders = 0;
  const counted = withParts(host, {
    render(options) {
      renders++;
      return host.render(options);
    },
  });
  const worker = await startDiffusionWorker(server, { store, checkpoint: planned, host: counted });
  try {
    const handle = await server.diffusion.generate(small);
    await assert.rejects(handle.result(), (error) => {
      assert.ok(error instanceof ModelReplaced, String(error));
      assert.match(
        error.message,
        /^expected the emoji that the job was planned for, .* \[planned=\w{12}, found=\w{12}\]$/,
      );
      return true;
    });
    assert.equal(renders, 0);
    const batch = await (await server.diffusion.batch({ items: [small] })).result();
    assert.deepEqual(
      batch.items.map((item) => item.status === 'failed' && item.error.type),
      ['ModelReplaced'],
    );
    assert.equal(renders, 0);
  } finally {
    await worker.stop();
  }
});
