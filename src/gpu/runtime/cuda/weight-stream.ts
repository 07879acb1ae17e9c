import { createHash, type Hash } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import type { CudaDriver, CudaEvent, CudaStream, PinnedBuffer } from './driver.js';
import type { CachedFile, HostCache } from './host-cache.js';
import type { PinnedFile, PinnedFiles } from './pinned-files.js';
import { Poller } from './poller.js';
import type { WeightArena } from './weight-arena.js';
import { DIRECT_UNIT, WeightFile } from './weight-file.js';
import type { CopyRun } from './weight-layout.js';

/** Something that was done for a stream. */
export interface StreamProgress {
  readonly component: string;
  readonly kind: 'read' | 'copy';
  /** Milliseconds of `performance.now()`: a read from when it was asked for, a copy from when it was given to the device. */
  readonly from: number;
  /** When we saw that it was done. */
  readonly to: number;
  readonly bytes: number;
}

export interface WeightStreamOptions {
  /** Bytes of pinned host memory, all that the stream takes. Default: 64 MiB. */
  readonly bufferBytes?: number;
  /** Bytes of a read and of a copy, a multiple of 4096. Default: 2 MiB, or `bufferBytes` where that is less. */
  readonly chunkBytes?: number;
  /** Streams of the device that copies go through. Default: 2. */
  readonly streams?: number;
  /** Reads past the page cache, for fast disks; where the file system can't, through it. Default: false. */
  readonly direct?: boolean;
  /** Whether to digest what is read, which then is everything, at the speed of one core. Default: false. */
  readonly checksum?: boolean;
  /** Where copies of files may lie that are read in their place. */
  readonly cache?: HostCache;
  /**
   * Files that the device may read by itself: nothing of what is pinned there is read and copied first. Until the stream
   * ends nothing else may be pinned there, nor let go.
   */
  readonly pinned?: PinnedFiles;
  readonly signal?: AbortSignal;
  /** Called when more of a component's beginning is in place, with where that ends in its arena. */
  readonly onPlaced?: (component: string, end: number) => void;
  /** Called for each read and each copy, as it is done. */
  readonly onProgress?: (progress: StreamProgress) => void;
}

export interface StreamedComponent {
  readonly component: string;
  /** What was streamed now: less than all where an earlier stream brought a part. */
  readonly bytes: number;
  /** From the stream's beginning until the component's last byte was in its place. */
  readonly milliseconds: number;
  /** Of its bytes in the plan's order, in hexadecimal; undefined where no checksum was asked for. */
  readonly sha256: string | undefined;
}

export interface WeightStream {
  /**
   * Resolves when the last byte of that component is in its place. Rejects with what the stream failed with, after
   * everything that it used was given back.
   */
  loaded(component: string): Promise<StreamedComponent>;
  /** All of them, in their order. Rejects as `loaded` does. */
  readonly done: Promise<readonly StreamedComponent[]>;
}

/**
 * Measured with an H100: its host moved 42.6 to 43.3 GB/s from tmpfs through 64 MiB of write-only memory in chunks of 2,
 * 35 to 42 through 128 in chunks of 4; through 64 MiB that the processor's caches know of, 38 to 41.
 */
const BUFFER_BYTES = 64 * 2 ** 20;
const CHUNK_BYTES = 2 * 2 ** 20;
const STREAMS = 2;
/** Pinning 64 MiB takes 20 to 40 ms, in which nothing else happens here: reads into the first piece begin before the rest. */
const RING_PIECE_BYTES = 8 * 2 ** 20;
/**
 * Of files that are pinned: an H100 took 53 GB/s in copies of 16 MiB, as in larger ones; 49 in copies of 2. More at a
 * time than streams, so that none of them runs dry.
 */
const PINNED_CHUNK_BYTES = 16 * 2 ** 20;
const PINNED_CHUNKS_AT_A_TIME = 8;

/**
 * Copies weights from their files into their arenas, in the order of the arenas: many reads at a time straight into
 * pinned memory, from there to the device through several streams. How many reads run at a time is a matter of
 * `UV_THREADPOOL_SIZE`. What `pinned` has goes to the device from where it lies, unless it is to be digested.
 *
 * Where it fails, or `signal` is aborted, components that are not complete don't count as loaded; a second call goes on
 * with what is missing. Both reject with `CheckpointInvalid` (a file is missing or too short), `StorageUnavailable` (it
 * can't be read), what the driver throws, or the signal's reason.
 * @param arenas mapped ones, of different names
 */
export function streamWeights(
  driver: CudaDriver,
  arenas: readonly WeightArena[],
  options: WeightStreamOptions = {},
): WeightStream {
  const bufferBytes = options.bufferBytes ?? BUFFER_BYTES;
  const chunkBytes = options.chunkBytes ?? Math.min(CHUNK_BYTES, bufferBytes);
  if (chunkBytes < DIRECT_UNIT || chunkBytes % DIRECT_UNIT !== 0 || bufferBytes < chunkBytes) {
    throw new RangeError(
      `expected chunks of a multiple of ${DIRECT_UNIT} bytes, and room for one, got chunks of ${chunkBytes} in ${bufferBytes}`,
    );
  }
  const names = arenas.map(({ component }) => component);
  if (new Set(names).size < names.length)
    throw new Error(`expected different components, got ${names.join(', ')}`);

  const run = new StreamRun(driver, arenas, options, chunkBytes, Math.floor(bufferBytes / chunkBytes));
  const done = run.run();
  // Whoever waits for it hears of it; nobody has to wait for all of them.
  done.catch(() => {});
  return {
    done,
    loaded: (component) => {
      const load = run.loads.find(({ arena }) => arena.component === component);
      if (!load) throw new Error(`expected one of ${names.join(', ')}, got ${component}`);
      return load.promise;
    },
  };
}

/** What is to do for one component. */
class ComponentLoad {
  readonly promise: Promise<StreamedComponent>;
  readonly bytes: number;
  readonly hash: Hash | undefined;
  /** Bytes that are not in their place (and digested) yet. */
  remaining: number;
  /** Chunks in their order, from the first that is not in its place. */
  readonly #chunks: { readonly end: number; isPlaced: boolean }[] = [];
  /** What was begun and not finished, once the stream has failed. */
  readonly failed: CopyRun[] = [];
  isFinished = false;
  #resolve: (streamed: StreamedComponent) => void = () => {};
  #reject: (reason: unknown) => void = () => {};

  constructor(
    readonly arena: WeightArena,
    readonly runs: readonly CopyRun[],
    checksum: boolean,
  ) {
    this.bytes = runs.reduce((sum, { length }) => sum + length, 0);
    this.remaining = this.bytes;
    this.hash = checksum ? createHash('sha256') : undefined;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.promise.catch(() => {});
  }

  /** @returns what to tell `place` when the chunk that ends there is in its place */
  begin(end: number): { readonly end: number; isPlaced: boolean } {
    const chunk = { end, isPlaced: false };
    this.#chunks.push(chunk);
    return chunk;
  }

  /** @returns up to where in the arena all is in place, if that is further than before */
  place(chunk: { isPlaced: boolean }): number | undefined {
    chunk.isPlaced = true;
    let end: number | undefined;
    while (this.#chunks[0]?.isPlaced) end = this.#chunks.shift()?.end;
    return end;
  }

  finish(milliseconds: number): void {
    this.isFinished = true;
    this.arena.endLoading([]);
    this.#resolve({
      component: this.arena.component,
      bytes: this.bytes,
      milliseconds,
      sha256: this.hash?.digest('hex'),
    });
  }

  reject(reason: unknown): void {
    this.#reject(reason);
  }
}

/** A chunk on its way, and pinned memory for it where it does not lie in such. Made once, used again and again. */
class Slot {
  load!: ComponentLoad;
  file!: WeightFile;
  path = '';
  fileOffset = 0;
  arenaOffset = 0;
  length = 0;
  /** The chunk as its load knows it. */
  chunkOfLoad!: { isPlaced: boolean };
  /** Its place in the order of all chunks. */
  sequence = 0;
  /** Where the chunk begins in the slot's memory. */
  skip = 0;
  /** When its read, then when its copy began. */
  since = 0;
  isRead = false;
  isCopied = false;
  isHashed = false;

  /** @param memory undefined where it is for chunks that are pinned already */
  constructor(
    readonly event: CudaEvent,
    readonly memory?: { readonly address: bigint; readonly bytes: Uint8Array },
  ) {}

  chunk(): CopyRun {
    return {
      file: this.path,
      fileOffset: this.fileOffset,
      arenaOffset: this.arenaOffset,
      length: this.length,
    };
  }
}

class StreamRun {
  readonly loads: readonly ComponentLoad[];
  readonly #files = new Map<string, WeightFile>();
  readonly #copies: CachedFile[] = [];
  readonly #pinned = new Map<string, PinnedFile>();
  /** Those that have memory, which chunks are read into: no more than there are such chunks, since pinning takes time. */
  #slots = 0;
  readonly #all: Slot[] = [];
  readonly #idle: Slot[] = [];
  /** Those without, for chunks that are pinned where they lie. */
  readonly #idleWithout: Slot[] = [];
  /** Chunks that were begun and are neither in place nor abandoned. */
  #underWay = 0;
  /** Chunks whose copies are under way, a stream, in their order. */
  readonly #copying: Slot[][] = [];
  readonly #streams: CudaStream[] = [];
  readonly #events: CudaEvent[] = [];
  readonly #poller = new Poller(() => this.#look());
  readonly #ring: PinnedBuffer[] = [];
  #startedAt = 0;
  #nextStream = 0;
  /** The next chunk begins there. */
  #load = 0;
  #run = 0;
  #offset = 0;
  /** How many chunks were begun. */
  #sequence = 0;
  /** Chunks by their sequence, for the digest; the chunk that it has to go on with. */
  readonly #bySequence: (Slot | undefined)[] = [];
  #toHash = 0;
  #failure: { readonly reason: unknown } | undefined;
  #settle: () => void = () => {};

  constructor(
    private readonly driver: CudaDriver,
    arenas: readonly WeightArena[],
    private readonly options: WeightStreamOptions,
    private readonly chunkBytes: number,
    private readonly mostSlots: number,
  ) {
    const checksum = options.checksum ?? false;
    const loads: ComponentLoad[] = [];
    try {
      for (const arena of arenas) {
        loads.push(new ComponentLoad(arena, arena.beginLoading({ everything: checksum }), checksum));
      }
    } catch (error) {
      for (const { arena, runs } of loads) arena.endLoading(runs);
      throw error;
    }
    this.loads = loads;
  }

  async run(): Promise<StreamedComponent[]> {
    const { signal } = this.options;
    const onAbort = () => this.#fail(signal?.reason);
    try {
      this.#startedAt = performance.now();
      for (const load of this.loads) if (load.bytes === 0) load.finish(0);
      this.#skipFinished();
      signal?.throwIfAborted();
      signal?.addEventListener('abort', onAbort);
      await this.#openFiles();
      // After the files: the stream then ends before it has taken anything.
      if (this.#load < this.loads.length) await this.#copyAll();
    } catch (error) {
      this.#fail(error);
    } finally {
      signal?.removeEventListener('abort', onAbort);
      await this.#giveBack().catch((error: unknown) => this.#fail(error));
    }
    if (this.#failure) {
      this.#rejectUnfinished(this.#failure.reason);
      throw this.#failure.reason;
    }
    return Promise.all(this.loads.map(({ promise }) => promise));
  }

  async #openFiles(): Promise<void> {
    const { direct = false, cache, pinned, checksum } = this.options;
    for (const file of new Set(this.loads.flatMap(({ runs }) => runs.map((run) => run.file)))) {
      // The cache saves time and nothing else: whatever is wrong with it, the file itself is there.
      const copy = await cache?.find(file).catch(() => undefined);
      if (copy) this.#copies.push(copy);
      this.#files.set(file, await WeightFile.open(copy?.path ?? file, { direct: direct && !copy }));
      // A digest is made of what was read.
      const there = checksum ? undefined : await pinned?.find(file);
      if (there) this.#pinned.set(file, there);
    }
  }

  /** Resolves when nothing is under way any more: all is done, or what was begun before the failure. */
  async #copyAll(): Promise<void> {
    if (this.#failure) return;
    for (let index = 0; index < (this.options.streams ?? STREAMS); index++) {
      this.#streams.push(this.driver.createStream());
      this.#copying.push([]);
    }
    const { read, pinned } = this.#countChunks();
    this.#slots = Math.min(this.mostSlots, read);
    if (this.#slots > 0) this.#growRing();
    for (let index = 0; index < Math.min(PINNED_CHUNKS_AT_A_TIME, pinned); index++) {
      this.#idleWithout.push(new Slot(this.#createEvent()));
    }
    await new Promise<void>((resolve) => {
      this.#settle = resolve;
      this.#pump();
      setImmediate(this.#growFurther);
    });
  }

  /** Takes the ring's next piece. */
  #growRing(): void {
    // A digest is made of what lies there.
    const writeOnly = !this.options.checksum;
    const most = Math.max(1, Math.floor(RING_PIECE_BYTES / this.chunkBytes));
    const slots = Math.min(most, this.#slots - this.#all.length);
    const piece = this.driver.allocatePinned(slots * this.chunkBytes, { writeOnly });
    this.#ring.push(piece);
    for (let index = 0; index < slots; index++) {
      const at = index * this.chunkBytes;
      const bytes = piece.bytes.subarray(at, at + this.chunkBytes);
      const slot = new Slot(this.#createEvent(), { address: piece.address + BigInt(at), bytes });
      this.#all.push(slot);
      this.#idle.push(slot);
    }
  }

  /** Once reads are under way: they go on meanwhile. */
  readonly #growFurther = () => {
    const isOver = this.#failure !== undefined || this.#load === this.loads.length;
    if (isOver || this.#all.length === this.#slots) return;
    try {
      this.#growRing();
    } catch (error) {
      this.#fail(error);
      // Nothing may be under way that would notice.
      if (this.#underWay === 0) this.#settle();
      return;
    }
    this.#pump();
    setImmediate(this.#growFurther);
  };

  #createEvent(): CudaEvent {
    const event = this.driver.createEvent();
    this.#events.push(event);
    return event;
  }

  /** Begins as many chunks as there are free slots for, in their order. */
  #pump(): void {
    while (this.#failure === undefined && this.#load < this.loads.length) {
      const load = this.loads[this.#load] as ComponentLoad;
      const { length, source } = this.#chunkAt(load.runs[this.#run] as CopyRun, this.#offset);
      const slot = (source === undefined ? this.#idle : this.#idleWithout).pop();
      if (!slot) return;
      this.#underWay++;
      this.#assignNext(slot, length);
      if (slot.memory) {
        slot.file.read(slot.memory.bytes, slot.fileOffset, slot.length, (error, skip) =>
          this.#onRead(slot, error, skip),
        );
      } else {
        this.#copy(slot, source as bigint);
      }
    }
    if (this.#underWay === 0) this.#settle();
  }

  /**
   * The chunk of a run that begins there. Chunks end where the file's own multiples of the chunk size do, so that a
   * chunk's blocks never need more room than a slot has; and where one piece of pinned memory does, since no copy may
   * reach from one into the next.
   */
  #chunkAt(run: CopyRun, offset: number): { readonly length: number; readonly source: bigint | undefined } {
    const fileOffset = run.fileOffset + offset;
    const there = this.#pinned.get(run.file)?.at(fileOffset);
    const unit = there ? PINNED_CHUNK_BYTES : this.chunkBytes;
    const toBorder = Math.min(unit - (fileOffset % unit), there?.bytes ?? unit);
    return { length: Math.min(run.length - offset, toBorder), source: there?.address };
  }

  #countChunks(): { readonly read: number; readonly pinned: number } {
    const counts = { read: 0, pinned: 0 };
    for (const run of this.loads.flatMap(({ runs }) => runs)) {
      for (let offset = 0; offset < run.length; ) {
        const { length, source } = this.#chunkAt(run, offset);
        counts[source === undefined ? 'read' : 'pinned']++;
        offset += length;
      }
    }
    return counts;
  }

  /** Gives the next chunk to a slot. */
  #assignNext(slot: Slot, length: number): void {
    const load = this.loads[this.#load] as ComponentLoad;
    const run = load.runs[this.#run] as CopyRun;
    slot.load = load;
    slot.path = run.file;
    slot.file = this.#files.get(run.file) as WeightFile;
    slot.fileOffset = run.fileOffset + this.#offset;
    slot.arenaOffset = run.arenaOffset + this.#offset;
    slot.length = length;
    slot.chunkOfLoad = load.begin(slot.arenaOffset + length);
    slot.sequence = this.#sequence++;
    slot.isRead = false;
    slot.isCopied = false;
    slot.isHashed = load.hash === undefined;
    this.#bySequence[slot.sequence % this.#slots] = slot;
    slot.since = performance.now();

    this.#offset += length;
    if (this.#offset < run.length) return;
    this.#offset = 0;
    this.#run++;
    if (this.#run < load.runs.length) return;
    this.#run = 0;
    this.#load++;
    this.#skipFinished();
  }

  /** Components of which nothing was missing. */
  #skipFinished(): void {
    while (this.loads[this.#load]?.isFinished) this.#load++;
  }

  #onRead(slot: Slot, error: Error | undefined, skip: number): void {
    if (error) this.#fail(error);
    if (this.#failure) {
      this.#abandon(slot);
      return;
    }
    const now = performance.now();
    this.#report(slot, 'read', now);
    slot.skip = skip;
    slot.isRead = true;
    slot.since = now;
    this.#copy(slot, (slot.memory?.address as bigint) + BigInt(skip));
    if (this.options.checksum && this.#hashOn()) this.#pump();
  }

  #copy(slot: Slot, source: bigint): void {
    const index = this.#nextStream;
    this.#nextStream = (index + 1) % this.#streams.length;
    const stream = this.#streams[index] as CudaStream;
    try {
      stream.copyToDevice(slot.load.arena.address + BigInt(slot.arenaOffset), source, slot.length);
      stream.record(slot.event);
    } catch (cause) {
      this.#fail(cause);
      this.#abandon(slot);
      return;
    }
    this.#copying[index]?.push(slot);
    this.#poller.wake();
  }

  /** Looks which copies are done. */
  #look(): { changed: boolean; pending: boolean } {
    let changed = false;
    let pending = false;
    for (const copying of this.#copying) {
      for (let slot = copying[0]; slot; slot = copying[0]) {
        let isDone = false;
        try {
          isDone = slot.event.isDone();
        } catch (error) {
          this.#fail(error);
          for (const lost of copying.splice(0)) this.#abandon(lost);
          changed = true;
          break;
        }
        if (!isDone) break;
        copying.shift();
        slot.isCopied = true;
        this.#report(slot, 'copy', performance.now());
        this.#completeIfDone(slot);
        changed = true;
      }
      pending ||= copying.length > 0;
    }
    if (changed) this.#pump();
    return { changed, pending };
  }

  /**
   * Digests what is there, in the order of the plan. A chunk stays in its slot until it is digested, so no two of those
   * that wait have the same place in `#bySequence`.
   * @returns whether a slot became free
   */
  #hashOn(): boolean {
    const idle = this.#idle.length;
    for (;;) {
      const slot = this.#bySequence[this.#toHash % this.#slots];
      if (slot?.sequence !== this.#toHash || !slot.isRead || this.#failure) return this.#idle.length > idle;
      this.#toHash++;
      slot.load.hash?.update(slot.memory?.bytes.subarray(slot.skip, slot.skip + slot.length) as Uint8Array);
      slot.isHashed = true;
      this.#completeIfDone(slot);
    }
  }

  #completeIfDone(slot: Slot): void {
    if (!slot.isCopied) return;
    if (!slot.isHashed) {
      // After a failure nothing is digested any more.
      if (this.#failure) this.#abandon(slot);
      return;
    }
    this.#rest(slot);
    const { load } = slot;
    load.remaining -= slot.length;
    const placed = load.place(slot.chunkOfLoad);
    if (placed !== undefined) this.options.onPlaced?.(load.arena.component, placed);
    if (load.remaining === 0) load.finish(performance.now() - this.#startedAt);
  }

  /** The chunk in the slot is not, or not certainly, in its place. */
  #abandon(slot: Slot): void {
    slot.isCopied = false;
    slot.load.failed.push(slot.chunk());
    this.#rest(slot);
    if (this.#underWay === 0) this.#settle();
  }

  #rest(slot: Slot): void {
    this.#underWay--;
    (slot.memory ? this.#idle : this.#idleWithout).push(slot);
  }

  #fail(reason: unknown): void {
    if (this.#failure) return;
    this.#failure = { reason };
    for (const slot of this.#all) if (slot.isCopied && !slot.isHashed) this.#abandon(slot);
  }

  #rejectUnfinished(reason: unknown): void {
    this.loads.forEach((load, index) => {
      if (load.isFinished) return;
      load.arena.endLoading([...load.failed, ...this.#neverBegun(load, index)]);
      load.reject(reason);
    });
  }

  #neverBegun({ runs }: ComponentLoad, index: number): CopyRun[] {
    if (index < this.#load) return [];
    if (index > this.#load) return [...runs];
    return runs.slice(this.#run).map((run, at) => {
      if (at > 0) return run;
      return {
        file: run.file,
        fileOffset: run.fileOffset + this.#offset,
        arenaOffset: run.arenaOffset + this.#offset,
        length: run.length - this.#offset,
      };
    });
  }

  async #giveBack(): Promise<void> {
    for (const event of this.#events) event.close();
    for (const stream of this.#streams) stream.close();
    for (const piece of this.#ring) piece.close();
    for (const file of this.#files.values()) await file.close();
    for (const copy of this.#copies) copy.close();
  }

  #report(slot: Slot, kind: StreamProgress['kind'], to: number): void {
    this.options.onProgress?.({
      component: slot.load.arena.component,
      kind,
      from: slot.since,
      to,
      bytes: slot.length,
    });
  }
}
