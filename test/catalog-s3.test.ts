import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { StorageRefused } from '../src/contract/errors.js';
import type { BlobStore } from '../src/storage/blob-store.js';
import { createFolderStore } from '../src/storage/folder-store.js';
import { isBelow, openNeighbourhood, openStore } from '../src/storage/open-store.js';
import { createS3Store } from '../src/storage/s3-store.js';
import { s3ServerOfTests } from './support/s3-server.js';
import { scratchFolder } from './support/scratch.js';
import { startTestServer } from './support/temporal.js';
import { startDiffusionWorker } from './support/workers.js';

const scratch = scratchFolder();
const { server, missing } = await s3ServerOfTests(scratch);

const BUCKET = 'catalogs';
before(async () => {
  if (!server) return;
  await server.makeBucket(BUCKET);
  // A catalogue's store is opened by its address, which has no keys in it.
  process.env.AWS_ACCESS_KEY_ID = server.credentials.accessKeyId;
  process.env.AWS_SECRET_ACCESS_KEY = server.credentials.secretAccessKey;
});

const address = (key: string) => `s3://${BUCKET}/${key}?endpoint=${server?.endpoint}`;

const stores: [name: string, open: () => BlobStore, skip: string | false][] = [
  ['a folder', () => createFolderStore(`${scratch}/folder`), false],
  ['S3', () => openStore(address('parts')), missing],
];
for (const [name, open, skip] of stores) {
  test(`${name} gives parts of blobs, and lists what lies below a key`, { skip }, async () => {
    const store = open();
    const text = { contentType: 'text/plain' };
    assert.deepEqual(await store.list('rows'), []);
    for (const key of ['rows/b.txt', 'rows/a.txt', 'rows/deep/c.txt', 'rowsother/d.txt']) {
      await store.put(key, Buffer.from('0123456789'), text);
    }
    const listed = (await store.list('rows')).filter((key) => key.endsWith('.txt'));
    assert.deepEqual(listed, ['rows/a.txt', 'rows/b.txt']);

    const part = await store.getPart('rows/a.txt', 3, 4);
    assert.deepEqual([part.bytes.toString(), part.size], ['3456', 10]);
    assert.equal((await store.getPart('rows/a.txt', 8, 100)).bytes.toString(), '89');
    const beyond = await store.getPart('rows/a.txt', 10, 5);
    assert.deepEqual([beyond.bytes.length, beyond.size, beyond.version], [0, 10, part.version]);
    await store.put('rows/a.txt', Buffer.from('another'), text);
    assert.notEqual((await store.getPart('rows/a.txt', 0, 1)).version, part.version);
    await assert.rejects(store.getPart('rows/none.txt', 0, 1), StorageRefused);
  });
}

test('an address lies below another one in the same place only', () => {
  const cases: [string, string, boolean][] = [
    ['file:///a/b/c.csv', 'file:///a/b', true],
    ['file:///a/b/c.csv', '/a/b/', true],
    ['file:///a/bc/d.csv', '/a/b', false],
    ['file:///a/b/../d.csv', '/a/b', false],
    ['file:///a/b/%2e%2e/d.csv', '/a/b', false],
    ['s3://bucket/a/b.csv', 's3://bucket/a', true],
    ['s3://bucket/a/b.csv', 's3://bucket', true],
    ['s3://other/a/b.csv', 's3://bucket', false],
    ['s3://bucket/a/b.csv?endpoint=http://evil:9000', 's3://bucket/a', false],
    ['s3://bucket/a/b.csv', '/bucket/a', false],
  ];
  for (const [address, root, expected] of cases) assert.equal(isBelow(address, root), expected, address);
});

test('a catalogue in S3 is rendered, and again only where it has changed', { skip: missing }, async () => {
  assert.ok(server);
  const { endpoint, credentials, client } = server;
  const write = (rows: readonly object[]) =>
    client.send(
      new PutObjectCommand({
        Bucket: BUCKET,
        Key: 'shop/rows.jsonl',
        Body: rows.map((row) => `${JSON.stringify(row)}\n`).join(''),
      }),
    );
  const temporal = await startTestServer();
  const store = createS3Store({ bucket: BUCKET, prefix: 'pictures', endpoint, credentials });
  const worker = await startDiffusionWorker(temporal, { store, catalogs: [address('shop')] });
  try {
    const catalog = address('shop/rows.jsonl');
    const run = async () =>
      (await temporal.diffusion.catalog({ catalog, defaults: { width: 64, height: 64, steps: 1 } })).result();
    const rows = Array.from({ length: 10 }, (_, row) => ({ prompt: `heart ${row}` }));
    await write(rows);
    const first = await run();
    assert.deepEqual([first.done, first.failed], [10, 0]);
    assert.equal(first.sheet, address('shop/rows.jsonl.sheet.webp'));
    await write([...rows, { prompt: 'star' }]);
    const second = await run();
    assert.deepEqual([second.done, second.unchanged], [1, 10]);
    const { store: beside, name } = openNeighbourhood(catalog);
    assert.equal((await beside.list(`${name}.results`)).length, 2);
  } finally {
    await worker.stop();
    await temporal.close();
  }
});
