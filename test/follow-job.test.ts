import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { Deployment } from '../src/cli/deployment.js';
import { followJob } from '../src/cli/follow-job.js';
import type { Progress } from '../src/cli/progress.js';
import { StorageUnavailable } from '../src/contract/errors.js';
import { parse } from '../src/contract/parse.js';
import { GenerateRequest } from '../src/contract/request.js';
import type { BlobStore } from '../src/storage/blob-store.js';
import { scratchFolder } from './support/scratch.js';
import { sharedEngine } from './support/shared-engine.js';
import { loadSdk } from './support/temporal.js';
import { until } from './support/waiting.js';
import { startDiffusionWorker } from './support/workers.js';

const scratch = scratchFolder();
const shared = sharedEngine(scratch);
const { withWorker, lent } = shared;

/** Follows a small job, as `render` does. */
function follow(hindrances: Deployment['hindrances'] = async () => []) {
  const notes: string[] = [];
  const progress: Progress = { note: (message) => notes.push(message), step() {}, end() {} };
  const deployment: Deployment = {
    ...shared.server,
    serverMs: 0,
    engineMs: () => undefined,
    hindrances,
  };
  const request = parse(GenerateRequest, { prompt: 'a red heart', width: 64, height: 64, steps: 1 });
  const result = followJob(request, deployment, progress, new AbortController().signal);
  return { notes, result };
}

describe('whoever follows a job at a terminal', () => {
  test('reads once what is tried again, and again when it is something else', async () => {
    let reason: string | undefined = 'the disk is full: free some space';
    let tries = 0;
    const shaky: BlobStore = {
      ...shared.store,
      put(...picture) {
        tries++;
        if (reason === undefined) return shared.store.put(...picture);
        throw new StorageUnavailable(reason);
      },
    };
    await withWorker({ store: shaky }, async () => {
      const { notes, result } = follow();
      await until('publish was tried three times', () => tries >= 3);
      assert.deepEqual(notes, ['publish failed and is tried again: the disk is full: free some space']);
      reason = 'the bucket is away';
      await until('the other reason is told', () => notes.length > 1);
      reason = undefined;
      await result;
      assert.deepEqual(notes.slice(1), ['publish failed and is tried again: the bucket is away']);
    });
  });

  test('reads once why a job waits that was not tried at all', async () => {
    const full = { stagingFolder: join(scratch, 'full'), minFreeBytes: Number.MAX_SAFE_INTEGER };
    const warnings: string[] = [];
    process.on('warning', ({ name }) => warnings.push(name));
    await shared.host.ready();
    await withWorker(full, async (worker) => {
      let looks = 0;
      const { notes, result } = follow(async () => {
        looks++;
        return worker.readiness();
      });
      await until('it has told what it saw twice', () => looks >= 3);
      assert.equal(notes.length, 1, notes.join());
      assert.match(notes[0] ?? '', /^waiting: the disk of \S+ is nearly full: \d+ MiB free, \d+ MiB needed$/);
      // The slot has asked for room many times by now.
      assert.deepEqual(warnings, []);
      const { NativeConnection } = await loadSdk();
      // A connection takes one worker a queue.
      const connection = await NativeConnection.connect({ address: shared.server.address });
      const { store } = shared;
      const options = { store, host: lent(), roles: ['gpu'] as const };
      const roomy = await startDiffusionWorker({ ...shared.server, connection }, options);
      try {
        await result;
      } finally {
        await roomy.stop();
        await connection.close();
      }
    });
  });
});
