import assert from 'node:assert/strict';
import { createHash, randomFillSync } from 'node:crypto';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { closeSync, fstatSync, mkdirSync, openSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { InvalidRequest, OutOfMemory } from '../src/contract/errors.js';
import {
  closeDescriptors,
  descriptorOf,
  MOST_DESCRIPTORS,
  peerOf,
  receiveDescriptors,
  sendDescriptors,
} from '../src/gpu/keeper/descriptor-passing.js';
import { Holdings } from '../src/gpu/keeper/holdings.js';
import { nextHoldingState, nextKeeperState } from '../src/gpu/keeper/keeper-states.js';
import { layOut } from '../src/gpu/runtime/cuda/weight-layout.js';
import { type WantedWeights, weightsKey } from '../src/gpu/runtime/cuda/weight-source.js';
import { SPANS, type Span } from '../src/gpu/spans.js';
import { MemoryDriver } from './support/memory-driver.js';
import { memoryFolder } from './support/memory-folder.js';
import { scratchFolder } from './support/scratch.js';
import { until } from './support/waiting.js';

/* What a keeper is made of, each by itself. */

const scratch = scratchFolder();
const UNIT = 2 * 2 ** 20;
const memory = memoryFolder();
const NO_MEMORY = memory === undefined && 'this machine has no shared memory';
let files = 0;

/** Weights of one tensor that takes so many units of memory. */
function weights(units: number, digest = 'a', folder = scratch): WantedWeights {
  const file = join(folder, `weights-${files++}.bin`);
  const length = units * UNIT - 100;
  writeFileSync(file, randomFillSync(Buffer.alloc(length)));
  const layout = layOut([{ name: 'w', file, offset: 0, length, dtype: 'U8', shape: [length] }]);
  return { component: 'part', checkpointDigest: digest.repeat(64), mappedBytes: units * UNIT, layout };
}

function holdingsOf(driver: MemoryDriver, spareBytes = 0): Holdings {
  return new Holdings({ driver, spareBytes, bufferBytes: 2 ** 20 });
}

async function loaded(holdings: Holdings): Promise<void> {
  await until('all is loaded', () => holdings.all().every(({ state }) => state === 'loaded'));
}

describe('states', () => {
  test('of weights: from streaming to gone, and never back', () => {
    assert.equal(nextHoldingState('streaming', 'loaded'), 'loaded');
    assert.equal(nextHoldingState('loaded', 'evict'), 'gone');
    for (const event of ['failed', 'damaged'] as const) {
      assert.equal(nextHoldingState(nextHoldingState('streaming', event), 'dropped'), 'gone');
    }
    assert.equal(nextHoldingState('loaded', 'damaged'), 'damaged');
    assert.throws(() => nextHoldingState('streaming', 'evict'), /streaming can not be evict/);
    assert.throws(() => nextHoldingState('gone', 'loaded'), /gone can not be loaded/);
    assert.throws(() => nextHoldingState('damaged', 'evict'), /damaged can not be evict/);
  });

  test('of a keeper: it serves, may drain, and ends', () => {
    assert.equal(nextKeeperState('serving', 'idle'), 'ended');
    assert.equal(nextKeeperState('serving', 'retire'), 'draining');
    assert.equal(nextKeeperState('draining', 'retire'), 'draining');
    assert.equal(nextKeeperState('draining', 'deserted'), 'ended');
    assert.throws(() => nextKeeperState('draining', 'idle'), /draining can not be idle/);
    assert.throws(() => nextKeeperState('ended', 'retire'), /ended can not be retire/);
  });
});

describe('a key of weights', () => {
  test('is of the checkpoint and the layout, not of where the files lie', () => {
    const one = weights(1);
    const [run] = one.layout.plan;
    assert.ok(run);
    const moved = (plan: object) => ({ ...one, layout: { ...one.layout, plan: [{ ...run, ...plan }] } });
    const elsewhere = moved({ file: run.file.replace(scratch, '/elsewhere') });
    assert.equal(weightsKey(elsewhere), weightsKey(one));
    for (const other of [
      { ...one, checkpointDigest: 'b'.repeat(64) },
      { ...one, component: 'other' },
      { ...one, mappedBytes: 2 * UNIT },
      moved({ fileOffset: 8 }),
      moved({ arenaOffset: 256 }),
      moved({ file: '/elsewhere/another' }),
    ]) {
      assert.notEqual(weightsKey(other), weightsKey(one));
    }
  });
});

describe('what a keeper holds', () => {
  test('is told, chunk by chunk, to whoever measures', async () => {
    const heard: Span[] = [];
    const listen = (span: unknown) => heard.push(span as Span);
    subscribe(SPANS, listen);
    try {
      const holdings = holdingsOf(new MemoryDriver({ totalBytes: 8 * UNIT }));
      const [one] = holdings.hold([weights(2)]);
      await loaded(holdings);
      for (const kind of ['read part', 'copy part']) {
        const mine = heard.filter(({ name }) => name.startsWith(kind));
        const bytes = mine.reduce((sum, span) => sum + (span.bytes ?? 0), 0);
        assert.equal(bytes, one?.streamedBytes);
        assert.ok(mine.every(({ from, to }) => from <= to));
      }
    } finally {
      unsubscribe(SPANS, listen);
    }
  });

  test('is streamed once, whoever asks; goes by age when room is needed; never what somebody maps', async () => {
    const driver = new MemoryDriver({ totalBytes: 8 * UNIT });
    const holdings = holdingsOf(driver);
    const [one, two, three] = [weights(3, '1'), weights(2, '2'), weights(3, '3')] as const;
    const [first] = holdings.hold([one]);
    const [second] = holdings.hold([two]);
    await loaded(holdings);
    assert.ok(first && second);
    const streamed = first.streamedBytes;
    assert.equal(holdings.hold([one])[0], first);
    assert.equal(first.streamedBytes, streamed);
    // Now the second is the one that was not used for longest: 3 are free, and 3 are needed.
    holdings.hold([three]);
    await loaded(holdings);
    assert.deepEqual(
      holdings.all().map(({ key }) => key),
      [two, one, three].map(weightsKey),
    );
    const four = weights(2, '4');
    holdings.hold([four]);
    assert.equal(second.state, 'gone');
    await loaded(holdings);
    for (const holding of holdings.all()) holdings.lend(holding);
    assert.equal(holdings.makeRoom(), 0);
    assert.throws(() => holdings.hold([weights(1, '5')]), OutOfMemory);
    holdings.giveBack(first);
    assert.equal(holdings.makeRoom(), 3 * UNIT);
    assert.equal(first.state, 'gone');
    assert.throws(() => holdings.giveBack(first), /expected it to be lent/);
  });

  test('leaves a part of the device free, as long as there is something that nobody maps', async () => {
    const driver = new MemoryDriver({ totalBytes: 8 * UNIT });
    const holdings = holdingsOf(driver, 3 * UNIT);
    const [one, two] = [weights(2, '1'), weights(2, '2')];
    holdings.hold([one]);
    await loaded(holdings);
    holdings.hold([two]);
    await loaded(holdings);
    assert.equal(holdings.all().length, 2);
    const [third] = holdings.hold([weights(3, '3')]);
    await loaded(holdings);
    assert.ok(third);
    assert.equal(holdings.all().length, 2);
    assert.equal(driver.memory().freeBytes, 3 * UNIT);
  });

  test('comes from where it lies pinned when it is wanted again, for as long as it may be', {
    skip: NO_MEMORY,
  }, async () => {
    const driver = new MemoryDriver({ totalBytes: 4 * UNIT });
    const unpinned: string[] = [];
    const onUnpinned = (reasons: readonly string[]) => unpinned.push(...reasons);
    const holdings = new Holdings({ driver, spareBytes: 0, bufferBytes: 2 ** 20, onUnpinned });
    const [one, two] = [weights(3, '1', memory), weights(3, '2', memory)];
    const pins = () => driver.log.filter((line) => line.startsWith('pin ')).length;
    const turn = async (wanted: WantedWeights) => {
      const [holding] = holdings.hold([wanted]);
      await loaded(holdings);
      assert.ok(holding);
      return holding;
    };
    await turn(one);
    assert.equal(pins(), 0, 'what may never be wanted again is not pinned');
    await turn(two);
    await until('the first one is pinned', () => pins() === 1);
    driver.failOnce('pin');
    const buffers = driver.pinnedWriteOnly.length;
    const again = await turn(one);
    assert.equal(driver.pinnedWriteOnly.length, buffers, 'it needs no buffer');
    assert.equal((await holdings.verify(again)).isGood, true);
    await until('the second one is refused', () => unpinned.length > 0);
    assert.match(unpinned.join('\n'), /as the test told/);
    await until('both are old', () => again.idleMs > 50);
    holdings.evictIdle(50);
    assert.equal(driver.log.at(-1), 'unpin');
    driver.close();
  });

  test('goes when nobody has mapped it for too long', async () => {
    const driver = new MemoryDriver({ totalBytes: 8 * UNIT });
    const holdings = holdingsOf(driver);
    const [first, second] = holdings.hold([weights(2, '1'), weights(1, '2')]);
    assert.ok(first && second);
    holdings.lend(second);
    await loaded(holdings);
    holdings.evictIdle(60_000);
    assert.equal(holdings.all().length, 2);
    await until('both are older than that', () => first.idleMs > 50);
    holdings.evictIdle(50);
    assert.equal(first.state, 'gone');
    assert.equal(second.state, 'loaded');
    assert.equal(driver.memory().freeBytes, 7 * UNIT);
  });

  test('is not taken where a plan leads out of its memory', () => {
    const holdings = holdingsOf(new MemoryDriver({ totalBytes: 8 * UNIT }));
    const good = weights(1);
    const [run] = good.layout.plan;
    assert.ok(run);
    for (const { mappedBytes = UNIT, extent = good.layout.extent, ...place } of [
      { arenaOffset: 512 },
      { length: 2 * UNIT },
      { extent: 2 * UNIT },
      { mappedBytes: UNIT + 1 },
    ] as { mappedBytes?: number; extent?: number }[]) {
      const bad = { ...good, mappedBytes, layout: { extent, plan: [{ ...run, ...place }] } };
      assert.throws(() => holdings.hold([bad]), InvalidRequest);
    }
    assert.deepEqual(holdings.all(), []);
  });

  test('that can not be read is failed, and dropped when the last one has given it back', async () => {
    const driver = new MemoryDriver({ totalBytes: 8 * UNIT });
    const holdings = holdingsOf(driver);
    const missing = weights(1);
    const [run] = missing.layout.plan;
    assert.ok(run);
    const plan = [{ ...run, file: '/nowhere' }];
    const [holding] = holdings.hold([{ ...missing, layout: { ...missing.layout, plan } }]);
    assert.ok(holding);
    holdings.lend(holding);
    await until('it has failed', () => holding.state === 'failed');
    assert.match(String(holding.failure), /nowhere/);
    assert.equal(driver.memory().freeBytes, 7 * UNIT);
    assert.equal(holdings.find(holding.key), undefined);
    holdings.giveBack(holding);
    await until('it is dropped', () => holding.state === 'gone');
    assert.equal(driver.memory().freeBytes, 8 * UNIT);
    driver.close();
  });

  test('is compared with its files byte by byte when asked', async () => {
    const driver = new MemoryDriver({ totalBytes: 8 * UNIT });
    const holdings = holdingsOf(driver);
    const wanted = weights(3);
    const [holding] = holdings.hold([wanted]);
    assert.ok(holding);
    await assert.rejects(holdings.verify(holding), /are streaming/);
    await loaded(holdings);
    const good = await holdings.verify(holding);
    assert.ok(good.isGood);
    const [piece] = holdings.descriptorsOf(holding);
    assert.ok(piece !== undefined);
    writeFileSync(piece, Buffer.from([1]));
    closeSync(piece);
    const bad = await holdings.verify(holding);
    assert.equal(bad.isGood, false);
    assert.notEqual(bad.sha256, good.sha256);
    assert.equal(holdings.find(holding.key), undefined);
    driver.close();
  });
});

describe('what is compared unasked', () => {
  test('is what was compared longest ago, and only with the files that it was read from', async () => {
    const driver = new MemoryDriver({ totalBytes: 8 * UNIT });
    const holdings = holdingsOf(driver);
    const wanted = [weights(1), weights(2)];
    const [later, earlier] = [new Date(2_000_000_000_000), new Date(1_000_000_000_000)];
    const filesOf = ({ layout }: WantedWeights) => layout.plan.map(({ file }) => file);
    const touch = (time: Date) => {
      for (const file of wanted.flatMap(filesOf)) utimesSync(file, time, time);
    };
    touch(earlier);
    holdings.hold(wanted);
    assert.equal(await holdings.verifyDue(0), undefined, 'nothing is loaded');
    await loaded(holdings);
    assert.equal(await holdings.verifyDue(1e9), undefined, 'nothing is due');
    const [one, two, three] = [
      await holdings.verifyDue(0),
      await holdings.verifyDue(0),
      await holdings.verifyDue(0),
    ];
    assert.ok(one?.isGood && two?.isGood && three?.isGood);
    assert.notEqual(one.holding, two.holding);
    assert.equal(three.holding, one.holding);

    const [piece] = holdings.descriptorsOf(two.holding);
    assert.ok(piece !== undefined);
    writeFileSync(piece, Buffer.from([1]));
    closeSync(piece);
    touch(later);
    for (const what of wanted) {
      assert.equal(await holdings.verifyDue(0), undefined, `its file is another one [${what.component}]`);
    }
    touch(earlier);
    const again = [await holdings.verifyDue(0), await holdings.verifyDue(0)];
    assert.equal(again.find((checked) => checked?.holding === two.holding)?.isGood, false);
    assert.equal(two.holding.state, 'gone');
    holdings.makeRoom();
    driver.close();
  });
});

describe('descriptors', () => {
  /** Answers every request with these. */
  async function sender(name: string, descriptors: readonly number[]) {
    mkdirSync(join(scratch, name));
    const path = join(scratch, name, 's');
    const heard: string[] = [];
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', (request) => {
        heard.push(String(request));
        const from = descriptorOf(socket);
        assert.deepEqual(peerOf(from), { pid: process.pid, uid: process.getuid?.() });
        if (descriptors.length > 0) sendDescriptors(from, descriptors);
        socket.end();
      });
    });
    await new Promise<void>((resolve) => server.listen(path, resolve));
    return { path, heard, close: () => server.close() };
  }

  test('come in their order, as many as the kernel lets through', async () => {
    const names = Array.from({ length: 3 }, (_, index) => join(scratch, `file-${index}`));
    for (const [index, name] of names.entries()) writeFileSync(name, 'x'.repeat(index + 1));
    const opened = names.map((name) => openSync(name, 'r'));
    const many = Array.from({ length: MOST_DESCRIPTORS }, (_, index) => opened[index % 3] as number);
    const { path, heard, close } = await sender('many', many);
    const got = await receiveDescriptors(path, Buffer.from('all of them'), {
      count: many.length,
      timeoutMs: 10_000,
    });
    assert.deepEqual(
      got.map((descriptor) => fstatSync(descriptor).size),
      many.map((_, index) => (index % 3) + 1),
    );
    assert.deepEqual(heard, ['all of them']);
    closeDescriptors([...got, ...opened]);
    close();
  });

  test('that are others than were asked for are refused, and closed', async () => {
    const file = openSync(join(scratch, 'file'), 'w');
    const inode = fstatSync(file).ino;
    const openOnes = () =>
      Array.from({ length: 256 }, (_, descriptor) => {
        try {
          return fstatSync(descriptor).ino === inode;
        } catch {
          return false;
        }
      }).filter(Boolean).length;
    for (const [name, sent] of [
      ['none', []],
      ['too few', [file]],
      ['too many', [file, file, file]],
    ] as const) {
      const { path, close } = await sender(name, sent);
      const asked = receiveDescriptors(path, Buffer.from('two'), { count: 2, timeoutMs: 10_000 });
      await assert.rejects(asked, /expected 2 descriptors in time, got [0-3]/, name);
      close();
    }
    assert.equal(openOnes(), 1);
    closeSync(file);
  });

  test('are asked for where nobody listens: at once, and with the place', async () => {
    const path = join(scratch, 'nobody');
    await assert.rejects(
      receiveDescriptors(path, Buffer.from('x'), { count: 1, timeoutMs: 10_000 }),
      /nobody listens on/,
    );
    const long = join(scratch, createHash('sha256').update('x').digest('hex').repeat(3));
    await assert.rejects(
      receiveDescriptors(long, Buffer.from('x'), { count: 1, timeoutMs: 10_000 }),
      RangeError,
    );
  });
});
