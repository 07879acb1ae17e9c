import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Client } from '@temporalio/client';
import type { GenerateResult, StepProgress } from '../src/contract/job.js';
import type { EngineHost, RenderOptions } from '../src/gpu/host.js';
import { createFolderStore } from '../src/storage/folder-store.js';
import { Command } from './support/command.js';
import { createDurableServer } from './support/durable-server.js';
import { emojiHost, enginePids } from './support/engine.js';
import { scratchFolder } from './support/scratch.js';
import { NO_SMALL_DISK, smallDisk } from './support/small-disk.js';
import { startTestServer, type TestServer } from './support/temporal.js';
import { until } from './support/waiting.js';
import { startDiffusionWorker, withParts } from './support/workers.js';

const scratch = scratchFolder();
let folders = 0;
function newFolder(): string {
  const folder = join(scratch, String(folders++));
  mkdirSync(folder);
  return folder;
}

const request = { prompt: 'a red heart', width: 256, height: 256, steps: 4, seed: 7 };

let server: TestServer;
/** Digests of the pixels that undisturbed engines draw, by number of steps. */
const undisturbed = new Map<number, string>();
before(async () => {
  server = await startTestServer();
  await using host = emojiHost();
  for (const steps of [4, 20]) {
    const [image] = await host.render({ items: [{ index: 0, ...request, steps }] });
    assert.ok(image);
    undisturbed.set(steps, createHash('sha256').update(image.pixels).digest('hex'));
  }
});
after(() => server.close());

function isUndisturbed({ images, plan }: GenerateResult): void {
  assert.deepEqual(
    images.map(({ pixelsSha256 }) => pixelsSha256),
    [undisturbed.get(plan.steps)],
  );
}

/** How often each activity of a job was tried in the end, and with which failures before. */
async function attemptsOf(client: Client, id: string) {
  const { events } = await client.workflow.getHandle(id).fetchHistory();
  return (events ?? []).flatMap(({ activityTaskStartedEventAttributes: started }) =>
    started ? [{ attempt: started.attempt ?? 0, failure: started.lastFailure }] : [],
  );
}

async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name);
}

describe('an engine that is killed while it', () => {
  let host: EngineHost;
  /** What happens to the next render. */
  let disturb: ((options: RenderOptions) => ReturnType<EngineHost['render']>) | undefined;
  let renders = 0;
  let worker: Awaited<ReturnType<typeof startDiffusionWorker>>;
  before(async () => {
    host = emojiHost({ stallMs: 8000 });
    const disturbed = withParts(host, {
      render(options) {
        renders++;
        const once = disturb;
        disturb = undefined;
        return (once ?? ((undisturbed) => host.render(undisturbed)))(options);
      },
    });
    worker = await startDiffusionWorker(server, {
      store: createFolderStore(join(scratch, 'out')),
      host: disturbed,
    });
    await worker.ready();
  });
  after(() => worker.stop());

  /** Draws on an engine that gets this signal at this step. */
  const signalAt =
    (signal: NodeJS.Signals, when: (progress: StepProgress) => boolean) => async (options: RenderOptions) => {
      const { pid } = await host.ready();
      return host.render({
        ...options,
        onStep(progress, preview) {
          options.onStep?.(progress, preview);
          if (when(progress)) process.kill(pid, signal);
        },
      });
    };

  const phases: [phase: string, step: number][] = [
    ['reads the prompt', 0],
    ['takes the first step', 1],
    ['takes the second step', 2],
    ['takes the third step', 3],
    ['decodes', 4],
  ];
  for (const [phase, at] of phases) {
    test(`${phase} costs a second drawing, of the same picture`, async () => {
      renders = 0;
      disturb = signalAt('SIGKILL', ({ step }) => step === at);
      isUndisturbed(await (await server.diffusion.generate(request)).result());
      assert.equal(renders, 2);
    });
  }

  test('loads its model costs nothing: the next one draws', async () => {
    renders = 0;
    const { pid } = await host.ready();
    process.kill(pid, 'SIGKILL');
    await until(
      'another engine loads its model',
      () => host.state.name === 'starting' && enginePids().length > 0,
    );
    const handle = await server.diffusion.generate(request);
    for (const loading of enginePids()) process.kill(loading, 'SIGKILL');
    isUndisturbed(await handle.result());
    assert.equal(renders, 1);
  });

  test('has its pixels staged costs nothing', async () => {
    renders = 0;
    const { pid } = await host.ready();
    disturb = async (options) => {
      const images = await host.render(options);
      process.kill(pid, 'SIGKILL');
      return images;
    };
    isUndisturbed(await (await server.diffusion.generate(request)).result());
    assert.equal(renders, 1);
  });

  test('or stopped is found by its silence, replaced, and its picture drawn again', async () => {
    renders = 0;
    const { pid } = await host.ready();
    disturb = signalAt('SIGSTOP', ({ step }) => step === 2);
    const handle = await server.diffusion.generate(request);
    isUndisturbed(await handle.result());
    assert.equal(renders, 2);
    assert.notEqual((await host.ready()).pid, pid);
    const failures = (await attemptsOf(server.client, handle.id)).map(
      ({ failure }) => failure?.message ?? '',
    );
    assert.ok(
      failures.some((message) => message.includes('said nothing for 8000 ms')),
      failures.join(),
    );
  });
});

/** Longer than a store is away when it fails over, or somebody makes room. */
const AWAY_MS = 20_000;

describe('a store that for a while', { skip: NO_SMALL_DISK, concurrency: true }, () => {
  const remount = (folder: string, how: string) => {
    const { status, stderr } = spawnSync('mount', ['-o', `remount,${how}`, folder], { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
  };
  const conditions = [
    {
      name: 'is read-only',
      begin: (disk: string) => remount(disk, 'ro'),
      end: (disk: string) => remount(disk, 'rw'),
      message: /its file system is read-only: mount it writable, or choose another folder/,
    },
    {
      name: 'is full',
      begin: (disk: string) => {
        try {
          writeFileSync(join(disk, 'filler'), Buffer.alloc(2 ** 21));
        } catch {
          // As far as it went.
        }
      },
      end: (disk: string) => rmSync(join(disk, 'filler')),
      message: /the disk is full: free some space/,
    },
  ];
  for (const { name, begin, end, message } of conditions) {
    test(`${name} is tried again, and the GPU is not used again`, async () => {
      const own = await startTestServer();
      const disk = smallDisk('size=1m');
      const host = emojiHost();
      let renders = 0;
      const worker = await startDiffusionWorker(own, {
        store: createFolderStore(disk),
        host: withParts(host, {
          render(options) {
            renders++;
            return host.render(options);
          },
        }),
      });
      try {
        begin(disk);
        const handle = await own.diffusion.generate(request);
        let since: number | undefined;
        let attempts = 0;
        await until('publish was tried for so long', async () => {
          const { raw } = await own.client.workflow.getHandle(handle.id).describe();
          const [pending] = raw.pendingActivities ?? [];
          if (pending?.activityType?.name !== 'publish' || !pending.lastFailure) return false;
          assert.match(pending.lastFailure.message ?? '', message);
          since ??= performance.now();
          attempts = pending.attempt ?? 0;
          return performance.now() - since >= AWAY_MS;
        });
        assert.ok(attempts > 3, `tried ${attempts} times`);
        end(disk);
        isUndisturbed(await handle.result());
        assert.equal(renders, 1);
        assert.equal((await filesIn(disk)).length, 2);
      } finally {
        await worker.stop();
        await own.close();
      }
    });
  }
});

/** A worker as it is deployed. */
async function startWorkerProcess(storage: string, env: Record<string, string>): Promise<Command> {
  const worker = new Command(['worker', '--storage', storage], { cwd: newFolder(), env });
  await worker.says('worker started');
  return worker;
}

describe('processes', { concurrency: true }, () => {
  for (const signal of ['SIGKILL', 'SIGSTOP'] as const) {
    test(`a worker that gets ${signal} in mid-job: the other one finishes it, and nothing is published twice`, async () => {
      const own = await startTestServer();
      const env = { TEMPORAL_ADDRESS: own.address, TEMPORAL_NAMESPACE: own.namespace };
      const storage = newFolder();
      const workers = await Promise.all([startWorkerProcess(storage, env), startWorkerProcess(storage, env)]);
      try {
        const handle = await own.diffusion.generate({ ...request, steps: 20 });
        for await (const { step } of handle.updates()) if (step >= 2) break;
        const { raw } = await own.client.workflow.getHandle(handle.id).describe();
        const [drawing] = raw.pendingActivities ?? [];
        const [pid] = drawing?.lastWorkerIdentity?.split('@') ?? [];
        const victim = workers.find(({ child }) => child.pid === Number(pid));
        const survivor = workers.find((worker) => worker !== victim);
        assert.ok(victim && survivor, `expected one of our workers, got ${drawing?.lastWorkerIdentity}`);
        victim.kill(signal);
        isUndisturbed(await handle.result());
        assert.match(survivor.stderr, /image published/);
        if (signal === 'SIGSTOP') {
          // It goes on where it was, with a job that is not its own any more.
          victim.kill('SIGCONT');
          victim.kill('SIGTERM');
          assert.equal(await victim.ended, 0, victim.stderr);
        }
        await victim.leavesNothingBehind();
        assert.doesNotMatch(victim.stderr, /image drawn|image published/);
        const attempts = (await attemptsOf(own.client, handle.id)).map(({ attempt }) => attempt);
        // `generate` twice, `publish` once.
        assert.deepEqual(attempts, [2, 1]);
        assert.equal((await filesIn(storage)).length, 2);
        survivor.kill('SIGTERM');
        assert.equal(await survivor.ended, 0, survivor.stderr);
      } finally {
        for (const worker of workers) worker.kill('SIGKILL');
        await own.close();
      }
    });
  }

  test('a server that is killed while an image is drawn: the job goes on when it is back', async (t) => {
    const durable = await createDurableServer(newFolder());
    await durable.start();
    const storage = newFolder();
    const worker = await startWorkerProcess(storage, { TEMPORAL_ADDRESS: durable.address });
    try {
      const first = await durable.connect();
      const handle = await first.diffusion.generate({ ...request, steps: 20 });
      for await (const { step } of handle.updates()) if (step >= 2) break;
      await durable.kill();
      await first.close();
      // Nobody is there who could take the result.
      await worker.says('image drawn');
      await durable.start();

      const second = await durable.connect();
      isUndisturbed(await (await second.diffusion.job(handle.id)).result());
      await second.close();
      assert.equal((await filesIn(storage)).length, 2);
      const drawings = worker.stderr.match(/image drawn/g)?.length ?? 0;
      t.diagnostic(`drawn ${drawings} times`);
      assert.ok(drawings <= 2, `drawn ${drawings} times`);
      worker.kill('SIGTERM');
      assert.equal(await worker.ended, 0, worker.stderr);
    } finally {
      worker.kill('SIGKILL');
      await durable.kill();
    }
  });
});
