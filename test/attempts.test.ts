import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { defaultDataConverter } from '@temporalio/common';
import { decodeArrayFromPayloads } from '@temporalio/common/lib/internal-non-workflow/index.js';
import type { History } from '@temporalio/common/lib/proto-utils.js';
import { z } from 'zod';
import { AttemptRecord, collapsed } from '../src/contract/attempts.js';
import { EngineCrashed, OutOfMemory, StorageUnavailable } from '../src/contract/errors.js';
import { PixelClaim } from '../src/contract/job.js';
import type { EngineHost } from '../src/gpu/host.js';
import type { BlobStore } from '../src/storage/blob-store.js';
import { scratchFolder } from './support/scratch.js';
import { sharedEngine } from './support/shared-engine.js';

type Payloads = Parameters<typeof decodeArrayFromPayloads>[1];

const decoded = (payloads: Payloads) => decodeArrayFromPayloads(defaultDataConverter, payloads);

describe('the history of a job whose attempts failed', () => {
  const shared = sharedEngine(scratchFolder());
  const small = { prompt: 'a red heart', width: 64, height: 64, steps: 2, seed: 7 };

  async function historyOf(parts: { render?: EngineHost['render']; store?: BlobStore }): Promise<History> {
    const { render, store = shared.store } = parts;
    return shared.withHost({ host: shared.lent(render), store }, async () => {
      const job = await shared.server.diffusion.generate(small);
      await job.result();
      return shared.server.client.workflow.getHandle(job.id).fetchHistory();
    });
  }

  test('tells of each, and of the host and engine that drew the picture', async () => {
    const errors = [new EngineCrashed('gone [engine=1]'), new OutOfMemory('no room')];
    const { events } = await historyOf({
      async render(options) {
        const error = errors.shift();
        options.onStep?.({ index: 0, seed: 7, step: 1, of: 2 });
        if (error) throw error;
        return shared.host.render(options);
      },
    });
    const drawn = events?.find((event) => event.activityTaskCompletedEventAttributes);
    const [claims] = await decoded(drawn?.activityTaskCompletedEventAttributes?.result?.payloads);
    const [claim] = z.array(PixelClaim).parse(claims);
    const engine = await shared.host.ready();
    assert.equal(claim?.drawnBy?.engine.instance, engine.instance);
    assert.equal(claim.drawnBy.graphDigest, engine.graphDigest);
    assert.deepEqual(
      claim.earlier?.map(({ attempt, step, of, error, engine }) => [
        attempt,
        step,
        of,
        error?.type,
        engine?.device,
      ]),
      [
        [1, 1, 2, 'EngineCrashed', 'cpu'],
        [2, 1, 2, 'OutOfMemory', 'cpu'],
      ],
    );
  });

  test('tells of those that were to store the picture too, alike ones once', async () => {
    let failures = 2;
    const { events } = await historyOf({
      store: {
        ...shared.store,
        async put(key, bytes, options) {
          if (failures-- > 0) throw new StorageUnavailable(`away [try=${failures}]`);
          return shared.store.put(key, bytes, options);
        },
      },
    });
    const started = events?.findLast((event) => event.activityTaskStartedEventAttributes);
    const { attempt, lastFailure } = started?.activityTaskStartedEventAttributes ?? {};
    assert.equal(attempt, 3);
    const details = lastFailure?.applicationFailureInfo?.details?.payloads;
    const [records] = await decoded(details);
    const [first, second] = z.array(AttemptRecord).parse(records);
    assert.deepEqual([first?.attempt, first?.error?.type], [1, 'StorageUnavailable']);
    assert.equal(second?.attempt, 2);
  });
});

describe('attempts in a row', () => {
  const failed = (attempt: number, facts: Partial<AttemptRecord> = {}): AttemptRecord => ({
    attempt,
    startedAt: attempt * 1000,
    ms: 500,
    queueMs: 1,
    host: 'a',
    error: { type: 'EngineCrashed', message: `gone with code 9 [engine=${attempt}]` },
    ...facts,
  });

  test('are one where they failed alike, from the first one to the last', () => {
    const [group, ...others] = collapsed([1, 2, 3, 4].map((attempt) => failed(attempt)));
    assert.deepEqual(others, []);
    assert.deepEqual([group?.attempt, group?.to, group?.startedAt, group?.ms], [1, 4, 1000, 3500]);
    assert.match(group?.error?.message ?? '', /engine=4/);
    assert.deepEqual(collapsed([group ?? failed(1), failed(5)]).length, 1);
  });

  test('stay apart where the host, the error, or a number between them is another one', () => {
    const apart = [failed(1), failed(2, { host: 'b' }), failed(4, { host: 'b' })];
    assert.equal(collapsed(apart).length, 3);
    const other = { type: 'OutOfMemory', message: 'no room' };
    assert.equal(collapsed([failed(1), failed(2, { error: other })]).length, 2);
  });
});
