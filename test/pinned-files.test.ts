import assert from 'node:assert/strict';
import { randomFillSync } from 'node:crypto';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { DeviceLost } from '../src/contract/errors.js';
import { HostCache } from '../src/gpu/runtime/cuda/host-cache.js';
import { bytesAt } from '../src/gpu/runtime/cuda/native.js';
import { PinnedFiles } from '../src/gpu/runtime/cuda/pinned-files.js';
import { diskFolder } from './support/disk-folder.js';
import { MemoryDriver } from './support/memory-driver.js';
import { memoryFolder } from './support/memory-folder.js';

const memory = memoryFolder();
const disk = diskFolder();
const PIECE = 64 * 1024;
let files = 0;

function makeFile(bytes: number, folder = memory): string {
  const file = join(folder as string, `${files++}.bin`);
  writeFileSync(file, randomFillSync(Buffer.alloc(bytes)));
  return file;
}

function pinnedOf(driver: MemoryDriver, cache?: HostCache): PinnedFiles {
  return new PinnedFiles(driver, { pieceBytes: PIECE, ...(cache && { cache }) });
}

describe('files in memory', { skip: memory === undefined && 'this machine has no shared memory' }, () => {
  test('lie pinned where they are, in pieces', async () => {
    const driver = new MemoryDriver();
    const pinned = pinnedOf(driver);
    const file = makeFile(2 * PIECE + 100);
    assert.deepEqual(await pinned.pin([file, file]), []);
    assert.equal(pinned.bytes, 2 * PIECE + 100);
    const found = await pinned.find(file);
    const content = readFileSync(file);
    for (const [offset, bytes] of [
      [0, PIECE],
      [PIECE - 1, 1],
      [PIECE, PIECE],
      [2 * PIECE + 7, 93],
    ] as const) {
      const there = found?.at(offset);
      assert.equal(there?.bytes, bytes);
      assert.deepEqual(
        Buffer.from(bytesAt(there?.address as bigint, bytes)),
        content.subarray(offset, offset + bytes),
      );
    }
    assert.equal(found?.at(3 * PIECE), undefined);
    pinned.release();
    assert.equal(pinned.bytes, 0);
    assert.equal(await pinned.find(file), undefined);
    driver.close();
  });

  test('that have changed since are not found, and pinned anew', async () => {
    const driver = new MemoryDriver();
    const pinned = pinnedOf(driver);
    const file = makeFile(PIECE);
    await pinned.pin([file]);
    const content = randomFillSync(Buffer.alloc(2 * PIECE));
    writeFileSync(file, content);
    assert.equal(await pinned.find(file), undefined);
    await pinned.pin([file]);
    assert.equal(pinned.bytes, 2 * PIECE);
    const there = (await pinned.find(file))?.at(PIECE);
    assert.deepEqual(Buffer.from(bytesAt(there?.address as bigint, PIECE)), content.subarray(PIECE));
    pinned.release();
    driver.close();
  });

  test('of which the driver refuses a piece are pinned up to there, and on from there the next time', async () => {
    const driver = new MemoryDriver();
    const pinned = pinnedOf(driver);
    const [first, second] = [makeFile(4 * PIECE), makeFile(PIECE)];
    driver.failOnce('pin', { after: 2 });
    const reasons = await pinned.pin([first, second]);
    assert.match(reasons.join('\n'), new RegExp(`^${first}: .*as the test told`));
    assert.equal(pinned.bytes, 3 * PIECE);
    assert.equal((await pinned.find(first))?.at(2 * PIECE), undefined);
    assert.deepEqual(await pinned.pin([first, second]), []);
    assert.equal(pinned.bytes, 5 * PIECE);
    pinned.release();
    driver.close();
  });

  test('are pinned no further when they are wanted', async () => {
    const driver = new MemoryDriver();
    const pinned = pinnedOf(driver);
    const stop = new AbortController();
    const pinning = pinned.pin([makeFile(1000 * PIECE)], { signal: stop.signal });
    // Pieces are pinned at turns of the event loop, one at each.
    setImmediate(() => stop.abort(new Error('they are wanted')));
    await assert.rejects(pinning, /they are wanted/);
    assert.ok(pinned.bytes < 1000 * PIECE);
    pinned.release();
    driver.close();
  });

  test('of a device that is lost are none', async () => {
    const driver = new MemoryDriver();
    driver.fallOff();
    await assert.rejects(pinnedOf(driver).pin([makeFile(PIECE)]), DeviceLost);
  });

  test('that are empty or gone are left out, which is said', async () => {
    const driver = new MemoryDriver();
    const pinned = pinnedOf(driver);
    const [empty, gone, good] = [makeFile(1), join(memory as string, 'gone'), makeFile(PIECE)];
    truncateSync(empty, 0);
    const reasons = await pinned.pin([empty, gone, good]);
    assert.match(reasons.join('\n'), new RegExp(`^${empty}: mmap of 0 bytes failed.*\n${gone}: ENOENT`));
    assert.equal(pinned.bytes, PIECE);
    pinned.release();
    driver.close();
  });
});

describe('files on a disk', { skip: disk === undefined && 'this machine has no disk' }, () => {
  test('are left out without a copy in memory', async () => {
    const driver = new MemoryDriver();
    const pinned = pinnedOf(driver);
    assert.deepEqual(await pinned.pin([makeFile(PIECE, disk)]), []);
    assert.equal(pinned.bytes, 0);
    driver.close();
  });

  test('are pinned in their copies, which stay as long', async () => {
    const driver = new MemoryDriver();
    const folder = join(disk as string, 'cache');
    const cache = HostCache.open({ folder, maxBytes: PIECE });
    const pinned = pinnedOf(driver, cache);
    const [file, other] = [makeFile(PIECE, disk), makeFile(PIECE, disk)];
    await cache.keep([file]);
    assert.deepEqual(await pinned.pin([file]), []);
    assert.equal(pinned.bytes, PIECE);
    assert.match((await cache.keep([other])).join('\n'), /no room .* in use/);
    pinned.release();
    assert.deepEqual(await cache.keep([other]), []);
    assert.equal(await cache.find(file), undefined);
    driver.close();
  });
});
