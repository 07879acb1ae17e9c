import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { CatalogScheduleInput } from '../src/client/catalog-schedules.js';
import { CatalogSummary } from '../src/contract/catalog.js';
import { InvalidRequest } from '../src/contract/errors.js';
import { createFolderStore } from '../src/storage/folder-store.js';
import type { DiffusionWorker } from '../src/worker/gpu-worker.js';
import { runCommand } from './support/command.js';
import { scratchFolder } from './support/scratch.js';
import { startTestServer, type TestServer } from './support/temporal.js';
import { until } from './support/waiting.js';
import { startDiffusionWorker } from './support/workers.js';

const scratch = scratchFolder();
const storage = join(scratch, 'storage');
const catalog = join(storage, 'rows.jsonl');
const request = { catalog: pathToFileURL(catalog).href, defaults: { width: 64, height: 64, steps: 1 } };

let server: TestServer;
let worker: DiffusionWorker;
before(async () => {
  mkdirSync(storage);
  await writeFile(catalog, '{"prompt":"a heart"}\n{"prompt":"a star"}\n');
  server = await startTestServer();
  worker = await startDiffusionWorker(server, { store: createFolderStore(storage) });
});
after(async () => {
  await worker.stop();
  await server.close();
});

const summary = async (): Promise<CatalogSummary | undefined> =>
  readFile(`${catalog}.summary.json`, 'utf8').then(
    (text) => CatalogSummary.parse(JSON.parse(text)),
    () => undefined,
  );

describe('a schedule', () => {
  test('that is triggered renders its catalogue, and the next time only what is new', async () => {
    const { schedules } = server.diffusion;
    await schedules.create({ id: 'nightly', request, cron: '0 3 * * *', timeZone: 'Europe/Berlin' });
    await until('it is listed', async () => (await schedules.list()).length === 1);
    const [entry] = await schedules.list();
    assert.deepEqual([entry?.id, entry?.catalog, entry?.paused], ['nightly', request.catalog, false]);
    assert.ok(entry?.next[0]);
    const hour = new Intl.DateTimeFormat('en', { hour: 'numeric', hour12: false, timeZone: 'Europe/Berlin' });
    assert.equal(Number(hour.format(entry.next[0])), 3);

    await schedules.trigger('nightly');
    await until('both rows are drawn', async () => (await summary())?.done === 2);
    await appendFile(catalog, '{"prompt":"a tree"}\n');
    await until('the first run is over', async () => {
      const { info } = await schedules.describe('nightly');
      return info.runningActions.length === 0;
    });
    await schedules.trigger('nightly');
    await until('the new row is drawn', async () => (await summary())?.rows === 3);
    const { done, unchanged } = (await summary()) ?? {};
    assert.deepEqual([done, unchanged], [1, 2]);
    await schedules.delete('nightly');
  });

  test('has the overlap policy, jitter and interval that it was given, and can be paused', async () => {
    const { schedules } = server.diffusion;
    await schedules.create({
      id: 'often',
      request,
      every: '12h',
      overlap: 'buffer-one',
      jitter: '5m',
      paused: true,
    });
    const { spec, policies, state } = await schedules.describe('often');
    assert.deepEqual([spec.intervals?.[0]?.every, spec.jitter], [12 * 3600_000, 300_000]);
    assert.deepEqual([policies.overlap, state.paused], ['BUFFER_ONE', true]);
    await schedules.resume('often');
    assert.equal((await schedules.describe('often')).state.paused, false);
    await schedules.pause('often');
    assert.equal((await schedules.describe('often')).state.paused, true);
    await schedules.delete('often');
  });

  test('with a backfill renders at times that have passed', async () => {
    const { schedules } = server.diffusion;
    const to = new Date();
    const backfill = { from: new Date(to.getTime() - 2.5 * 3600_000), to };
    await schedules.create({ id: 'late', request, every: '1h', backfill, paused: true });
    await until('it has run', async () => {
      const { info } = await schedules.describe('late');
      return info.numActionsTaken >= 2 && info.runningActions.length === 0;
    });
    await schedules.delete('late');
  });

  const refused: [string, object, RegExp][] = [
    ['neither cron nor interval', {}, /expected either cron or every\n {2}→ at cron/],
    ['both', { cron: '* * * * *', every: '1h' }, /expected either cron or every/],
    ['a bad name', { id: 'a b', every: '1h' }, /→ at id/],
    ['a catalogue that is none', { every: '1h', request: { catalog: 'x' } }, /→ at request\.catalog/],
  ];
  for (const [name, more, message] of refused) {
    test(`with ${name} is refused in words`, async () => {
      const input = { id: 'x', request, ...more } as CatalogScheduleInput;
      await assert.rejects(
        server.diffusion.schedules.create(input),
        (error) => error instanceof InvalidRequest && message.test(error.message),
      );
    });
  }

  test('can be handled by the command', async () => {
    const env = { TEMPORAL_ADDRESS: server.address, TEMPORAL_NAMESPACE: server.namespace };
    const command = (argv: string[]) => runCommand(['schedule', ...argv], { cwd: scratch, env });
    const created = await command(['create', 'weekly', catalog, '--every', '7d', '--size', '64x64']);
    assert.deepEqual([created.code, created.stdout], [0, 'created weekly\n'], created.stderr);
    await until('it is listed', async () => /^weekly · /.test((await command(['list'])).stdout));
    for (const action of ['pause', 'resume', 'trigger', 'delete']) {
      const { code, stderr } = await command([action, 'weekly']);
      assert.equal(code, 0, stderr);
    }
    const { code, stderr } = await command(['create', 'weekly', catalog, '--every', '7']);
    assert.deepEqual([code, stderr], [2, '✖ expected a time such as 30m or 12h, got 7\n']);
  });
});
