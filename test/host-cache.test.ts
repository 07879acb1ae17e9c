import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { StorageRefused } from '../src/contract/errors.js';
import { HostCache, liesInMemory } from '../src/gpu/runtime/cuda/host-cache.js';
import { diskFolder } from './support/disk-folder.js';

const disk = diskFolder();
const skip = disk === undefined && 'this machine has no disk for temporary files';
const MEGA = 2 ** 20;
let count = 0;

function sourceFile(bytes: number): string {
  const file = join(disk as string, `source-${++count}`);
  writeFileSync(file, Buffer.alloc(bytes, count));
  return file;
}

function newFolder(): string {
  return join(disk as string, `cache-${++count}`);
}

function namesIn(folder: string): string[] {
  return readdirSync(folder).filter((name) => !name.startsWith('.'));
}

interface Answer {
  readonly path: string;
  readonly reason?: string;
  readonly inode: number;
}

/** A process of its own that uses the cache. */
async function startUser(t: TestContext, folder: string, maxBytes: number) {
  const script = fileURLToPath(new URL('./support/host-cache-process.js', import.meta.url));
  const child = spawn(process.execPath, [script, folder, String(maxBytes)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async () => JSON.parse((await lines.next()).value as string) as Answer;
  await answer();
  return {
    ensure(file: string): Promise<Answer> {
      child.stdin.write(`${file}\n`);
      return answer();
    },
    async end(): Promise<void> {
      child.stdin.end();
      await once(child, 'close');
    },
    async kill(): Promise<void> {
      child.kill('SIGKILL');
      await once(child, 'close');
    },
  };
}

test('a file is copied once and read from there by whoever comes next', { skip }, async () => {
  const folder = newFolder();
  const file = sourceFile(9 * MEGA + 11);
  const cache = HostCache.open({ folder, maxBytes: 20 * MEGA });
  assert.equal(await cache.find(file), undefined);
  const first = await cache.ensure(file);
  assert.equal(first.reason, undefined);
  assert.ok(first.path.startsWith(folder));
  assert.ok(readFileSync(first.path).equals(readFileSync(file)));
  assert.equal(statSync(folder).mode & 0o777, 0o700);
  assert.equal(statSync(first.path).mode & 0o777, 0o600);
  const inode = statSync(first.path).ino;
  first.close();
  assert.throws(() => first.close(), /closed twice/);
  const second = await HostCache.open({ folder, maxBytes: 20 * MEGA }).ensure(file);
  assert.equal(statSync(second.path).ino, inode);
  second.close();
  const found = await cache.find(file);
  assert.equal(found?.path, second.path);
  found?.close();
});

test('a file that has changed is another one', { skip }, async () => {
  const folder = newFolder();
  const file = sourceFile(MEGA);
  const cache = HostCache.open({ folder, maxBytes: 20 * MEGA });
  const before = await cache.ensure(file);
  appendFileSync(file, 'more');
  const after = await cache.ensure(file);
  assert.notEqual(after.path, before.path);
  assert.ok(readFileSync(after.path).equals(readFileSync(file)));
  before.close();
  after.close();
});

test('two processes that want the same files at once copy each once', { skip }, async (t) => {
  const folder = newFolder();
  const files = Array.from({ length: 6 }, () => sourceFile(12 * MEGA));
  // Room for each once: a second copy would not fit.
  const users = await Promise.all([startUser(t, folder, 72 * MEGA), startUser(t, folder, 72 * MEGA)]);
  for (const file of files) {
    const [one, two] = await Promise.all(users.map((user) => user.ensure(file)));
    assert.equal(one?.reason, undefined);
    assert.deepEqual(one, two);
    assert.equal(statSync(one?.path as string).ino, one?.inode);
    assert.ok(readFileSync(one?.path as string).equals(readFileSync(file)));
  }
  assert.equal(namesIn(folder).length, 6);
  for (const user of users) await user.end();
});

test('what another process uses stays; the least recently used goes first', { skip }, async (t) => {
  const folder = newFolder();
  const [a, b, c, d] = Array.from({ length: 4 }, () => sourceFile(2 * MEGA)) as [
    string,
    string,
    string,
    string,
  ];
  const maxBytes = 6 * MEGA;
  const user = await startUser(t, folder, maxBytes);
  const cache = HostCache.open({ folder, maxBytes });
  await user.ensure(a);
  for (const file of [b, c]) (await cache.ensure(file)).close();
  // `a` is the oldest and in use, so `b` goes.
  const last = await cache.ensure(d);
  assert.equal(last.reason, undefined);
  assert.equal(await cache.find(b), undefined);
  for (const file of [a, c]) {
    const found = await cache.find(file);
    assert.ok(found);
    found.close();
  }
  assert.equal(cache.usedBytes(), maxBytes);

  const big = sourceFile(3 * MEGA);
  const refused = await cache.ensure(big);
  assert.equal(refused.path, big);
  assert.match(refused.reason ?? '', /no room in .*: 1048576 bytes are missing that are in use/);
  assert.equal(cache.usedBytes(), maxBytes, 'nothing is thrown out for what does not fit then');

  // However the user ends, its files are free.
  await user.kill();
  const fits = await cache.ensure(big);
  assert.equal(fits.reason, undefined);
  assert.equal(await cache.find(a), undefined);
  last.close();
  fits.close();
});

test('a file that is larger than the cache is read from where it is', { skip }, async () => {
  const cache = HostCache.open({ folder: newFolder(), maxBytes: MEGA });
  const file = sourceFile(MEGA + 1);
  const { path, reason } = await cache.ensure(file);
  assert.equal(path, file);
  assert.match(reason ?? '', /more than .* may keep/);
});

test('what a process left that died while it copied is made anew', { skip }, async () => {
  const folder = newFolder();
  const cache = HostCache.open({ folder, maxBytes: 20 * MEGA });
  const file = sourceFile(5 * MEGA);
  const whole = await cache.ensure(file);
  whole.close();
  const partial = whole.path.replace('.weights', '.partial');
  renameSync(whole.path, partial);
  writeFileSync(partial, Buffer.alloc(5 * MEGA, 99));
  const again = await cache.ensure(file);
  assert.equal(again.reason, undefined);
  assert.ok(readFileSync(again.path).equals(readFileSync(file)));
  assert.equal(namesIn(folder).length, 1);
  again.close();
});

test('files that do not all fit do not push each other out', { skip }, async () => {
  const cache = HostCache.open({ folder: newFolder(), maxBytes: 4 * MEGA });
  const files = Array.from({ length: 3 }, () => sourceFile(2 * MEGA));
  for (let round = 0; round < 2; round++) {
    await cache.keep([...files, ...files]);
    const found = await Promise.all(files.map((file) => cache.find(file)));
    assert.deepEqual(
      found.map((copy) => copy !== undefined),
      [true, true, false],
    );
    for (const copy of found) copy?.close();
  }
});

test('a cancelled copy leaves nothing', { skip }, async () => {
  const folder = newFolder();
  const cache = HostCache.open({ folder, maxBytes: 200 * MEGA });
  const file = sourceFile(64 * MEGA);
  const controller = new AbortController();
  const ensured = cache.ensure(file, { signal: controller.signal });
  while (namesIn(folder).length === 0) await new Promise(setImmediate);
  controller.abort(new Error('not wanted any more'));
  await assert.rejects(ensured, /not wanted any more/);
  assert.deepEqual(namesIn(folder), []);
});

test('a folder that others can enter is refused', { skip }, () => {
  const folder = newFolder();
  mkdirSync(folder);
  chmodSync(folder, 0o755);
  assert.throws(
    () => HostCache.open({ folder }),
    (error) => error instanceof StorageRefused && /nobody else may enter, got mode 755/.test(error.message),
  );
});

test('a file in memory is read from where it is', async (t) => {
  if (!liesInMemory('/dev/shm')) return t.skip('this machine has no shared memory');
  const folder = mkdtempSync('/dev/shm/tdiff-test-');
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'weights');
  writeFileSync(file, 'weights');
  const cache = HostCache.open({ folder: join(folder, 'cache'), maxBytes: MEGA });
  assert.equal((await cache.ensure(file)).path, file);
  assert.equal(cache.usedBytes(), 0);
});
