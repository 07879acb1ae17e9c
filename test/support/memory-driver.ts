import { closeSync, fstatSync, ftruncateSync } from 'node:fs';
import koffi from 'koffi';
import { errorOfCuda } from '../../src/gpu/runtime/cuda/cuda-error.js';
import type {
  Access,
  AddressRange,
  CudaDriver,
  CudaEvent,
  CudaStream,
  DeviceAddress,
  DeviceBuffer,
  DeviceFacts,
  PhysicalMemory,
  PinnedBuffer,
} from '../../src/gpu/runtime/cuda/driver.js';
import { EventWaiter } from '../../src/gpu/runtime/cuda/event-waiter.js';
import { Handles } from '../../src/gpu/runtime/cuda/handles.js';
import { mmap, munmap } from '../../src/gpu/runtime/cuda/memory-mapping.js';
import { bytesAt, loadLibrary } from '../../src/gpu/runtime/cuda/native.js';
import type { DeviceLedger } from './device-ledger.js';

const PROT_NONE = 0;
const PROT_READ = 1;
const PROT_READ_WRITE = 3;
const MAP_SHARED = 0x01;
const MAP_PRIVATE = 0x02;
const MAP_FIXED = 0x10;
const MAP_ANONYMOUS = 0x20;
const MAP_NORESERVE = 0x4000;
const MFD_CLOEXEC = 1;
const F_DUPFD_CLOEXEC = 1030;
const INVALID_VALUE = 1;
const OUT_OF_MEMORY = 2;
const ILLEGAL_ADDRESS = 700;
const LAUNCH_FAILED = 719;

const libc = loadLibrary('libc.so.6');
const libcMemfd = libc.func('memfd_create', 'int', ['str', 'uint']);
const libcFcntl = libc.func('fcntl', 'int', ['int', 'int', 'int']);
const libcMemcpy = libc.func('memcpy', 'uint64', ['uint64', 'uint64', 'uint64']);

/** Copies memory of this process that has an address only. */
export function copyMemory(target: bigint, source: bigint, bytes: number): void {
  libcMemcpy(target, source, bytes);
}

function memfd(bytes: number): number {
  const file = libcMemfd('device', MFD_CLOEXEC);
  if (file < 0) throw new Error(`memfd_create failed [errno=${koffi.errno()}]`);
  ftruncateSync(file, bytes);
  return file;
}

function duplicate(file: number): number {
  const copy = libcFcntl(file, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) throw new Error(`fcntl failed [errno=${koffi.errno()}]`);
  return copy;
}

/** When a stream's work is done: at once, when the test says so, or at later turns of the event loop, any stream next. */
export type Pace = 'at once' | 'held' | { readonly seed: number };

export interface MemoryDriverOptions {
  /** Default: 1 GiB. */
  readonly totalBytes?: number;
  /** A multiple of the page size. Default: 2 MiB. */
  readonly granularity?: number;
  /** Default: `at once`. */
  readonly pace?: Pace;
  /** What other processes have of the same device. Default: it is this process's alone. */
  readonly ledger?: DeviceLedger;
  /** Whether others allocate device memory of their own, of which this driver knows nothing. Default: false. */
  readonly isShared?: boolean;
}

type FailingCall =
  | 'reserve'
  | 'createPhysical'
  | 'exportDescriptor'
  | 'importDescriptor'
  | 'map'
  | 'allocate'
  | 'allocatePinned'
  | 'pin'
  | 'createStream'
  | 'createEvent'
  | 'copyToDevice'
  | 'copyToHost'
  | 'record'
  /** Not a call: a copy that was taken and fails when it is made. */
  | 'copying';

interface Copy {
  readonly target: bigint;
  readonly source: bigint;
  readonly bytes: number;
  readonly toDevice: boolean;
  /** What was to be copied. */
  readonly before: Buffer | undefined;
}

type Work = Copy | { readonly event: MemoryEvent; readonly generation: number };

/**
 * The device as ordinary memory of this process: addresses are real, so whatever reads weights by address can run over
 * them. Physical memory is an anonymous file, mapped where it is asked for.
 *
 * It notices what a GPU would not tell: pinned memory that changes or is freed before a copy from it is done, copies
 * from or to memory that is not there, and what was never closed. `close` throws where anything was noticed.
 */
export class MemoryDriver implements CudaDriver {
  readonly facts: DeviceFacts;
  readonly granularity: number;
  /** Calls in their order, such as `copyToDevice stream=1 bytes=4096`. */
  readonly log: string[] = [];
  /** The most bytes that were pinned at a time. */
  peakPinnedBytes = 0;
  /** Of each buffer that was pinned, whether the processor was only to write it. */
  readonly pinnedWriteOnly: boolean[] = [];
  readonly #handles = new Handles();
  readonly #waiter = new EventWaiter();
  readonly #streams: MemoryStream[] = [];
  readonly #reserved = new Map<AddressRange, () => void>();
  readonly #mapped = new Map<bigint, MemoryPhysical>();
  readonly #buffers = new Map<bigint, number>();
  readonly #pinned = new Map<bigint, number>();
  /** What was there before, and is pinned where it lies. */
  readonly #pinnedInPlace = new Map<bigint, number>();
  readonly #failures = new Map<FailingCall, { after: number; code: number }>();
  readonly #violations: string[] = [];
  readonly #random: () => number;
  #pace: Pace;
  readonly #isShared: boolean;
  readonly #ledger: DeviceLedger | undefined;
  #physicalBytes = 0;
  #lost: Error | undefined;
  #isTurning = false;

  constructor({
    totalBytes = 2 ** 30,
    granularity = 2 * 2 ** 20,
    pace = 'at once',
    isShared = false,
    ledger,
  }: MemoryDriverOptions = {}) {
    this.#isShared = isShared;
    this.#ledger = ledger;
    this.facts = {
      index: 0,
      name: 'memory of this process',
      uuid: '6d656d6f72796f667468697370726f63',
      canShare: true,
      computeCapability: { major: 9, minor: 0 },
      cudaVersion: '13.0',
      driverVersion: undefined,
      totalBytes,
    };
    this.granularity = granularity;
    this.#pace = pace;
    this.#random = randomNumbers(typeof pace === 'object' ? pace.seed : 0);
  }

  /**
   * Lets a call fail, once.
   * @param after how many of these calls succeed first. Default: 0
   * @param code CUDA's. Default: out of memory
   */
  failOnce(
    call: FailingCall,
    { after = 0, code = OUT_OF_MEMORY }: { after?: number; code?: number } = {},
  ): void {
    this.#failures.set(call, { after, code });
  }

  /** Makes the next copies of a stream that holds them, in their order. @returns how many there were */
  advance(stream: number, copies = 1): number {
    const found = this.#streams[stream];
    if (!found) throw new Error(`there is no stream ${stream}`);
    let made = 0;
    while (made < copies && found.step()) made++;
    return made;
  }

  /** Copies that were taken and not made yet, a stream. */
  held(): number[] {
    return this.#streams.map((stream) => stream.queuedCopies());
  }

  /** From now on copies are held. */
  holdBack(): void {
    this.#pace = 'held';
  }

  /** Makes all that is held, and from now on everything at once. */
  letGo(): void {
    this.#pace = 'at once';
    for (const stream of this.#streams) while (stream.step());
  }

  /** Device memory as bytes, for tests to look at. */
  bytesAt(address: DeviceAddress, bytes: number): Uint8Array {
    if (!this.#isDeviceMemory(address, bytes))
      throw new Error(`there is no memory at 0x${address.toString(16)}`);
    return Uint8Array.from(bytesAt(address, bytes));
  }

  /** From now on every call answers with that error of CUDA's, as those of a GPU do whose context has failed. */
  fallOff(code = LAUNCH_FAILED): void {
    this.#lost ??= errorOfCuda('cuStreamQuery', code);
    for (const stream of this.#streams) stream.queue.splice(0);
  }

  memory(): { freeBytes: number; totalBytes: number } {
    if (this.#lost) throw this.#lost;
    const { totalBytes } = this.facts;
    return { freeBytes: totalBytes - this.#usedBytes() - this.#othersBytes(), totalBytes };
  }

  reserve(bytes: number): AddressRange {
    this.#enter('reserve', `bytes=${bytes}`);
    this.#expectMultiple('reserve', bytes);
    const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    const taken = mmap(0n, bytes + this.granularity, PROT_NONE, flags);
    const unit = BigInt(this.granularity);
    const address = ((taken + unit - 1n) / unit) * unit;
    const before = Number(address - taken);
    if (before > 0) munmap(taken, before);
    if (before < this.granularity) munmap(address + BigInt(bytes), this.granularity - before);
    const range = { address, bytes };
    const close = this.#handles.closer('range of addresses', () => {
      if (this.#mappingsIn(range).length > 0) this.#fail('unreserve', INVALID_VALUE, 'still mapped');
      munmap(address, bytes);
    });
    this.#reserved.set(range, close);
    return range;
  }

  unreserve(range: AddressRange): void {
    this.log.push(`unreserve bytes=${range.bytes}`);
    const close = this.#reserved.get(range);
    if (!close) throw new Error('expected a range that this driver reserved');
    this.#reserved.delete(range);
    close();
  }

  createPhysical(bytes: number, { shareable = false } = {}): PhysicalMemory {
    this.#enter('createPhysical', `bytes=${bytes}`);
    this.#expectMultiple('createPhysical', bytes);
    this.#takeBytes('createPhysical', bytes);
    this.#physicalBytes += bytes;
    this.#ledger?.tell(this.#usedBytes());
    return new MemoryPhysical(
      memfd(bytes),
      bytes,
      shareable,
      (close) => this.#handles.closer('piece of physical memory', close),
      () => {
        this.#physicalBytes -= bytes;
        this.#ledger?.tell(this.#usedBytes());
      },
    );
  }

  exportDescriptor(memory: PhysicalMemory): number {
    this.#enter('exportDescriptor', `bytes=${memory.bytes}`);
    const { file, isShareable } = oursOnly(memory);
    if (!isShareable) this.#fail('exportDescriptor', INVALID_VALUE, 'not made to be shared');
    return duplicate(file);
  }

  /** What was imported counts as the exporter's memory. */
  importDescriptor(descriptor: number, bytes: number): PhysicalMemory {
    this.#enter('importDescriptor', `bytes=${bytes}`);
    if (fstatSync(descriptor).size !== bytes) this.#fail('importDescriptor', INVALID_VALUE, `bytes=${bytes}`);
    return new MemoryPhysical(
      duplicate(descriptor),
      bytes,
      true,
      (close) => this.#handles.closer('piece of physical memory', close),
      () => {},
    );
  }

  map(address: DeviceAddress, memory: PhysicalMemory, access: Access = 'read and write'): Access {
    this.#enter('map', `bytes=${memory.bytes}`);
    const ours = oursOnly(memory);
    const range = { address, bytes: memory.bytes };
    if (!this.#isReserved(range) || this.#mappingsIn(range).length > 0) {
      this.#fail('map', INVALID_VALUE, 'not reserved, or mapped already');
    }
    ours.mapAt(address, access);
    this.#mapped.set(address, ours);
    return access;
  }

  unmap(range: AddressRange): void {
    this.log.push(`unmap bytes=${range.bytes}`);
    const memory = this.#mapped.get(range.address);
    if (memory?.bytes !== range.bytes) this.#fail('unmap', INVALID_VALUE, 'not one whole mapping');
    this.#expectNoCopies('device memory was unmapped', range.address, range.bytes);
    mmap(range.address, range.bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED);
    this.#mapped.delete(range.address);
    memory.unmapped();
  }

  allocate(bytes: number): DeviceBuffer {
    this.#enter('allocate', `bytes=${bytes}`);
    this.#takeBytes('allocate', bytes);
    const address = mmap(0n, bytes, PROT_READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    this.#buffers.set(address, bytes);
    this.#ledger?.tell(this.#usedBytes());
    const close = this.#handles.closer('device buffer', () => {
      this.#expectNoCopies('a device buffer was closed', address, bytes);
      this.#buffers.delete(address);
      this.#ledger?.tell(this.#usedBytes());
      munmap(address, bytes);
    });
    return { address, bytes, close };
  }

  allocatePinned(bytes: number, { writeOnly = false } = {}): PinnedBuffer {
    this.#enter('allocatePinned', `bytes=${bytes}`);
    this.pinnedWriteOnly.push(writeOnly);
    const address = mmap(0n, bytes, PROT_READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    this.#pinned.set(address, bytes);
    const pinned = [...this.#pinned.values()].reduce((sum, each) => sum + each, 0);
    this.peakPinnedBytes = Math.max(this.peakPinnedBytes, pinned);
    const close = this.#handles.closer('pinned buffer', () => {
      this.#expectNoCopies('a pinned buffer was closed', address, bytes);
      this.#pinned.delete(address);
      munmap(address, bytes);
    });
    return { address, bytes: bytesAt(address, bytes) as Uint8Array<ArrayBuffer>, close };
  }

  pin({ address, bytes }: AddressRange): () => void {
    this.#enter('pin', `bytes=${bytes}`);
    this.#pinnedInPlace.set(address, bytes);
    return this.#handles.closer('piece of pinned memory', () => {
      this.log.push('unpin');
      this.#expectNoCopies('pinned memory was let go', address, bytes);
      this.#pinnedInPlace.delete(address);
    });
  }

  createStream(): CudaStream {
    this.#enter('createStream', '');
    const index = this.#streams.length;
    const stream = new MemoryStream(
      (copy) => this.#copy(copy),
      this.#handles.closer('stream', () => {
        while (stream.step());
      }),
    );
    this.#streams.push(stream);
    return {
      handle: BigInt(index + 1),
      copyToDevice: (target, source, bytes) => {
        this.#enter('copyToDevice', `stream=${index} bytes=${bytes}`);
        this.#expectCopyable('copyToDevice', target, source, bytes);
        this.#queue(stream, { target, source, bytes, toDevice: true });
      },
      copyToHost: (target, source, bytes) => {
        this.#enter('copyToHost', `stream=${index} bytes=${bytes}`);
        this.#expectCopyable('copyToHost', source, target, bytes);
        this.#queue(stream, { target, source, bytes, toDevice: false });
      },
      record: (event) => {
        this.#enter('record', `stream=${index}`);
        if (!(event instanceof MemoryEvent)) throw new Error("expected this driver's event");
        stream.queue.push({ event, generation: event.recorded() });
        this.#run(stream);
      },
      close: stream.close,
    };
  }

  createEvent(): CudaEvent {
    this.#enter('createEvent', '');
    return new MemoryEvent(
      this.#waiter,
      () => this.#lost,
      this.#handles.closer('event', () => {}),
    );
  }

  /** @throws Error naming what was never closed and what else was wrong */
  close(): void {
    if (this.#mapped.size > 0)
      this.#violations.push(`${this.#mapped.size} pieces of memory are still mapped`);
    const leaks = this.#handles.leaks();
    if (leaks.length > 0) this.#violations.push(`never closed: ${leaks.join(', ')}`);
    if (this.#violations.length > 0) throw new Error(`memory driver: ${this.#violations.join('; ')}`);
  }

  #usedBytes(): number {
    return this.#physicalBytes + [...this.#buffers.values()].reduce((sum, bytes) => sum + bytes, 0);
  }

  #othersBytes(): number {
    return this.#ledger?.othersBytes() ?? 0;
  }

  #takeBytes(call: string, bytes: number): void {
    if (this.#usedBytes() + this.#othersBytes() + bytes > this.facts.totalBytes) {
      this.#fail(call, OUT_OF_MEMORY, `bytes=${bytes}`);
    }
  }

  #enter(call: FailingCall, facts: string): void {
    this.log.push(facts === '' ? call : `${call} ${facts}`);
    if (this.#lost) throw this.#lost;
    this.#failIfTold(call);
  }

  #failIfTold(call: FailingCall): void {
    const failure = this.#failures.get(call);
    if (!failure) return;
    if (failure.after-- > 0) return;
    this.#failures.delete(call);
    this.#fail(call, failure.code, 'as the test told');
  }

  #fail(call: string, code: number, facts: string): never {
    throw errorOfCuda(call, code, undefined, facts);
  }

  #expectMultiple(call: string, bytes: number): void {
    if (bytes <= 0 || bytes % this.granularity !== 0) this.#fail(call, INVALID_VALUE, `bytes=${bytes}`);
  }

  #isReserved({ address, bytes }: AddressRange): boolean {
    return [...this.#reserved.keys()].some(
      (range) => address >= range.address && address + BigInt(bytes) <= range.address + BigInt(range.bytes),
    );
  }

  #mappingsIn({ address, bytes }: AddressRange): [bigint, MemoryPhysical][] {
    const end = address + BigInt(bytes);
    return [...this.#mapped].filter(([at, memory]) => at < end && at + BigInt(memory.bytes) > address);
  }

  #isDeviceMemory(address: bigint, bytes: number): boolean {
    if (this.#isShared) return true;
    const end = address + BigInt(bytes);
    if (isWithin(this.#buffers, address, bytes)) return true;
    // Neighbouring pieces are one memory.
    const covered = this.#mappingsIn({ address, bytes }).reduce((sum, [at, memory]) => {
      const from = at > address ? at : address;
      const mappingEnd = at + BigInt(memory.bytes);
      return sum + Number((mappingEnd < end ? mappingEnd : end) - from);
    }, 0);
    return covered === bytes;
  }

  #expectCopyable(call: string, device: bigint, host: bigint, bytes: number): void {
    if (!this.#isDeviceMemory(device, bytes)) this.#fail(call, INVALID_VALUE, 'no device memory there');
    const isPinned = [this.#pinned, this.#pinnedInPlace].some((pieces) => isWithin(pieces, host, bytes));
    if (!isPinned) this.#fail(call, INVALID_VALUE, 'no pinned memory there');
  }

  /** Copies of memory that goes are noted and not made. */
  #expectNoCopies(what: string, address: bigint, bytes: number): void {
    const end = address + BigInt(bytes);
    const touches = (copy: Copy) =>
      [copy.target, copy.source].some((from) => from < end && from + BigInt(copy.bytes) > address);
    for (const stream of this.#streams) {
      const kept = stream.queue.filter((work) => !('bytes' in work && touches(work)));
      if (kept.length === stream.queue.length) continue;
      this.#violations.push(`${what} before a copy of it was made`);
      stream.queue.splice(0, stream.queue.length, ...kept);
    }
  }

  #queue(stream: MemoryStream, copy: Omit<Copy, 'before'>): void {
    const isLate = this.#pace !== 'at once' && copy.toDevice;
    stream.queue.push({
      ...copy,
      before: isLate ? Buffer.from(bytesAt(copy.source, copy.bytes)) : undefined,
    });
    this.#run(stream);
  }

  #run(stream: MemoryStream): void {
    // An event behind nothing is reached as it is recorded.
    if (stream.queuedCopies() === 0) stream.step();
    if (this.#pace === 'at once') while (stream.step());
    else if (this.#pace !== 'held' && !this.#isTurning) this.#turnLater();
  }

  #turnLater(): void {
    this.#isTurning = true;
    setImmediate(() => {
      this.#isTurning = false;
      const busy = this.#streams.filter((stream) => stream.queue.length > 0);
      if (this.#random() < 0.5) busy[Math.floor(this.#random() * busy.length)]?.step();
      if (busy.length > 0 && !this.#isTurning) this.#turnLater();
    });
  }

  #copy(copy: Copy): void {
    try {
      this.#failIfTold('copying');
      const device = copy.toDevice ? copy.target : copy.source;
      if (!this.#isDeviceMemory(device, copy.bytes))
        this.#fail('copying', ILLEGAL_ADDRESS, 'no memory there');
    } catch (error) {
      // As with a GPU: from now on every call fails, and nothing that was asked for is done.
      this.#lost = error as Error;
      for (const stream of this.#streams) stream.queue.splice(0);
      return;
    }
    if (copy.before?.equals(bytesAt(copy.source, copy.bytes)) === false) {
      this.#violations.push('pinned memory changed before the copy from it was made');
    }
    copyMemory(copy.target, copy.source, copy.bytes);
  }
}

function isWithin(pieces: ReadonlyMap<bigint, number>, address: bigint, bytes: number): boolean {
  return [...pieces].some(([at, length]) => address >= at && address + BigInt(bytes) <= at + BigInt(length));
}

/** A linear congruential generator: the same numbers for the same seed, of no quality. */
function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

function oursOnly(memory: PhysicalMemory): MemoryPhysical {
  if (memory instanceof MemoryPhysical) return memory;
  throw new Error("expected this driver's memory");
}

class MemoryPhysical implements PhysicalMemory {
  readonly close: () => void;
  #mappings = 0;
  #isClosed = false;

  constructor(
    /** What it lies in. */
    readonly file: number,
    readonly bytes: number,
    readonly isShareable: boolean,
    closer: (release: () => void) => () => void,
    private readonly gone: () => void,
  ) {
    this.close = closer(() => {
      this.#isClosed = true;
      closeSync(file);
      this.#check();
    });
  }

  mapAt(address: bigint, access: Access): void {
    const protection = access === 'read' ? PROT_READ : PROT_READ_WRITE;
    mmap(address, this.bytes, protection, MAP_SHARED | MAP_FIXED, this.file);
    this.#mappings++;
  }

  unmapped(): void {
    this.#mappings--;
    this.#check();
  }

  #check(): void {
    if (this.#isClosed && this.#mappings === 0) this.gone();
  }
}

class MemoryStream {
  readonly queue: Work[] = [];

  constructor(
    private readonly copy: (copy: Copy) => void,
    readonly close: () => void,
  ) {}

  queuedCopies(): number {
    return this.queue.filter((work) => 'bytes' in work).length;
  }

  /** Makes the next copy, and reports the events right behind it. @returns false where there was none */
  step(): boolean {
    const first = this.queue[0];
    if (first === undefined) return false;
    if ('bytes' in first) {
      this.queue.shift();
      this.copy(first);
    }
    for (let next = this.queue[0]; next && 'event' in next; next = this.queue[0]) {
      next.event.reached(next.generation);
      this.queue.shift();
    }
    return true;
  }
}

class MemoryEvent implements CudaEvent {
  #recorded = 0;
  #reached = 0;

  constructor(
    private readonly waiter: EventWaiter,
    private readonly lost: () => Error | undefined,
    readonly close: () => void,
  ) {}

  recorded(): number {
    return ++this.#recorded;
  }

  reached(generation: number): void {
    this.#reached = Math.max(this.#reached, generation);
  }

  isDone(): boolean {
    const error = this.lost();
    if (error) throw error;
    return this.#reached === this.#recorded;
  }

  done(): Promise<void> {
    return this.waiter.wait(this);
  }
}
