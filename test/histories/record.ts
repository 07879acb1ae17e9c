import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { openStaging, type Staging } from '../../src/activities/staging.js';
import type { CatalogHandle } from '../../src/client/catalog-handle.js';
import { EngineCrashed, OutOfMemory } from '../../src/contract/errors.js';
import type { GenerateRequestInput } from '../../src/contract/request.js';
import type { EngineHost } from '../../src/gpu/host.js';
import { createFolderStore } from '../../src/storage/folder-store.js';
import { emojiHost } from '../support/engine.js';
import { HISTORIES } from '../support/histories.js';
import { log, startTestServer } from '../support/temporal.js';
import { until } from '../support/waiting.js';
import { startDiffusionWorker, startHostWorkers, withParts } from '../support/workers.js';
import { neutralHistory } from './neutral-history.js';

/*
 * Records the histories that `replay.test.ts` replays: `node dist/test/histories/record.js [NAME…]`, from the
 * repository's root. Each is a real run of a workflow on a real server with the bundled model. What a release has
 * recorded stays: jobs of that release may still run. A new state or a new way of going gets a file of its own.
 */

const only = process.argv.slice(2);
const small = { width: 64, height: 64, steps: 2 };
const heart = { ...small, prompt: 'a red heart', seed: 7 };

const scratch = await mkdtemp(join(tmpdir(), 'tdiff-histories-'));
const root = join(scratch, 'pictures');
await mkdir(root);
const store = createFolderStore(root);
const server = await startTestServer();
const host = emojiHost();
const jobs = await startDiffusionWorker(server, { store, roles: ['jobs'], catalogs: [root] });
let hosts = 0;

/** Runs `work` beside a host that draws in the given way. */
async function withHost<T>(work: () => Promise<T>, parts: HostBehaviour = {}): Promise<T> {
  const staging = await openStaging({ folder: join(scratch, 'staging'), log });
  const render = parts.render ?? ((options) => host.render(options));
  const workers = await startHostWorkers(server, {
    host: withParts(host, { render, close: async () => {} }),
    staging: parts.staging?.(staging) ?? staging,
    store,
    queue: `diffusion-host.host-${++hosts}`,
  });
  try {
    return await work();
  } finally {
    await workers.stop();
    await staging.close();
  }
}

interface HostBehaviour {
  readonly render?: EngineHost['render'];
  staging?(whole: Staging): Staging;
}

const generate = (key: string, request: Partial<GenerateRequestInput> = {}) =>
  server.diffusion.generate({ ...heart, ...request, idempotencyKey: key });
const batchOf = (key: string, items: number, maxBatch = 8) =>
  server.diffusion.batch({
    items: Array.from({ length: items }, (_, seed) => ({ ...small, prompt: 'a star', seed })),
    maxBatch,
    idempotencyKey: key,
  });

async function catalogOf(name: string, rows: number, concurrency = 2): Promise<CatalogHandle> {
  const path = join(root, `${name}.jsonl`);
  const lines = Array.from({ length: rows }, (_, row) => `{"id":"r${row}","prompt":"heart ${row}"}\n`);
  await writeFile(path, lines.join(''));
  const defaults = { ...small, steps: 1 };
  return server.diffusion.catalog({ catalog: pathToFileURL(path).href, defaults, maxBatch: 4, concurrency });
}

async function isPending(id: string, activity: string): Promise<boolean> {
  const { raw } = await server.client.workflow.getHandle(id).describe();
  return (raw.pendingActivities ?? []).some(({ activityType }) => activityType?.name === activity);
}

async function save(
  name: string,
  { id, runId }: { readonly id: string; readonly runId?: string | undefined },
) {
  const history = await server.client.workflow.getHandle(id, runId).fetchHistory();
  const text = neutralHistory(history, {
    [root]: '/pictures',
    [scratch]: '/scratch',
    [`${process.pid}@${hostname()}`]: 'worker',
    [hostname()]: 'host',
  });
  await writeFile(join(HISTORIES, `${name}.json`), text);
  console.log(`${name}: ${history.events?.length} events, ${text.length} bytes`);
}

/** A promise that somebody else settles. */
function gate(): { readonly opened: Promise<void>; open(): void } {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

const failing = (times: number, error: () => Error): EngineHost['render'] => {
  let left = times;
  return async (options) => {
    if (left-- > 0) throw error();
    return host.render(options);
  };
};
const crashed = () => new EngineCrashed('the engine ended in mid-work');

/** Ends where it has been cancelled, as the engine does. */
const untilCancelled: EngineHost['render'] = (options) =>
  host.render({
    ...options,
    items: options.items.map((item) => ({ ...item, width: 256, height: 256, steps: 100 })),
  });

const scenes: Readonly<Record<string, (name: string) => Promise<void>>> = {
  'image-plain': (name) =>
    withHost(async () => {
      const job = await generate(name, { count: 2, tags: { for: 'replay' } });
      await job.result();
      await save(name, job);
    }),
  'image-retried': (name) =>
    withHost(
      async () => {
        const job = await generate(name);
        await job.result();
        await save(name, job);
      },
      { render: failing(1, crashed) },
    ),
  'image-failed': (name) =>
    withHost(
      async () => {
        const job = await generate(name);
        await job.result().catch(() => {});
        await save(name, job);
      },
      { render: failing(5, crashed) },
    ),
  'image-refused': async (name) => {
    const job = await generate(name, { width: 1024 });
    await job.result().catch(() => {});
    await save(name, job);
  },
  'image-cancelled': (name) =>
    withHost(
      async () => {
        const job = await generate(name);
        await until('it is drawing', () => host.state.name === 'rendering');
        await job.cancel();
        await job.result().catch(() => {});
        await save(name, job);
      },
      { render: untilCancelled },
    ),
  // As a job is that runs while its workers are replaced by those of a new release.
  'image-waiting-then-cancelled': async (name) => {
    const job = await generate(name);
    await until('it waits for a GPU', () => isPending(job.id, 'generate'));
    await save('image-waiting', job);
    await job.cancel();
    await job.result().catch(() => {});
    await save(name, job);
  },
  'image-pixels-lost': (name) => {
    let losses = 1;
    const staging = (whole: Staging): Staging => ({
      ...whole,
      async put(id, pixels) {
        await whole.put(id, pixels);
        if (losses-- > 0) await whole.discard(id);
      },
    });
    return withHost(
      async () => {
        const job = await generate(name);
        await job.result();
        await save(name, job);
      },
      { staging },
    );
  },
  'image-host-lost': async (name) => {
    const staging = await openStaging({ folder: join(scratch, 'doomed'), log });
    const doomed = await startHostWorkers(server, { host, staging, store, queue: 'diffusion-host.doomed' });
    await doomed.publishing.stop();
    const job = await generate(name);
    await until('its host is to publish it', () => isPending(job.id, 'publish'));
    await doomed.stop();
    await staging.close();
    await withHost(async () => {
      await job.result();
      await save(name, job);
    });
  },
  'batch-plain': (name) =>
    withHost(async () => {
      const batch = await batchOf(name, 6, 4);
      await batch.result();
      await save(name, batch);
    }),
  'batch-out-of-memory': (name) =>
    withHost(
      async () => {
        const batch = await batchOf(name, 4);
        await batch.result();
        await save(name, batch);
      },
      {
        render: async (options) => {
          if (options.items.length > 1) throw new OutOfMemory('no room');
          return host.render(options);
        },
      },
    ),
  'batch-one-item-fails': (name) =>
    withHost(
      async () => {
        const batch = await batchOf(name, 3);
        await batch.result();
        await save(name, batch);
      },
      {
        render: async (options) => {
          if (options.items.some(({ seed }) => seed === 1)) throw crashed();
          return host.render(options);
        },
      },
    ),
  'batch-cancelled': (name) =>
    withHost(
      async () => {
        const batch = await batchOf(name, 4, 2);
        await until('it is drawing', () => host.state.name === 'rendering');
        await batch.cancel();
        await batch.result().catch(() => {});
        await save(name, batch);
      },
      { render: untilCancelled },
    ),
  'catalog-plain': (name) =>
    withHost(async () => {
      const catalog = await catalogOf(name, 12);
      await catalog.result();
      await save(name, catalog);
    }),
  'catalog-resumed': async (name) => {
    const { opened, open } = gate();
    await withHost(
      async () => {
        const catalog = await catalogOf(name, 20);
        await until('it is drawing', async () => (await catalog.progress()).inFlight === 8);
        await catalog.pause();
        open();
        await until('it has come to rest', async () => (await catalog.progress()).inFlight === 0);
        await save('catalog-paused', catalog);
        await catalog.setConcurrency(3);
        await catalog.resume();
        await catalog.result();
        await save(name, catalog);
      },
      {
        async render(options) {
          await opened;
          return host.render(options);
        },
      },
    );
  },
  'catalog-cancelled': (name) =>
    withHost(async () => {
      const catalog = await catalogOf(name, 40, 1);
      await until('some rows are done', async () => (await catalog.progress()).done >= 4);
      await catalog.cancel();
      await catalog.result().catch(() => {});
      await save(name, catalog);
    }),
  'catalog-continued-as-new': async (name) => {
    const { opened, open } = gate();
    await withHost(
      async () => {
        // More rows than it has read by then, so that there is something to hand on.
        const catalog = await catalogOf(name, 70);
        await until('it is drawing', async () => (await catalog.progress()).inFlight === 8);
        const workflow = server.client.workflow.getHandle(catalog.id);
        const { runId } = await workflow.describe();
        // Nobody waits for them: they fill the history. Their size is recorded elsewhere, so it can be left out.
        for (let signals = 0; signals < 24; signals++)
          await workflow.signal('unheard-of', 'x'.repeat(700_000));
        open();
        await catalog.result();
        const next = (await workflow.describe()).runId;
        if (next === runId)
          throw new Error(`expected ${name} to continue as new, but it ended in its first run`);
        await save(name, { id: catalog.id, runId });
        await save('catalog-second-run', { id: catalog.id, runId: next });
      },
      {
        async render(options) {
          await opened;
          return host.render(options);
        },
      },
    );
  },
};

try {
  for (const [name, scene] of Object.entries(scenes)) {
    if (only.length === 0 || only.includes(name)) await scene(name);
  }
} finally {
  await jobs.stop();
  await host.close();
  await server.close();
  await rm(scratch, { recursive: true, force: true });
}
process.exit();
