import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readdir, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { pino } from 'pino';
import { openStaging } from '../src/activities/staging.js';
import { ClaimLost, StorageUnavailable } from '../src/contract/errors.js';
import type { PixelClaim } from '../src/contract/job.js';
import { processTag } from '../src/storage/process-tag.js';
import { scratchFolder } from './support/scratch.js';
import { NO_SMALL_DISK, smallDisk } from './support/small-disk.js';

const log = pino({ level: 'silent' });
const scratch = scratchFolder();
let folders = 0;
const newFolder = (): string => join(scratch, `staging-${folders++}`);

const pixels = randomBytes(64 * 64 * 3);

function claimOf(id: string, claim: Partial<PixelClaim> = {}): PixelClaim {
  return {
    id,
    hostQueue: 'q',
    index: 0,
    seed: 0,
    width: 64,
    height: 64,
    sha256: createHash('sha256').update(pixels).digest('hex'),
    modelDigest: '0'.repeat(64),
    device: 'cpu',
    stages: { queueMs: 0, engineMs: 0, textMs: 0, denoiseMs: 0, decodeMs: 0 },
    ...claim,
  };
}

test('staged pixels come back whole, for nobody else to read, and are gone once discarded', async () => {
  const folder = newFolder();
  const staging = await openStaging({ folder, log });
  await staging.put('a', pixels);
  assert.deepEqual(await staging.get(claimOf('a')), pixels);
  const [own] = await readdir(folder);
  assert.equal((await stat(join(folder, own ?? ''))).mode & 0o777, 0o700);
  assert.equal((await stat(folder)).mode & 0o777, 0o700);

  await staging.discard('a');
  await staging.discard('a');
  await assert.rejects(staging.get(claimOf('a')), ClaimLost);
  await staging.close();
});

test('pixels of another size, or with a flipped bit, are as good as lost', async () => {
  const staging = await openStaging({ folder: newFolder(), log });
  await staging.put('a', pixels);
  await assert.rejects(
    staging.get(claimOf('a', { width: 128 })),
    /expected 24576 bytes of pixels for claim a, found 12288/,
  );
  await staging.put(
    'a',
    pixels.map((byte, index) => (index === 5000 ? byte ^ 1 : byte)),
  );
  await assert.rejects(staging.get(claimOf('a')), /are damaged/);
  await assert.rejects(staging.get(claimOf('a')), ClaimLost);
  await staging.close();
});

test('an image that is drawn again takes the place of the first', async () => {
  const staging = await openStaging({ folder: newFolder(), log });
  await staging.put('a', randomBytes(100));
  await staging.put('a', pixels);
  assert.deepEqual(await staging.get(claimOf('a')), pixels);
  await staging.close();
});

test('closing removes the folder, and drained() tells when nothing is staged any more', async () => {
  const folder = newFolder();
  const staging = await openStaging({ folder, log });
  await staging.drained();
  await staging.put('a', pixels);
  await staging.put('b', pixels);
  let drained = false;
  const waiting = staging.drained().then(() => {
    drained = true;
  });
  await staging.discard('a');
  assert.equal(drained, false);
  await staging.discard('b');
  await waiting;

  await staging.put('c', pixels);
  await staging.close();
  await staging.close();
  await staging.drained();
  assert.deepEqual(await readdir(folder), []);
});

test('a claim that nobody fetches is forgotten', async () => {
  const staging = await openStaging({ folder: newFolder(), log, maxAgeMs: -1 });
  await staging.put('a', pixels);
  await staging.put('b', pixels);
  await assert.rejects(staging.get(claimOf('a')), ClaimLost);
  assert.deepEqual(await staging.get(claimOf('b')), pixels);
  await staging.close();
});

test('what a killed process had staged is swept, what a living one has is not', async () => {
  const folder = newFolder();
  const module = new URL('../src/activities/staging.js', import.meta.url).href;
  const script = `import { openStaging } from ${JSON.stringify(module)};
    const log = { info() {}, warn() {} };
    const staging = await openStaging({ folder: ${JSON.stringify(folder)}, log });
    await staging.put('a', Buffer.alloc(3));
    console.log('staged');
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    cwd: new URL('..', import.meta.url).pathname,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  const [theirs] = await readdir(folder);
  await (await openStaging({ folder, log })).close();
  assert.deepEqual(await readdir(folder), [theirs]);

  child.kill('SIGKILL');
  await once(child, 'close');
  await (await openStaging({ folder, log })).close();
  assert.deepEqual(await readdir(folder), []);
});

test('a process that got the number of a dead one does not keep its pixels alive', async () => {
  const folder = newFolder();
  const self = processTag(process.pid);
  assert.ok(self);
  const before = `${self.space}-${self.pid}-${Number(self.started) - 1}-0`;
  await mkdir(join(folder, before), { recursive: true });
  await (await openStaging({ folder, log })).close();
  assert.deepEqual(await readdir(folder), []);
});

test('a folder from another container is left alone for a day; what is no staging folder, for ever', async () => {
  const folder = newFolder();
  await mkdir(join(folder, 'othercontainer-1-100-0'), { recursive: true });
  await mkdir(join(folder, 'othercontainer-2-100-0'));
  await writeFile(join(folder, 'notes.txt'), '');
  const longAgo = new Date(Date.now() - 25 * 60 * 60 * 1000);
  await utimes(join(folder, 'othercontainer-1-100-0'), longAgo, longAgo);
  await (await openStaging({ folder, log })).close();
  assert.deepEqual((await readdir(folder)).sort(), ['notes.txt', 'othercontainer-2-100-0']);
});

test('a full disk is worth another try, elsewhere', { skip: NO_SMALL_DISK }, async () => {
  const staging = await openStaging({ folder: join(smallDisk('size=64k'), 'staging'), log });
  await assert.rejects(staging.put('a', randomBytes(200_000)), (error) => {
    assert.ok(error instanceof StorageUnavailable);
    assert.match(error.message, /can't stage 200000 bytes of pixels \[.*code=ENOSPC\]/);
    return true;
  });
  await staging.drained();
  await staging.close();
});
