import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Context } from '@temporalio/activity';
import sharp from 'sharp';
import { z } from 'zod';
import { isSignalled } from '../src/activities/progress-report.js';
import { readProvenance } from '../src/activities/provenance.js';
import { openStaging, type Staging } from '../src/activities/staging.js';
import type { JobHandle } from '../src/client/job-handle.js';
import {
  ClaimLost,
  EngineCrashed,
  InvalidRequest,
  JobCancelled,
  PromptRejected,
  StorageRefused,
  StorageUnavailable,
  UnknownModel,
} from '../src/contract/errors.js';
import type { PublishedImage } from '../src/contract/job.js';
import { DIFFUSION_QUEUE } from '../src/contract/queues.js';
import type { GenerateRequestInput } from '../src/contract/request.js';
import { STEP_SIGNALS_APART_MS } from '../src/contract/workflow-types.js';
import type { BlobStore } from '../src/storage/blob-store.js';
import type { DiffusionWorker } from '../src/worker/gpu-worker.js';
import { emojiHost } from './support/engine.js';
import { scratchFolder } from './support/scratch.js';
import { sharedEngine } from './support/shared-engine.js';
import { log } from './support/temporal.js';
import { until } from './support/waiting.js';
import { startDiffusionWorker, startHostWorkers, withParts } from './support/workers.js';

const small = {
  prompt: 'a red heart',
  width: 64,
  height: 64,
  steps: 4,
  seed: 7,
} satisfies GenerateRequestInput;

const scratch = scratchFolder();
const shared = sharedEngine(scratch);
const { lent, withWorker, withHost } = shared;
let names = 0;

async function statusOf(id: string): Promise<string> {
  return (await shared.server.client.workflow.getHandle(id).describe()).status.name;
}

async function isPending({ id }: JobHandle, activity: string): Promise<boolean> {
  const { raw } = await shared.server.client.workflow.getHandle(id).describe();
  return (raw.pendingActivities ?? []).some(({ activityType }) => activityType?.name === activity);
}

async function stepOf(handle: JobHandle): Promise<number | undefined> {
  return (await handle.progress()).images[0]?.step;
}

/** What Temporal's UI shows. */
async function detailsOf({ id }: JobHandle): Promise<string | undefined> {
  const metadata = await shared.server.client.workflow.getHandle(id).query('__temporal_workflow_metadata');
  return z.object({ currentDetails: z.string() }).parse(metadata).currentDetails;
}

async function pixelsOf({ url }: PublishedImage): Promise<string> {
  const pixels = await sharp(fileURLToPath(url)).raw().toBuffer();
  return createHash('sha256').update(pixels).digest('hex');
}

async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name);
}

describe('a job', () => {
  test('ends with pictures that lie in the store and know how they were made', async () => {
    await withWorker({}, async () => {
      const handle = await shared.server.diffusion.generate({
        ...small,
        count: 3,
        seed: 2 ** 32 - 2,
        tags: { for: 'test' },
      });
      const { workflowId, runId, plan, images, tags } = await handle.result();
      assert.deepEqual([workflowId, runId, tags], [handle.id, handle.runId, { for: 'test' }]);
      assert.equal(plan.truncated, false);
      assert.deepEqual(
        images.map(({ seed }) => seed),
        [2 ** 32 - 2, 2 ** 32 - 1, 0],
      );
      assert.equal(new Set(images.map(({ pixelsSha256 }) => pixelsSha256)).size, 3);
      for (const image of images) {
        assert.equal(await pixelsOf(image), image.pixelsSha256);
        assert.equal(
          createHash('sha256')
            .update(await shared.store.get(image.blobUrl))
            .digest('hex'),
          image.sha256,
        );
        const provenance = await readProvenance(await shared.store.get(image.url));
        assert.equal(provenance.workflowId, handle.id);
        assert.equal(provenance.runId, handle.runId);
        assert.equal(provenance.seed, image.seed);
        assert.equal(provenance.modelDigest, plan.modelDigest);
        assert.deepEqual(provenance.tags, { for: 'test' });
        assert.ok(Object.values(image.stages).every((ms) => ms >= 0));
        assert.ok(image.stages.denoiseMs > 0);
      }
      assert.equal((await filesIn(shared.out)).length, 6);
    });
  });

  test('stores in the format and quality that it was asked for', async () => {
    await withWorker({}, async () => {
      for (const format of ['jpeg', 'webp', 'avif'] as const) {
        const handle = await shared.server.diffusion.generate({ ...small, output: { format, quality: 50 } });
        const [image] = (await handle.result()).images;
        assert.ok(image);
        assert.match(image.url, format === 'jpeg' ? /\.jpg$/ : new RegExp(`\\.${format}$`));
        assert.equal((await readProvenance(await shared.store.get(image.url))).seed, 7);
      }
    });
  });

  test('puts nothing larger than a few KB into its history, however long the prompt', async () => {
    await withWorker({}, async () => {
      const handle = await shared.server.diffusion.generate({ ...small, prompt: 'heart '.repeat(333) });
      const { plan } = await handle.result();
      assert.equal(plan.truncated, true);
      const { events } = await shared.server.client.workflow
        .getHandle(handle.id, handle.runId)
        .fetchHistory();
      const sizes = (events ?? []).map((event) => JSON.stringify(event).length);
      assert.ok(Math.max(...sizes) < 12_000, `largest event: ${Math.max(...sizes)} characters of JSON`);
    });
  });

  test('costs its server at most 40 events, whatever it has to tell', async () => {
    const told = [1, 25, 50, 75, 99];
    const slow = lent(async (options) => {
      for (const step of told) {
        options.onStep?.({ index: 0, seed: small.seed, step, of: 100 });
        // A timer may come a little early.
        await setTimeout(STEP_SIGNALS_APART_MS + 50);
      }
      const items = options.items.map((item) => ({ ...item, steps: 4 }));
      return shared.host.render({ items });
    });
    const eventsOf = async (handle: JobHandle): Promise<number> => {
      await handle.result();
      const { events } = await shared.server.client.workflow.getHandle(handle.id).fetchHistory();
      return events?.length ?? 0;
    };
    await withWorker({ host: slow }, async () => {
      const handle = await shared.server.diffusion.generate({ ...small, steps: 100, preview: true });
      // A query that comes while the job is being prepared costs a workflow task of its own.
      await until('the image is being drawn', () => isPending(handle, 'generate'));
      await until('the workflow knows of a step', async () => (await stepOf(handle)) === 25);
      const { images } = await handle.progress();
      assert.deepEqual(images, [{ index: 0, seed: small.seed, state: 'drawing', step: 25, of: 100 }]);
      assert.equal(await detailsOf(handle), 'step 25 of 100 · 64×64 · seed 7');
      const events = await eventsOf(handle);
      assert.ok(events <= 30, `${events} events`);
    });
    const silent = lent(({ items }) => shared.host.render({ items }));
    await withWorker({ host: silent, moderate: () => {} }, async () => {
      const handle = await shared.server.diffusion.generate({ ...small, preview: true });
      const events = await eventsOf(handle);
      assert.ok(events <= 24, `${events} events`);
    });
  });

  test('tells its workflow of three steps at most, and of none in the first second', () => {
    const steps = Array.from({ length: 21 }, (_, step) => step);
    const told = (sinceMs: number) => steps.filter((step) => isSignalled({ step, of: 20 }, sinceMs));
    assert.deepEqual(told(STEP_SIGNALS_APART_MS), [5, 10, 15]);
    assert.deepEqual(told(STEP_SIGNALS_APART_MS - 1), []);
  });

  test('that breaks the contract fails at once, also where it did not come through our client', async () => {
    await withWorker({}, async () => {
      const options = {
        taskQueue: DIFFUSION_QUEUE,
        workflowId: `raw-${names++}`,
        args: [{ prompt: '', seed: -1 }],
      };
      const handle = await shared.server.client.workflow.start('generateImage', options);
      await assert.rejects(handle.result(), (error) => {
        assert.ok(error instanceof Error && error.cause instanceof Error);
        assert.match(error.cause.message, /→ at prompt\n(?:.*\n)*.*→ at seed/);
        return true;
      });
    });
  });

  test("that asks for what its model can't do is refused in words", async () => {
    await withWorker({}, async () => {
      const refusal = async (request: Partial<GenerateRequestInput>): Promise<unknown> =>
        (await shared.server.diffusion.generate({ ...small, ...request }))
          .result()
          .catch((error: unknown) => error);
      const size = await refusal({ width: 1024 });
      assert.ok(size instanceof InvalidRequest);
      assert.match(
        size.message,
        /✖ expected a multiple of 16 from 64 to 512 for emoji, got 1024\n {2}→ at width/,
      );
      const guidance = await refusal({ guidance: 3 });
      assert.ok(guidance instanceof InvalidRequest);
      assert.match(guidance.message, /→ at guidance/);
      assert.ok((await refusal({ model: 'constructor' })) instanceof UnknownModel);
    });
  });

  test('can be refused by a moderation hook, before any GPU sees it', async () => {
    const moderate = ({ prompt }: { prompt: string }): void => {
      if (prompt.includes('heart')) throw new PromptRejected('no hearts here');
    };
    await withWorker({ moderate }, async () => {
      const handle = await shared.server.diffusion.generate(small);
      await assert.rejects(
        handle.result(),
        (error) => error instanceof PromptRejected && error.message === 'no hearts here',
      );
      const { events } = await shared.server.client.workflow.getHandle(handle.id).fetchHistory();
      const scheduled = (events ?? []).map(
        (event) => event.activityTaskScheduledEventAttributes?.activityType?.name,
      );
      assert.deepEqual(scheduled.filter(Boolean), ['preparePrompt']);
    });
  });
});

describe('whatever dies in between', () => {
  test('a job whose engine is killed between two steps ends with the picture that it would have had', async () => {
    const [undisturbed] = await shared.host.render({ items: [{ index: 0, ...small }] });
    assert.ok(undisturbed);
    const mortal = emojiHost();
    let killed = 0;
    const killer = withParts(mortal, {
      async render(options) {
        const { pid } = await mortal.ready();
        return mortal.render({
          ...options,
          onStep(progress) {
            options.onStep?.(progress);
            if (progress.step !== 2 || killed > 0) return;
            killed = pid;
            process.kill(pid, 'SIGKILL');
          },
        });
      },
    });
    await withWorker({ host: killer }, async () => {
      const { images } = await (await shared.server.diffusion.generate(small)).result();
      assert.notEqual(killed, 0);
      assert.notEqual((await mortal.ready()).pid, killed);
      const digest = createHash('sha256').update(undisturbed.pixels).digest('hex');
      assert.deepEqual(
        images.map(({ pixelsSha256 }) => pixelsSha256),
        [digest],
      );
    });
  });

  test('a job whose engine dies at every attempt fails as crashed, after five of them', async () => {
    let attempts = 0;
    const dying = withParts(shared.host, {
      async render() {
        throw new EngineCrashed(`the engine ended in mid-work, for the ${++attempts}th time`);
      },
    });
    await withHost({ host: dying }, async () => {
      const handle = await shared.server.diffusion.generate(small);
      await assert.rejects(handle.result(), (error) => {
        assert.ok(error instanceof EngineCrashed);
        assert.match(error.message, /for the 5th time/);
        return true;
      });
    });
  });

  test('a job whose host is gone before it published is drawn again on another', async () => {
    await withWorker({ roles: ['jobs'] }, async () => {
      const staging = await openStaging({ folder: join(scratch, 'staging'), log });
      const doomed = await startHostWorkers(shared.server, {
        host: shared.host,
        staging,
        store: shared.store,
        queue: 'host-doomed',
      });
      await doomed.publishing.stop();
      const handle = await shared.server.diffusion.generate(small);
      await until('the picture waits for its host to publish it', () => isPending(handle, 'publish'));
      await doomed.stop();
      await staging.close();

      await withWorker({ roles: ['gpu'] }, async () => {
        const [image] = (await handle.result()).images;
        assert.ok(image);
        assert.equal(await pixelsOf(image), image.pixelsSha256);
      });
    });
  });

  test('an image whose pixels were lost on a host that lives is drawn again at once', async () => {
    const staging = await openStaging({ folder: join(scratch, 'staging'), log });
    let losses = 1;
    await withHost({ staging: losing(staging, () => losses-- > 0) }, async () => {
      const { images } = await (await shared.server.diffusion.generate(small)).result();
      assert.equal(images.length, 1);
    });
  });

  test('an image whose pixels are lost every time fails the job after three drawings', async () => {
    const staging = await openStaging({ folder: join(scratch, 'staging'), log });
    let drawings = 0;
    await withHost({ staging: losing(staging, () => ++drawings > 0) }, async () => {
      const handle = await shared.server.diffusion.generate(small);
      await assert.rejects(handle.result(), (error) => {
        assert.ok(error instanceof ClaimLost);
        assert.match(error.message, /image 0 \(seed 7\) was drawn 3 times/);
        return true;
      });
      assert.equal(drawings, 3);
    });
  });

  test('a store that is away for a while costs no second drawing', async () => {
    let away = 2;
    let drawings = 0;
    const counting = withParts(shared.host, {
      render(options) {
        drawings++;
        return shared.host.render(options);
      },
    });
    const shaky: BlobStore = {
      ...shared.store,
      put(key, bytes, options) {
        if (away-- > 0) throw new StorageUnavailable('away');
        return shared.store.put(key, bytes, options);
      },
    };
    await withHost({ host: counting, store: shaky }, async () => {
      await (await shared.server.diffusion.generate(small)).result();
      assert.equal(drawings, 1);
    });
  });

  test('a store that refuses fails the job at once, with nothing left staged', async () => {
    const staging = await openStaging({ folder: join(scratch, 'staging'), log });
    const full: BlobStore = {
      ...shared.store,
      async put() {
        throw new StorageRefused('the disk is full: free some space');
      },
    };
    await withHost({ staging, store: full }, async () => {
      const handle = await shared.server.diffusion.generate({ ...small, count: 4 });
      await assert.rejects(handle.result(), (error) => {
        assert.ok(error instanceof StorageRefused);
        assert.equal(error.message, 'the disk is full: free some space');
        return true;
      });
      await staging.drained();
    });
    assert.deepEqual(await filesIn(shared.out), []);
  });

  test('a worker that is stopped lets its running picture be finished and published', async () => {
    await withWorker({ roles: ['jobs'] }, async () => {
      let worker: DiffusionWorker | undefined;
      let stopping: Promise<void> | undefined;
      const observed = lent((options) =>
        shared.host.render({
          ...options,
          onStep(progress) {
            options.onStep?.(progress);
            stopping ??= worker?.stop();
          },
        }),
      );
      worker = await startDiffusionWorker(shared.server, {
        store: shared.store,
        host: observed,
        roles: ['gpu'],
      });
      const handle = await shared.server.diffusion.generate(small);
      const { images } = await handle.result();
      await stopping;
      const { events } = await shared.server.client.workflow.getHandle(handle.id).fetchHistory();
      assert.equal((events ?? []).filter((event) => event.activityTaskTimedOutEventAttributes).length, 0);
      assert.equal(images.length, 1);
    });
  });
});

describe('a job that is cancelled', () => {
  test('between two steps ends as cancelled, with nothing staged or stored and the engine free', async () => {
    const staging = await openStaging({ folder: join(scratch, 'staging'), log });
    await withHost({ staging }, async () => {
      // Long enough that it can't be done before the cancellation arrives.
      const handle = await shared.server.diffusion.generate({
        ...small,
        width: 256,
        height: 256,
        steps: 100,
        count: 3,
      });
      for await (const { step } of handle.updates()) if (step > 0) break;
      await handle.cancel();
      await assert.rejects(handle.result(), (error) => {
        assert.ok(error instanceof JobCancelled);
        assert.match(error.message, /job generate-image\/.* was cancelled/);
        return true;
      });
      assert.equal(await statusOf(handle.id), 'CANCELLED');
      await staging.drained();
      assert.deepEqual(await filesIn(shared.out), []);
      await (await shared.server.diffusion.generate(small)).result();
    });
  });

  test('while it waits for a GPU ends at once', async () => {
    await withWorker({ roles: ['jobs'] }, async () => {
      const handle = await shared.server.diffusion.generate(small);
      await until('it waits for a GPU', () => isPending(handle, 'generate'));
      await handle.cancel();
      await assert.rejects(handle.result(), JobCancelled);
    });
  });

  test('after its pixels were staged leaves none there', async () => {
    const staging = await openStaging({ folder: join(scratch, 'staging'), log });
    let publishing = (): void => {};
    const reached = new Promise<void>((resolve) => {
      publishing = resolve;
    });
    const away: BlobStore = {
      ...shared.store,
      async put() {
        publishing();
        throw new StorageUnavailable('away');
      },
    };
    await withHost({ staging, store: away }, async () => {
      const handle = await shared.server.diffusion.generate(small);
      await reached;
      await handle.cancel();
      await assert.rejects(handle.result(), JobCancelled);
      await staging.drained();
    });
    assert.deepEqual(await filesIn(shared.out), []);
  });
});

test('a job that is cancelled while the store fails ends as cancelled, not as failed', async () => {
  const staging = await openStaging({ folder: join(scratch, 'staging'), log });
  let reached = (): void => {};
  const storing = new Promise<void>((resolve) => {
    reached = resolve;
  });
  const away: BlobStore = {
    ...shared.store,
    async put() {
      reached();
      // Until the activity has been told that it is cancelled.
      await Context.current().cancelled.catch(() => {});
      throw new StorageUnavailable('away');
    },
  };
  await withHost({ staging, store: away }, async () => {
    const handle = await shared.server.diffusion.generate(small);
    await storing;
    await handle.cancel();
    await assert.rejects(handle.result(), JobCancelled);
    await staging.drained();
  });
});

test('the images of a job are drawn by several hosts at the same time', async () => {
  await shared.withTwoHosts(async () => {
    const { images } = await (await shared.server.diffusion.generate({ ...small, count: 2 })).result();
    assert.deepEqual(
      images.map(({ index }) => index),
      [0, 1],
    );
  });
});

/** `staging` that forgets what it was given whenever `loses` says so. */
function losing(staging: Staging, loses: () => boolean): Staging {
  return {
    ...staging,
    async put(id, pixels) {
      await staging.put(id, pixels);
      if (loses()) await staging.discard(id);
    },
  };
}
