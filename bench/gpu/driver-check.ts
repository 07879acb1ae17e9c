/*
 * Calls everything of the CUDA driver and of the weight stream for real, and prints a line each:
 *
 *   npm run build && node dist/bench/gpu/driver-check.js [--gigabytes 16] [--memory /dev/shm] [--disk /tmp]
 *
 * It makes files of that size in the folders and removes them. `--dry` goes through all of it with memory of this process
 * in the place of a GPU, which tries this script and says nothing of speed. Needs koffi and the build only. Ends with 1
 * where a check failed.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash, randomFillSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { createServer } from 'node:net';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { DeviceLost, OutOfMemory } from '../../src/contract/errors.js';
import {
  closeDescriptors,
  descriptorOf,
  peerOf,
  receiveDescriptors,
  sendDescriptors,
} from '../../src/gpu/keeper/descriptor-passing.js';
import { openCudaDriver } from '../../src/gpu/runtime/cuda/cuda-driver.js';
import { CudaError } from '../../src/gpu/runtime/cuda/cuda-error.js';
import type { Access, AddressRange, CudaDriver, PhysicalMemory } from '../../src/gpu/runtime/cuda/driver.js';
import { liesInMemory } from '../../src/gpu/runtime/cuda/host-cache.js';
import { PinnedFiles } from '../../src/gpu/runtime/cuda/pinned-files.js';
import { WeightArena } from '../../src/gpu/runtime/cuda/weight-arena.js';
import type { NamedTensor } from '../../src/gpu/runtime/cuda/weight-layout.js';
import { streamWeights, type WeightStreamOptions } from '../../src/gpu/runtime/cuda/weight-stream.js';

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const THREADS = '12';

const { values } = parseArgs({
  options: {
    gigabytes: { type: 'string', default: '16' },
    memory: { type: 'string', default: '/dev/shm' },
    disk: { type: 'string', default: '/tmp' },
    dry: { type: 'boolean', default: false },
    // What this process is to another one that checks: see `checkSharing`.
    holder: { type: 'string' },
    borrower: { type: 'string' },
  },
});

// The pool of threads is made before our first line runs.
if (process.env.UV_THREADPOOL_SIZE === undefined) {
  const { status } = spawnSync(process.execPath, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: 'inherit',
    env: { ...process.env, UV_THREADPOOL_SIZE: THREADS },
  });
  process.exit(status ?? 1);
}

let failures = 0;
/** GB/s, both directions of 10^9 bytes. */
const rate = (bytes: number, milliseconds: number) => bytes / milliseconds / 1e6;
const print = (line: string) => process.stdout.write(`${line}\n`);

async function check(what: string, work: () => Promise<string> | string): Promise<void> {
  try {
    print(`ok    ${what}: ${await work()}`);
  } catch (error) {
    failures++;
    print(`FAIL  ${what}: ${error instanceof Error ? error.stack : error}`);
  }
}

function expect(isSo: boolean, what: string): void {
  if (!isSo) throw new Error(`expected ${what}`);
}

function timed<T>(work: () => T): { milliseconds: number; value: T } {
  const start = performance.now();
  const value = work();
  return { milliseconds: performance.now() - start, value };
}

async function openDriver(): Promise<CudaDriver> {
  if (!values.dry) return openCudaDriver({ leastCuda: '12.0' });
  const { MemoryDriver } = await import('../../test/support/memory-driver.js');
  return new MemoryDriver({ totalBytes: 4 * GIB });
}

/** Copies bytes to an address and back, through pinned memory. */
async function roundTrip(driver: CudaDriver, address: bigint, bytes: Uint8Array): Promise<void> {
  const there = driver.allocatePinned(bytes.length);
  const back = driver.allocatePinned(bytes.length);
  const stream = driver.createStream();
  const event = driver.createEvent();
  try {
    there.bytes.set(bytes);
    back.bytes.fill(0);
    stream.copyToDevice(address, there.address, bytes.length);
    stream.copyToHost(back.address, address, bytes.length);
    stream.record(event);
    await event.done();
    expect(Buffer.compare(back.bytes, bytes) === 0, 'the bytes that were sent');
  } finally {
    for (const handle of [event, stream, back, there]) handle.close();
  }
}

/** Bytes at an address of the device. */
async function bytesOf(driver: CudaDriver, address: bigint, length: number): Promise<Buffer> {
  const back = driver.allocatePinned(length);
  const stream = driver.createStream();
  const event = driver.createEvent();
  try {
    stream.copyToHost(back.address, address, length);
    stream.record(event);
    await event.done();
    return Buffer.from(back.bytes);
  } finally {
    for (const handle of [event, stream, back]) handle.close();
  }
}

async function checkMapping(driver: CudaDriver, bytes: number): Promise<void> {
  let range: AddressRange | undefined;
  let pieces: PhysicalMemory[] = [];
  const random = randomFillSync(Buffer.alloc(8 * MIB));
  const mapAll = (at: AddressRange) => {
    pieces = [driver.createPhysical(bytes / 2), driver.createPhysical(bytes / 2)];
    driver.map(at.address, pieces[0] as PhysicalMemory);
    driver.map(at.address + BigInt(bytes / 2), pieces[1] as PhysicalMemory);
  };
  const unmapAll = (at: AddressRange) => {
    for (const half of [0, bytes / 2]) driver.unmap({ address: at.address + BigInt(half), bytes: bytes / 2 });
    for (const piece of pieces) piece.close();
  };
  const size = `${(bytes / GIB).toFixed(2)} GiB in two pieces`;
  await check('reserve', () => {
    const { milliseconds, value } = timed(() => driver.reserve(bytes));
    range = value;
    return `${size}, ${milliseconds.toFixed(2)} ms, address 0x${value.address.toString(16)}`;
  });
  if (!range) return;
  const reserved = range;
  const before = driver.memory().freeBytes;
  await check('create, map, set access', () => {
    const { milliseconds } = timed(() => mapAll(reserved));
    return `${milliseconds.toFixed(2)} ms, free memory less by ${((before - driver.memory().freeBytes) / GIB).toFixed(2)} GiB`;
  });
  await check('copy, read back, compare, across the border of the pieces', async () => {
    await roundTrip(driver, reserved.address + BigInt(bytes / 2 - random.length / 2), random);
    return `${random.length / MIB} MiB are the same`;
  });
  await check('unmap and release', () => {
    const { milliseconds } = timed(() => unmapAll(reserved));
    const left = before - driver.memory().freeBytes;
    expect(Math.abs(left) < 64 * MIB, `the memory back, ${left} bytes are missing`);
    return `${milliseconds.toFixed(2)} ms, all memory is back`;
  });
  await check('map again at the same address, copy, compare', async () => {
    const { milliseconds } = timed(() => mapAll(reserved));
    await roundTrip(driver, reserved.address, random);
    unmapAll(reserved);
    return `mapped in ${milliseconds.toFixed(2)} ms`;
  });
  await check(
    'give the addresses back',
    () => `${timed(() => driver.unreserve(reserved)).milliseconds.toFixed(2)} ms`,
  );
}

/** Pieces of a holder's memory: more than one, so that their order counts. */
const PIECES = 2;
/** Where a borrower writes, behind what is compared. */
const MARK = Buffer.from('written by whoever has borrowed it');

function pieceBytes(driver: CudaDriver): number {
  return values.dry ? 8 * driver.granularity : GIB;
}

/** Memory that can be lent, filled with bytes of this process's choice around the border of its pieces. */
async function holdMemory(driver: CudaDriver, socket: string) {
  const bytes = pieceBytes(driver);
  const pieces = Array.from({ length: PIECES }, () => driver.createPhysical(bytes, { shareable: true }));
  const range = driver.reserve(bytes * PIECES);
  pieces.forEach((piece, index) => {
    driver.map(range.address + BigInt(index * bytes), piece);
  });
  const contents = randomFillSync(Buffer.alloc(2 * MIB));
  const border = range.address + BigInt(bytes - contents.length / 2);
  await roundTrip(driver, border, contents);
  let exportMs = 0;
  const server = createServer((connection) => {
    connection.once('data', () => {
      const from = descriptorOf(connection);
      expect(peerOf(from).uid === process.getuid?.(), 'a process of this user');
      const { milliseconds, value } = timed(() => pieces.map((piece) => driver.exportDescriptor(piece)));
      exportMs = milliseconds;
      sendDescriptors(from, value);
      closeDescriptors(value);
    });
  });
  await once(server.listen(socket), 'listening');
  return {
    digest: createHash('sha256').update(contents).digest('hex'),
    marked: async () => (await bytesOf(driver, range.address, MARK.length)).equals(MARK),
    isWhole: async () => (await bytesOf(driver, border, contents.length)).equals(contents),
    exportMs: () => exportMs,
    close() {
      server.close();
      for (let piece = 0; piece < PIECES; piece++) {
        driver.unmap({ address: range.address + BigInt(piece * bytes), bytes });
      }
      for (const piece of pieces) piece.close();
      driver.unreserve(range);
    },
  };
}

/** A holder's memory, mapped here. */
async function borrowMemory(driver: CudaDriver, socket: string, access: Access) {
  const bytes = pieceBytes(driver);
  const range = driver.reserve(bytes * PIECES);
  const began = performance.now();
  const descriptors = await receiveDescriptors(socket, Buffer.from('all'), {
    count: PIECES,
    timeoutMs: 30_000,
  });
  const passed = performance.now();
  const pieces = descriptors.map((descriptor) => driver.importDescriptor(descriptor, bytes));
  closeDescriptors(descriptors);
  let allowed: Access = access;
  pieces.forEach((piece, index) => {
    allowed = driver.map(range.address + BigInt(index * bytes), piece, access);
  });
  const mapped = performance.now();
  const length = 2 * MIB;
  return {
    allowed,
    passMs: passed - began,
    mapMs: mapped - passed,
    digest: async () => {
      const there = await bytesOf(driver, range.address + BigInt(bytes - length / 2), length);
      return createHash('sha256').update(there).digest('hex');
    },
    mark: () => roundTrip(driver, range.address, MARK),
    close() {
      for (let piece = 0; piece < PIECES; piece++) {
        driver.unmap({ address: range.address + BigInt(piece * bytes), bytes });
      }
      for (const piece of pieces) piece.close();
      driver.unreserve(range);
    },
  };
}

/** This script again, as another process with a context of its own. @returns its first word, and how to kill it */
async function partner(role: 'holder' | 'borrower', socket: string) {
  const file = fileURLToPath(import.meta.url);
  const child = spawn(process.execPath, [file, `--${role}`, socket, ...(values.dry ? ['--dry'] : [])], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = once(child, 'close');
  const [said] = (await Promise.race([once(child.stdout, 'data'), ended.then(() => [''])])) as [Buffer];
  return {
    said: JSON.parse(String(said) || 'null') as Record<string, unknown>,
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** Says what it has found and waits to be killed. */
async function beHolder(driver: CudaDriver, socket: string): Promise<void> {
  const held = await holdMemory(driver, socket);
  process.stdout.write(JSON.stringify({ digest: held.digest }));
  await new Promise((resolve) => process.stdin.once('end', resolve).resume());
}

async function beBorrower(driver: CudaDriver, socket: string): Promise<void> {
  const reader = await borrowMemory(driver, socket, 'read');
  const read = await reader.digest();
  const { allowed, passMs, mapMs } = reader;
  const writer = await borrowMemory(driver, socket, 'read and write');
  await writer.mark();
  process.stdout.write(JSON.stringify({ digest: read, allowed, passMs, mapMs }));
  await new Promise((resolve) => process.stdin.once('end', resolve).resume());
}

/** Memory of one process that another one maps. */
async function checkSharing(driver: CudaDriver): Promise<void> {
  const { freeBytes } = driver.memory();
  const folder = mkdtempSync(join(tmpdir(), 'tdiff-driver-check-'));
  const size = `${((PIECES * pieceBytes(driver)) / GIB).toFixed(2)} GiB in ${PIECES} pieces`;
  await check('memory can be handed to other processes', () => {
    expect(driver.facts.canShare, 'a driver that exports file descriptors');
    const plain = driver.createPhysical(driver.granularity);
    try {
      const error = (() => {
        try {
          closeDescriptors([driver.exportDescriptor(plain)]);
        } catch (reason) {
          return reason as Error;
        }
        return undefined;
      })();
      return `GPU ${driver.facts.uuid}; memory that was not made for it: ${error?.message ?? 'exported all the same'}`;
    } finally {
      plain.close();
    }
  });
  await check(`lent to a process that is then killed, ${size}`, async () => {
    const socket = join(folder, 'held.sock');
    const held = await holdMemory(driver, socket);
    try {
      const borrower = await partner('borrower', socket);
      const { digest, allowed, passMs, mapMs } = borrower.said;
      expect(digest === held.digest, 'the same bytes there');
      expect(await held.marked(), 'here what was written there');
      await borrower.kill();
      expect(await held.isWhole(), 'the bytes here after that process was killed');
      const times = `export ${held.exportMs().toFixed(2)} ms, passing ${Number(passMs).toFixed(2)} ms, import and map ${Number(mapMs).toFixed(2)} ms`;
      return `${times}; asked to map it for reading only, the driver allowed: ${allowed}`;
    } finally {
      held.close();
    }
  });
  await check(`borrowed from a process that is then killed, ${size}`, async () => {
    const socket = join(folder, 'borrowed.sock');
    const holder = await partner('holder', socket);
    const borrowed = await borrowMemory(driver, socket, 'read and write');
    try {
      expect((await borrowed.digest()) === holder.said.digest, 'the same bytes');
      await holder.kill();
      expect((await borrowed.digest()) === holder.said.digest, 'the same bytes after that');
      await borrowed.mark();
      return `read and written after that; passing ${borrowed.passMs.toFixed(2)} ms, import and map ${borrowed.mapMs.toFixed(2)} ms`;
    } finally {
      await holder.kill();
      borrowed.close();
    }
  });
  rmSync(folder, { recursive: true });
  await check('all of it is given back', () => {
    const missing = freeBytes - driver.memory().freeBytes;
    expect(Math.abs(missing) < 64 * MIB, `all memory back, ${missing} bytes are missing`);
    return 'nothing is left of either process';
  });
}

async function checkErrors(driver: CudaDriver): Promise<void> {
  const thrownBy = (work: () => unknown) => {
    try {
      work();
    } catch (error) {
      return error as Error;
    }
    throw new Error('expected it to fail');
  };
  await check('more than there is', () => {
    // All of it: a part is taken already.
    const bytes = Math.ceil(driver.facts.totalBytes / driver.granularity + 1) * driver.granularity;
    const error = thrownBy(() => driver.createPhysical(bytes).close());
    expect(error instanceof OutOfMemory, `OutOfMemory, got ${error}`);
    return error.message;
  });
  await check('a size that is no multiple of the granularity', () => {
    const error = thrownBy(() => driver.createPhysical(driver.granularity + 1));
    expect(error instanceof CudaError, `CudaError, got ${error}`);
    return error.message;
  });
  if (values.dry) return;
  await check('a GPU that is not there', async () => {
    const error = await openCudaDriver({ device: 99 }).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error instanceof DeviceLost, `DeviceLost, got ${error}`);
    return (error as Error).message;
  });
  await check('a driver that is too old', async () => {
    const error = await openCudaDriver({ leastCuda: '99.0' }).catch((reason: unknown) => reason);
    expect(error instanceof DeviceLost, `DeviceLost, got ${error}`);
    return (error as Error).message;
  });
}

/** The rate of large copies from pinned memory. @returns GB/s of the fastest of three rounds */
async function peakRate(
  driver: CudaDriver,
  direction: 'to device' | 'to host',
  streams: number,
): Promise<number> {
  const bytes = 256 * MIB;
  const copies = values.dry ? 4 : 32;
  const pinned = driver.allocatePinned(bytes);
  const device = driver.allocate(bytes);
  const ways = Array.from({ length: streams }, () => driver.createStream());
  const events = ways.map(() => driver.createEvent());
  let best = 0;
  try {
    for (let round = 0; round < 3; round++) {
      const start = performance.now();
      for (let copy = 0; copy < copies; copy++) {
        const way = ways[copy % streams];
        if (direction === 'to device') way?.copyToDevice(device.address, pinned.address, bytes);
        else way?.copyToHost(pinned.address, device.address, bytes);
      }
      ways.forEach((way, index) => {
        const event = events[index];
        if (event) way.record(event);
      });
      await Promise.all(events.map((event) => event.done()));
      best = Math.max(best, rate(bytes * copies, performance.now() - start));
    }
  } finally {
    for (const handle of [...events, ...ways, device, pinned]) handle.close();
  }
  return best;
}

async function checkCopies(driver: CudaDriver): Promise<number> {
  let peak = 0;
  await check('plain device buffer', async () => {
    const buffer = driver.allocate(3 * MIB + 1);
    try {
      await roundTrip(driver, buffer.address, randomFillSync(Buffer.alloc(3 * MIB + 1)));
    } finally {
      buffer.close();
    }
    return 'bytes are the same';
  });
  await check('pinning 128 MiB', () => {
    const { milliseconds, value } = timed(() => driver.allocatePinned(128 * MIB));
    expect(value.address % 4096n === 0n, 'a page-aligned address');
    const { milliseconds: freed } = timed(() => value.close());
    return `${milliseconds.toFixed(1)} ms, given back in ${freed.toFixed(1)} ms`;
  });
  await check('an event is awaited without blocking the event loop', async () => {
    const pinned = driver.allocatePinned(256 * MIB);
    const device = driver.allocate(256 * MIB);
    const stream = driver.createStream();
    const event = driver.createEvent();
    try {
      expect(event.isDone(), 'an event that was never recorded to be done');
      for (let copy = 0; copy < (values.dry ? 1 : 16); copy++) {
        stream.copyToDevice(device.address, pinned.address, 256 * MIB);
      }
      stream.record(event);
      const wasDone = event.isDone();
      let ticks = 0;
      const timer = setInterval(() => ticks++, 2);
      const start = performance.now();
      await event.done();
      clearInterval(timer);
      expect(event.isDone(), 'it to be done then');
      expect(values.dry || (!wasDone && ticks > 3), `a turning event loop, got ${ticks} ticks`);
      return `${ticks} ticks of 2 ms in ${(performance.now() - start).toFixed(1)} ms`;
    } finally {
      for (const handle of [event, stream, device, pinned]) handle.close();
    }
  });
  await check('cost of a call', async () => {
    const pinned = driver.allocatePinned(4096);
    const device = driver.allocate(4096);
    const stream = driver.createStream();
    const event = driver.createEvent();
    const calls = 2000;
    try {
      const each = (work: () => unknown) => {
        const { milliseconds } = timed(() => {
          for (let call = 0; call < calls; call++) work();
        });
        return ((milliseconds / calls) * 1000).toFixed(2);
      };
      const copy = each(() => stream.copyToDevice(device.address, pinned.address, 4096));
      const record = each(() => stream.record(event));
      await event.done();
      return `copy of 4 KiB ${copy} µs, record ${record} µs, query ${each(() => event.isDone())} µs`;
    } finally {
      for (const handle of [event, stream, device, pinned]) handle.close();
    }
  });
  for (const direction of ['to device', 'to host'] as const) {
    for (const streams of [1, 2]) {
      await check(
        `pinned peak ${direction}, ${streams} stream${streams > 1 ? 's' : ''}, 256 MiB a copy`,
        async () => {
          const found = await peakRate(driver, direction, streams);
          if (direction === 'to device') peak = Math.max(peak, found);
          return `${found.toFixed(1)} GB/s`;
        },
      );
    }
  }
  return peak;
}

/** A file of random blocks, none twice, in a folder of its own. @returns its tensors, 64 MiB each, behind an odd header */
async function makeFile(folder: string, bytes: number): Promise<NamedTensor[]> {
  const header = 12_344;
  const file = join(mkdtempSync(join(folder, 'tdiff-driver-check-')), 'weights.bin');
  const handle = await open(file, 'w');
  try {
    const noise = randomFillSync(Buffer.alloc(4 * MIB));
    const write = async (from: number, target: FileHandle) => {
      for (let at = from; at < header + bytes; at += 8 * noise.length) {
        const part = Buffer.from(noise.subarray(0, Math.min(noise.length, header + bytes - at)));
        for (let mark = 0; mark + 8 <= part.length; mark += 4096)
          part.writeBigUInt64LE(BigInt(at + mark), mark);
        for (let written = 0; written < part.length; ) {
          written += (await target.write(part, written, part.length - written, at + written)).bytesWritten;
        }
      }
    };
    await Promise.all(Array.from({ length: 8 }, (_, index) => write(index * noise.length, handle)));
    await handle.sync();
  } finally {
    await handle.close();
  }
  const tensors: NamedTensor[] = [];
  for (let at = 0; at < bytes; at += 64 * MIB) {
    const length = Math.min(64 * MIB, bytes - at);
    tensors.push({ name: `w${at}`, file, offset: header + at, length, dtype: 'U8', shape: [length] });
  }
  return tensors;
}

/** Streams once more into an arena. @returns GB/s */
async function stream(driver: CudaDriver, arena: WeightArena, options: WeightStreamOptions): Promise<number> {
  arena.release();
  arena.resume();
  const start = performance.now();
  await streamWeights(driver, [arena], options).done;
  return rate(arena.bytes, performance.now() - start);
}

/** Compares some of what is in the arena to the file. */
async function expectSame(
  driver: CudaDriver,
  arena: WeightArena,
  tensors: readonly NamedTensor[],
): Promise<void> {
  const probe = MIB;
  const handle = await open((tensors[0] as NamedTensor).file, 'r');
  try {
    for (const tensor of tensors) {
      for (const at of [0, Math.floor((tensor.length - probe) / 2), tensor.length - probe]) {
        const wanted = Buffer.alloc(probe);
        await handle.read(wanted, 0, probe, tensor.offset + at);
        const there = await bytesOf(driver, arena.addressOf(tensor.name) + BigInt(at), probe);
        expect(there.equals(wanted), `the file's bytes in ${tensor.name} at ${at}`);
      }
    }
  } finally {
    await handle.close();
  }
}

async function checkStreaming(
  driver: CudaDriver,
  folder: string,
  bytes: number,
  peak: number,
): Promise<void> {
  let tensors: NamedTensor[] = [];
  await check(`file in ${folder}`, async () => {
    const start = performance.now();
    tensors = await makeFile(folder, bytes);
    return `${(bytes / GIB).toFixed(2)} GiB, made in ${((performance.now() - start) / 1000).toFixed(1)} s`;
  });
  const [first] = tensors;
  if (!first) return;
  const arena = new WeightArena(driver, 'check', tensors);
  const measure = (what: string, options: WeightStreamOptions) =>
    check(what, async () => {
      const rates: number[] = [];
      for (let round = 0; round < 3; round++) rates.push(await stream(driver, arena, options));
      const best = Math.max(...rates);
      return `${best.toFixed(1)} GB/s (${rates.map((each) => each.toFixed(1)).join(', ')}), ${((100 * best) / peak).toFixed(0)}% of the pinned peak`;
    });
  try {
    await measure('stream, default settings', {});
    await check('the arena holds the file', async () => {
      await expectSame(driver, arena, tensors);
      return `${tensors.length} tensors, three places each`;
    });
    const pinned = new PinnedFiles(driver);
    if (liesInMemory(first.file)) {
      await check('pinned where it lies', async () => {
        const start = performance.now();
        const reasons = await pinned.pin([first.file]);
        const took = performance.now() - start;
        expect(reasons.length === 0, `all of it, got ${reasons}`);
        return `${rate(pinned.bytes, took).toFixed(1)} GB/s`;
      });
      await measure('stream, pinned where it lies', { pinned });
      await check('the arena holds the file, from there too', async () => {
        await expectSame(driver, arena, tensors);
        return `let go in ${timed(() => pinned.release()).milliseconds.toFixed(0)} ms`;
      });
    }
    await check('release and resume', async () => {
      const address = arena.addressOf(first.name);
      const released = timed(() => arena.release()).milliseconds;
      const resumed = timed(() => arena.resume()).milliseconds;
      const start = performance.now();
      await streamWeights(driver, [arena]).done;
      const streamed = performance.now() - start;
      expect(arena.addressOf(first.name) === address, 'the same address');
      await expectSame(driver, arena, tensors);
      return `release ${released.toFixed(1)} ms, resume ${resumed.toFixed(1)} ms, stream ${streamed.toFixed(0)} ms, same bytes`;
    });
    for (const chunk of [2, 4, 8]) {
      for (const buffers of [16, 32, 64]) {
        await measure(`stream, ${buffers} buffers of ${chunk} MiB`, {
          chunkBytes: chunk * MIB,
          bufferBytes: buffers * chunk * MIB,
        });
      }
    }
    for (const streams of [1, 4])
      await measure(`stream, 32 buffers of 4 MiB, streams: ${streams}`, { streams });
    await check('checksum', async () => {
      arena.release();
      arena.resume();
      const start = performance.now();
      const [streamed] = await streamWeights(driver, [arena], { checksum: true }).done;
      const took = performance.now() - start;
      const hash = createHash('sha256');
      const handle = await open(first.file, 'r');
      const part = Buffer.alloc(16 * MIB);
      for (let at = 0; at < bytes; ) {
        const { bytesRead } = await handle.read(
          part,
          0,
          Math.min(part.length, bytes - at),
          first.offset + at,
        );
        hash.update(part.subarray(0, bytesRead));
        at += bytesRead;
      }
      await handle.close();
      expect(streamed?.sha256 === hash.digest('hex'), "the file's SHA-256");
      return `${rate(arena.bytes, took).toFixed(2)} GB/s`;
    });
  } finally {
    arena.close();
    rmSync(join(first.file, '..'), { recursive: true });
  }
}

async function checkDirect(driver: CudaDriver, folder: string, bytes: number): Promise<void> {
  let tensors: NamedTensor[] = [];
  await check(`file in ${folder}`, async () => {
    tensors = await makeFile(folder, bytes);
    return `${(bytes / GIB).toFixed(2)} GiB, file system type 0x${statfsSync(folder).type.toString(16)}`;
  });
  const [first] = tensors;
  if (!first) return;
  const arena = new WeightArena(driver, 'check', tensors);
  try {
    for (const [what, options] of [
      ['past the page cache (O_DIRECT)', { direct: true }],
      ['from the page cache', {}],
    ] as const) {
      await check(`stream from disk ${what}`, async () => {
        const rates = [await stream(driver, arena, options), await stream(driver, arena, options)];
        await expectSame(driver, arena, tensors);
        return `${rates.map((each) => each.toFixed(2)).join(', ')} GB/s, same bytes`;
      });
    }
  } finally {
    arena.close();
    rmSync(join(first.file, '..'), { recursive: true });
  }
}

/** What of it fits, in multiples of 64 MiB. */
function atMost(wanted: number, free: number): number {
  return Math.max(1, Math.floor(Math.min(wanted, free * 0.8) / (64 * MIB))) * 64 * MIB;
}

const roomIn = (folder: string) => {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
};

if (values.holder !== undefined) {
  await beHolder(await openDriver(), values.holder);
  process.exit(0);
}
if (values.borrower !== undefined) {
  await beBorrower(await openDriver(), values.borrower);
  process.exit(0);
}

const start = performance.now();
const driver = await openDriver();
const opened = performance.now() - start;
const { facts } = driver;
print(
  `${facts.name}, compute capability ${facts.computeCapability.major}.${facts.computeCapability.minor}, driver ${facts.driverVersion}, CUDA ${facts.cudaVersion}`,
);
print(
  `${cpus()[0]?.model}, ${availableParallelism()} cores, Node ${process.versions.node}, UV_THREADPOOL_SIZE=${process.env.UV_THREADPOOL_SIZE}`,
);
print(`ok    open: ${opened.toFixed(0)} ms`);
const { freeBytes, totalBytes } = driver.memory();
print(
  `ok    memory: ${(freeBytes / GIB).toFixed(2)} of ${(totalBytes / GIB).toFixed(2)} GiB free, granularity ${driver.granularity / MIB} MiB`,
);
const wanted = values.dry ? GIB / 2 : Number(values.gigabytes) * GIB;
await checkMapping(driver, atMost(wanted, freeBytes));
await checkSharing(driver);
await checkErrors(driver);
const peak = await checkCopies(driver);
await checkStreaming(driver, values.memory, atMost(wanted, Math.min(freeBytes, roomIn(values.memory))), peak);
await checkDirect(driver, values.disk, atMost(wanted / 2, Math.min(freeBytes, roomIn(values.disk))));
await check('nothing is left', () => {
  const missing = freeBytes - driver.memory().freeBytes;
  expect(Math.abs(missing) < 64 * MIB, `all memory back, ${missing} bytes are missing`);
  return 'all device memory is back';
});
await check('close', () => {
  driver.close();
  return 'every handle was released';
});
print(failures === 0 ? 'all checks passed' : `${failures} checks FAILED`);
process.exitCode = failures === 0 ? 0 : 1;
