import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { StorageRefused, StorageUnavailable } from '../src/contract/errors.js';
import { writeAtomically } from '../src/storage/atomic-write.js';
import { createFolderStore } from '../src/storage/folder-store.js';
import { openStore, openStoreOf } from '../src/storage/open-store.js';
import { blobKey, readableName } from '../src/storage/picture-names.js';
import { scratchFolder } from './support/scratch.js';
import { NO_SMALL_DISK, smallDisk } from './support/small-disk.js';

const PNG = { contentType: 'image/png' };

const scratch = scratchFolder();
let folders = 0;
const newFolder = (): string => join(scratch, `store-${folders++}`);

/** All files below a folder, hidden ones included. */
async function filesOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map(({ name }) => name)
    .sort();
}

test('what was put can be got by its key and by its address', async () => {
  const store = createFolderStore(newFolder());
  const bytes = randomBytes(1000);
  const url = await store.put('blobs/a.png', bytes, PNG);
  assert.match(url, /^file:\/\/.*\/blobs\/a\.png$/);
  assert.deepEqual(await store.get('blobs/a.png'), bytes);
  assert.deepEqual(await store.get(url), bytes);
});

test('putting the same again leaves the file as it is, and a damaged file is replaced', async () => {
  const folder = newFolder();
  const store = createFolderStore(folder);
  await store.put('a', Buffer.from('right'), PNG);
  const { ino } = await stat(join(folder, 'a'));
  await store.put('a', Buffer.from('right'), PNG);
  assert.equal((await stat(join(folder, 'a'))).ino, ino);

  await writeFile(join(folder, 'a'), 'wrong');
  await store.put('a', Buffer.from('right'), PNG);
  assert.equal(await readFile(join(folder, 'a'), 'utf8'), 'right');
  assert.deepEqual(await filesOf(folder), ['a']);
});

test('a second name is a link to the same file, can be given twice, and replaces what had it', async () => {
  const folder = newFolder();
  const store = createFolderStore(folder);
  await store.put('blobs/a', Buffer.from('a'), PNG);
  const url = await store.alias('blobs/a', 'pizza.png', PNG);
  assert.equal(await store.alias('blobs/a', 'pizza.png', PNG), url);
  assert.equal((await stat(join(folder, 'pizza.png'))).ino, (await stat(join(folder, 'blobs/a'))).ino);

  await store.put('blobs/b', Buffer.from('b'), PNG);
  await store.alias('blobs/b', 'pizza.png', PNG);
  assert.equal((await store.get('pizza.png')).toString(), 'b');
  assert.equal((await store.get('blobs/a')).toString(), 'a');
  assert.deepEqual(await filesOf(folder), ['a', 'b', 'pizza.png']);
});

test('many who put the same key at the same time leave one whole file', async () => {
  const folder = newFolder();
  const store = createFolderStore(folder);
  const bytes = randomBytes(300_000);
  await Promise.all(
    Array.from({ length: 20 }, async () => {
      await store.put('blobs/a', bytes, PNG);
      await store.alias('blobs/a', 'name', PNG);
    }),
  );
  assert.deepEqual(await store.get('name'), bytes);
  assert.deepEqual(await filesOf(folder), ['a', 'name']);
});

test('a process that is killed while it writes leaves the old file or the new one, never a part', async () => {
  const folder = newFolder();
  await mkdir(folder);
  const path = join(folder, 'a');
  await writeAtomically(path, Buffer.alloc(5_000_000, 0));
  const module = new URL('../src/storage/atomic-write.js', import.meta.url).href;
  const script = `import { writeAtomically } from ${JSON.stringify(module)};
    for (let round = 1; ; round++) { await writeAtomically(${JSON.stringify(path)}, Buffer.alloc(5_000_000, round % 256)); console.log(round); }`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  // Now it is in the middle of its next round.
  child.kill('SIGKILL');
  await once(child, 'close');
  const found = await readFile(path);
  assert.equal(found.length, 5_000_000);
  assert.ok(found.every((byte) => byte === found[0]));
});

test('what killed writers left behind is swept after an hour, what is being written now is not', async () => {
  const folder = newFolder();
  await mkdir(join(folder, 'blobs'), { recursive: true });
  const longAgo = new Date(Date.now() - 2 * 60 * 60 * 1000);
  for (const place of [folder, join(folder, 'blobs')]) {
    await writeFile(join(place, '.tmp-old'), '');
    await utimes(join(place, '.tmp-old'), longAgo, longAgo);
    await writeFile(join(place, '.tmp-new'), '');
  }
  await createFolderStore(folder).check();
  assert.deepEqual(await filesOf(folder), ['.tmp-new', '.tmp-new']);
});

test('a full disk is told as such, may be tried again, and nothing half-written stays', {
  skip: NO_SMALL_DISK,
}, async () => {
  const disk = smallDisk('size=64k');
  const store = createFolderStore(disk);
  await store.check();
  await assert.rejects(store.put('blobs/big', randomBytes(200_000), PNG), (error) => {
    assert.ok(error instanceof StorageUnavailable);
    assert.match(error.message, /the disk is full: free some space \[code=ENOSPC, path=.*big\]/);
    assert.ok(error.cause instanceof Error);
    return true;
  });
  assert.deepEqual(await filesOf(disk), []);
  await store.put('blobs/small', randomBytes(100), PNG);
  await store.check(1000);
  await assert.rejects(
    store.check(200_000),
    /can't write to .*: the disk is full: free some space \[code=ENOSPC, path=.*\]/,
  );
  assert.deepEqual(await filesOf(disk), ['small']);
});

test('a read-only folder is told as such', { skip: NO_SMALL_DISK }, async () => {
  const store = createFolderStore(join(smallDisk('ro'), 'out'));
  await assert.rejects(
    store.check(),
    /its file system is read-only: mount it writable, or choose another folder/,
  );
  await assert.rejects(store.put('a', Buffer.from('a'), PNG), StorageUnavailable);
});

test('a folder that this user may not write is told as such', {
  skip: process.getuid?.() === 0 ? 'root may write everywhere' : false,
}, async () => {
  const folder = newFolder();
  await mkdir(folder);
  await chmod(folder, 0o500);
  await assert.rejects(createFolderStore(folder).check(), /this user may not do that there/);
});

test('a file where the folder should be is told as such', async () => {
  const path = newFolder();
  await writeFile(path, '');
  await assert.rejects(createFolderStore(path).check(), StorageRefused);
  await assert.rejects(
    createFolderStore(join(path, 'below')).check(),
    /a file stands where a folder is needed/,
  );
});

test('an absent blob is refused by name', async () => {
  await assert.rejects(
    createFolderStore(newFolder()).get('blobs/none'),
    /can't read .*blobs\/none: there is no such file/,
  );
});

test('no key leads out of the store', async () => {
  const store = createFolderStore(newFolder());
  for (const key of ['../a', 'a/../../b', '/etc/passwd', '', '.', pathToFileURL('/etc/passwd').href]) {
    await assert.rejects(async () => store.get(key), /Expected a key or an address below/, key);
  }
});

test('the store that a blob came from is opened by that blob’s address', async () => {
  const store = createFolderStore(newFolder());
  const url = await store.put('blobs/a', Buffer.from('a'), PNG);
  assert.equal((await openStoreOf(url).get(url)).toString(), 'a');
  assert.equal(await store.downloadUrl(url), url);
  assert.equal(await store.downloadUrl('blobs/a'), url);
  await assert.rejects(store.downloadUrl('../a'), /Expected a key or an address below/);
});

test('a store is opened by path or file: URL, and other addresses are refused by name', async () => {
  const folder = newFolder();
  const url = pathToFileURL(folder).href;
  assert.equal(openStore(folder).url, url);
  assert.equal(openStore(url).url, url);
  assert.throws(
    () => openStore('gs://bucket'),
    /Expected a folder, a file: URL or an s3: URL for the store but received gs:\/\/bucket/,
  );
  assert.throws(() => openStore(''), /received an empty text/);
  assert.equal(existsSync(fileURLToPath(url)), false);
});

test('pictures are called after what they show', () => {
  const picture = { prompt: 'a slice of pizza', seed: 7, sha256: 'ab'.repeat(32), format: 'jpeg' } as const;
  assert.equal(readableName(picture), 'a-slice-of-pizza-7-abababab.jpg');
  assert.equal(blobKey(picture), `blobs/${'ab'.repeat(32)}.jpg`);
  const named = (prompt: string) => readableName({ ...picture, prompt }).replace('-7-abababab.jpg', '');
  assert.equal(named('Crème Brûlée!'), 'creme-brulee');
  assert.equal(named('夜の猫 🐈'), '夜の猫');
  assert.equal(named('हिन्दी'), 'हिन्दी');
  assert.equal(named('🍕'), 'image');
  assert.equal(named('../../etc/passwd'), 'etc-passwd');
  assert.ok(Buffer.byteLength(readableName({ ...picture, prompt: '𠀀'.repeat(2000) })) < 255);
  assert.ok([...named('word '.repeat(100))].length <= 40);
});
