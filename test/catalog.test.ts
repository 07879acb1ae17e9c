import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { appendFile, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Client } from '@temporalio/client';
import sharp from 'sharp';
import { cutRecords, parseCsvFields } from '../src/activities/catalog-records.js';
import { rowDigest, rowOf } from '../src/activities/catalog-rows.js';
import { explain } from '../src/cli/explanation.js';
import { fetchJob } from '../src/cli/job-histories.js';
import { DiffusionClient } from '../src/client/diffusion-client.js';
import { CatalogRequest, type CatalogRequestInput, ResultLine } from '../src/contract/catalog.js';
import { InvalidRequest, JobCancelled, StorageRefused } from '../src/contract/errors.js';
import type { EngineHost } from '../src/gpu/host.js';
import { createFolderStore } from '../src/storage/folder-store.js';
import type { DiffusionWorker } from '../src/worker/gpu-worker.js';
import { emojiHost } from './support/engine.js';
import { scratchFolder } from './support/scratch.js';
import { startTestServer, type TestServer } from './support/temporal.js';
import { until } from './support/waiting.js';
import { startDiffusionWorker, withParts } from './support/workers.js';

const scratch = scratchFolder();
const defaults = { width: 64, height: 64, steps: 1 };

describe('records', () => {
  const texts = (text: string, isCsv: boolean, isEnd = true, most = 100) =>
    cutRecords(Buffer.from(text), { isCsv, isEnd, most });

  test('end at line ends, the last one without one', () => {
    assert.deepEqual(texts('{"a":1}\r\n{"b":2}', false), { texts: ['{"a":1}', '{"b":2}'], bytes: 16 });
    assert.deepEqual(texts('a\nb', false, false), { texts: ['a'], bytes: 2 });
    assert.deepEqual(texts('a\nb\nc\n', false, true, 2), { texts: ['a', 'b'], bytes: 4 });
  });

  test('of a CSV go on within quotes', () => {
    assert.deepEqual(texts('a,"x\ny"\nb,z\n', true).texts, ['a,"x\ny"', 'b,z']);
    assert.deepEqual(parseCsvFields('a,"x, ""y""\nz",,é'), ['a', 'x, "y"\nz', '', 'é']);
    assert.deepEqual(parseCsvFields(''), ['']);
    assert.deepEqual(parseCsvFields('a,'), ['a', '']);
  });
});

describe('rows', () => {
  const request = (more: Partial<CatalogRequestInput>): CatalogRequest =>
    CatalogRequest.parse({ catalog: 'file:///a.jsonl', defaults, ...more });
  const template = '{{product}} on a {{ colour }} background';

  test('become requests by the template, with their own fields before the defaults', () => {
    const { id, item } = rowOf(
      { id: 7, product: 'a mug', colour: 'red', steps: 3, price: 12 },
      request({ template }),
    );
    assert.equal(id, '7');
    assert.equal(item.prompt, 'a mug on a red background');
    assert.deepEqual([item.width, item.steps], [64, 3]);
  });

  test('have the seed that their request and id decide', () => {
    const seedOf = (row: object) => rowOf({ ...row }, request({ template })).item.seed;
    const mug = { product: 'a mug', colour: 'red' };
    assert.equal(seedOf(mug), seedOf({ ...mug, price: 3 }));
    assert.notEqual(seedOf(mug), seedOf({ ...mug, id: 'x' }));
    assert.equal(seedOf({ ...mug, seed: 5 }), 5);
  });

  test('of another checkpoint are other rows', () => {
    const { item } = rowOf({ prompt: 'x' }, request({}));
    assert.notEqual(rowDigest(item, 'a'), rowDigest(item, 'b'));
    assert.match(rowDigest(item, 'a'), /^[0-9a-f]{32}$/);
  });

  test('of a CSV have numbers where requests have them', () => {
    const { item } = rowOf(
      { prompt: 'x', steps: '2', seed: '9', format: 'webp', quality: '80' },
      request({ format: 'csv' }),
    );
    assert.deepEqual([item.steps, item.seed, item.output], [2, 9, { format: 'webp', quality: 80 }]);
  });

  const refused: [name: string, row: object, more: Partial<CatalogRequestInput>, message: RegExp][] = [
    ['a field that the template lacks', { product: 'x' }, { template }, /no such field\n {2}→ at colour/],
    ['an unknown field without a template', { prompt: 'x', promt: 'y' }, {}, /Unrecognized key: "promt"/],
    ['no prompt', {}, {}, /→ at prompt/],
    ['a word for a number', { prompt: 'x', steps: 'two' }, { format: 'csv' }, /→ at steps/],
  ];
  for (const [name, row, more, message] of refused) {
    test(`with ${name} are refused in words`, () => {
      assert.throws(
        () => rowOf({ ...row }, request(more)),
        (error) => error instanceof InvalidRequest && message.test(error.message),
      );
    });
  }
});

test('a request that breaks the contract is refused before anything is sent', async () => {
  const client = new DiffusionClient(new Client());
  const refused: [object, RegExp][] = [
    [{ catalog: '/tmp/x.jsonl' }, /expected the file: or s3: URL of a catalogue\n {2}→ at catalog/],
    [{ catalog: 'file:///x.txt' }, /expected jsonl or csv, .*\n {2}→ at format/],
    [{ catalog: 'file:///x.csv', concurrency: 0 }, /→ at concurrency/],
    [{ catalog: 'file:///x.csv', defaults: { seed: 3 } }, /Unrecognized key: "seed"/],
  ];
  for (const [request, message] of refused) {
    await assert.rejects(
      client.catalog(request as CatalogRequestInput),
      (error) => error instanceof InvalidRequest && message.test(error.message),
    );
  }
});

describe('a catalogue', () => {
  let server: TestServer;
  let host: EngineHost;
  let drawn: number[] = [];
  let moderated = 0;
  let gate: Promise<void> | undefined;
  let worker: DiffusionWorker;
  let folder: string;
  let catalog: string;
  let folders = 0;
  const root = join(scratch, 'catalogs');

  before(async () => {
    server = await startTestServer();
    host = emojiHost();
    const render: EngineHost['render'] = async (options) => {
      await gate;
      drawn.push(...options.items.map(({ seed }) => seed));
      return host.render(options);
    };
    worker = await startDiffusionWorker(server, {
      store: createFolderStore(join(scratch, 'out')),
      catalogs: [root],
      moderate: () => {
        moderated++;
      },
      host: withParts(host, { render, close: async () => {} }),
    });
  });
  after(async () => {
    await worker.stop();
    await host.close();
    await server.close();
  });
  beforeEach(() => {
    folder = join(root, String(folders++));
    mkdirSync(folder, { recursive: true });
    catalog = join(folder, 'rows.jsonl');
    drawn = [];
    moderated = 0;
    gate = undefined;
  });

  const rows = (count: number, from = 0) =>
    Array.from({ length: count }, (_, row) => ({ id: `r${from + row}`, prompt: `heart ${from + row}` }));
  const write = (rows: readonly object[], path = catalog) =>
    writeFile(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  const start = (more: Partial<CatalogRequestInput> = {}) =>
    server.diffusion.catalog({ catalog: pathToFileURL(catalog).href, defaults, ...more });
  const run = async (more: Partial<CatalogRequestInput> = {}) => (await start(more)).result();

  async function lines(): Promise<ResultLine[]> {
    const results = `${catalog}.results`;
    const shards = (await readdir(results).catch(() => [])).sort();
    const texts = await Promise.all(shards.map((name) => readFile(join(results, name), 'utf8')));
    return texts
      .join('')
      .split('\n')
      .filter(Boolean)
      .map((line) => ResultLine.parse(JSON.parse(line)));
  }

  test('ends with one line a row, a summary and a contact sheet', async () => {
    await write(rows(100));
    const summary = await run({ defaults: { ...defaults, tags: { from: 'test' } } });
    assert.deepEqual(
      [summary.status, summary.rows, summary.done, summary.failed, summary.unchanged],
      ['done', 100, 100, 0, 0],
    );
    assert.equal(summary.costs[0]?.images, 100);
    assert.ok(summary.gpuSeconds > 0);
    const all = await lines();
    assert.deepEqual(
      all.map(({ row }) => row).toSorted((a, b) => a - b),
      Array.from({ length: 100 }, (_, row) => row + 1),
    );
    assert.ok(all.every(({ row, id, status }) => status === 'done' && id === `r${row - 1}`));
    assert.equal(drawn.length, 100);
    const { width, height } = await sharp(`${catalog}.sheet.webp`).metadata();
    assert.deepEqual([width, height], [8 * 160, 6 * 160]);
    const [first] = all;
    assert.ok(first?.status === 'done');
    const cell = { left: 0, top: 0, width: 160, height: 160 };
    const shown = await sharp(await sharp(`${catalog}.sheet.webp`).extract(cell).png().toBuffer()).stats();
    const picture = await sharp(fileURLToPath(first.images[0]?.url ?? '')).stats();
    for (const [channel, { mean, stdev }] of picture.channels.entries()) {
      const there = shown.channels[channel];
      assert.ok(there && Math.abs(there.mean - mean) < 4 && Math.abs(there.stdev - stdev) < 10);
    }
    assert.deepEqual(JSON.parse(await readFile(`${catalog}.summary.json`, 'utf8')), summary);
  });

  test('that is rendered again draws only what is new, has changed, or failed', async () => {
    const first = [...rows(20), { id: 'bad', prompt: 'x', width: 1024 }];
    await write(first);
    const before = await run();
    assert.deepEqual([before.done, before.failed], [20, 1]);
    assert.equal((await lines()).find(({ id }) => id === 'bad')?.status, 'failed');

    drawn = [];
    const again = await run();
    assert.deepEqual([again.done, again.failed, again.unchanged], [0, 1, 20]);
    assert.deepEqual(drawn, []);
    assert.equal(moderated, 20);

    // One row before all others, one changed, one gone.
    const changed = [{ id: 'new', prompt: 'star' }, ...rows(19), { id: 'r19', prompt: 'another' }];
    await write(changed);
    const third = await run();
    assert.deepEqual([third.done, third.failed, third.moved], [2, 0, 19]);
    assert.equal(drawn.length, 2);
    const latest = new Map((await lines()).map((line) => [line.row, line]));
    for (const [place, { id }] of changed.entries()) {
      assert.deepEqual([latest.get(place + 1)?.id, latest.get(place + 1)?.status], [id, 'done']);
    }
    const fourth = await run();
    assert.deepEqual([fourth.done, fourth.moved, fourth.unchanged], [0, 0, 21]);
  });

  test('in CSV, with a template, renders quoted fields of several lines', async () => {
    catalog = join(folder, 'products.csv');
    await writeFile(
      catalog,
      '\uFEFFid,product,colour,steps\n1,"a ""big""\nmug",red,\n2,a cup,blue,2\n\n3,a jug,\n',
    );
    const summary = await run({ template: '{{product}} on a {{colour}} background' });
    assert.deepEqual([summary.rows, summary.done, summary.failed], [3, 2, 1]);
    const all = await lines();
    assert.ok(
      all.some((line) => line.status === 'done' && line.images[0]?.url.includes('a-big-mug-on-a-red')),
    );
    assert.deepEqual(summary.costs.map(({ steps, images }) => [steps, images]).toSorted(), [
      [1, 1],
      [2, 1],
    ]);
  });

  test('draws rows that are alike once, and gives each its line', async () => {
    await write([{ prompt: 'x' }, { prompt: 'x' }, { prompt: 'x', seed: 4, count: 2 }]);
    const summary = await run();
    assert.deepEqual([summary.rows, summary.done, drawn.length], [3, 3, 3]);
    const all = await lines();
    assert.equal(all.length, 3);
    assert.deepEqual(
      all.map((line) => (line.status === 'done' ? line.images.length : 0)).toSorted(),
      [1, 1, 2],
    );
  });

  test('can be paused, resumed, and given another concurrency', async () => {
    await write(rows(80));
    let open = (): void => {};
    gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const handle = await start({ concurrency: 2 });
    await until('it is drawing', async () => (await handle.progress()).inFlight === 16);
    assert.equal((await handle.pause()).state, 'paused');
    open();
    await until('what was in flight is done', async () => (await handle.progress()).inFlight === 0);
    const paused = await handle.progress();
    assert.deepEqual([paused.done, paused.state], [16, 'paused']);
    assert.equal((await lines()).length, 16);
    await assert.rejects(handle.setConcurrency(0));
    assert.equal((await handle.setConcurrency(5)).concurrency, 5);
    await handle.resume();
    assert.equal((await handle.result()).done, 80);
    assert.equal((await lines()).length, 80);
  });

  test('that is cancelled keeps what is drawn, and goes on from there', async () => {
    await write(rows(60));
    const handle = await start({ concurrency: 1 });
    await until('some rows are done', async () => (await handle.progress()).done >= 8);
    await handle.cancel();
    await assert.rejects(handle.result(), JobCancelled);
    const kept = (await lines()).length;
    assert.ok(kept >= 8 && kept < 60, `${kept} rows`);
    const summary = JSON.parse(await readFile(`${catalog}.summary.json`, 'utf8'));
    assert.deepEqual([summary.status, summary.done], ['cancelled', kept]);
    const rest = await run();
    assert.deepEqual([rest.unchanged, rest.done], [kept, 60 - kept]);
  });

  test('whose history grows continues as new, and draws no row twice', async () => {
    await write(rows(150));
    let open = (): void => {};
    gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const handle = await start({ concurrency: 2 });
    const workflow = server.client.workflow.getHandle(handle.id);
    await until('it is drawing', async () => (await handle.progress()).inFlight === 16);
    const { runId } = await workflow.describe();
    // Nobody waits for them, but each is an event of history, which may have 16 MB.
    const long = 'x'.repeat(1_500_000);
    for (let signals = 0; signals < 11; signals++) await workflow.signal('unheard-of', long);
    open();
    const summary = await handle.result();
    assert.deepEqual([summary.rows, summary.done, summary.failed], [150, 150, 0]);
    assert.notEqual((await workflow.describe()).runId, runId);
    assert.ok((await server.client.workflow.getHandle(handle.id, runId).describe()).historyLength < 10_000);
    assert.equal(drawn.length, 150);
    assert.equal((await lines()).length, 150);

    // What became of it is told over both runs, whichever is asked for.
    for (const asked of [undefined, runId]) {
      const { runs, notes } = await fetchJob(server.client, handle.id, { runId: asked, most: 10 });
      const { totals, status } = explain(runs, Date.now(), notes);
      assert.deepEqual([runs.length, totals.drawn, status, notes], [2, 150, 'completed', []]);
    }
    const { runs, notes } = await fetchJob(server.client, handle.id, { runId: undefined, most: 1 });
    assert.equal(runs.length, 1);
    assert.match(notes.join(), /earlier runs were not looked at: ask for more by --runs/);
  });

  test('in a dry run says what would be drawn, and about how long that takes', async () => {
    await write(rows(20));
    const blind = await run({ dryRun: true });
    assert.deepEqual([blind.status, blind.done, blind.estimatedSeconds], ['dry-run', 20, undefined]);
    await run();
    drawn = [];
    await appendFile(catalog, `${JSON.stringify({ prompt: 'more', count: 3, width: 128 })}\n`);
    const dry = await run({ dryRun: true });
    assert.deepEqual([dry.unchanged, dry.done, dry.costs[0]?.images], [20, 1, 3]);
    assert.ok(dry.estimatedSeconds !== undefined && dry.estimatedSeconds > 0);
    assert.deepEqual(drawn, []);
    assert.equal((await lines()).length, 20);
  });

  test('that is being rendered is joined, and refused with other settings', async () => {
    await write(rows(30));
    const [first, second] = await Promise.all([start(), start()]);
    assert.equal(first.id, second.id);
    await assert.rejects(
      start({ defaults: { ...defaults, steps: 2 } }),
      (error) => error instanceof InvalidRequest && /renders it with other settings/.test(error.message),
    );
    assert.equal((await first.result()).done, 30);
    assert.equal(drawn.length, 30);
  });

  test('that is not there, is empty, or lies where it must not fails at once', async () => {
    await assert.rejects(run(), StorageRefused);
    await write([]);
    await assert.rejects(run(), /expected 1 row at least/);
    catalog = join(scratch, 'elsewhere.jsonl');
    await write(rows(1));
    await assert.rejects(run(), (error) => {
      assert.ok(error instanceof InvalidRequest);
      assert.match(error.message, /✖ expected a catalogue below .*\n {2}→ at catalog/);
      return true;
    });
    catalog = join(root, '..', 'elsewhere.jsonl');
    await assert.rejects(run(), InvalidRequest);
  });

  test('of thousands of unchanged rows is looked through without drawing', async () => {
    await write(rows(8));
    await run();
    const line = (await lines())[0];
    assert.ok(line);
    const request = CatalogRequest.parse({ catalog: pathToFileURL(catalog).href, defaults });
    const { modelDigest } = (await readSummary()).costs[0] ?? {};
    const many = rows(20_000);
    await write(many);
    const known = many.map((row, place) => {
      const { item } = rowOf(row, request);
      return { ...line, row: place + 1, id: row.id, digest: rowDigest(item, modelDigest ?? '') };
    });
    await write(known, join(`${catalog}.results`, '29990101T000000Z-00000000-000001.jsonl'));
    drawn = [];
    const handle = await start();
    const summary = await handle.result();
    assert.deepEqual([summary.unchanged, summary.done, drawn.length], [20_000, 0, 0]);
    const { events } = await server.client.workflow.getHandle(handle.id).fetchHistory();
    assert.ok((events?.length ?? 0) < 60, `${events?.length} events`);
  });

  async function readSummary() {
    return JSON.parse(await readFile(`${catalog}.summary.json`, 'utf8'));
  }
});
