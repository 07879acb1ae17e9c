import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { InvalidRequest, OutOfMemory } from '../../contract/errors.js';
import { fileStamps } from '../checkpoint/file-stamps.js';
import { BackgroundWork } from '../runtime/cuda/background-work.js';
import { type CudaDriver, roundUp } from '../runtime/cuda/driver.js';
import type { HostCache } from '../runtime/cuda/host-cache.js';
import { PinnedFiles } from '../runtime/cuda/pinned-files.js';
import { WeightArena } from '../runtime/cuda/weight-arena.js';
import { type WantedWeights, weightsKey } from '../runtime/cuda/weight-source.js';
import { streamWeights } from '../runtime/cuda/weight-stream.js';
import { tellSpan } from '../spans.js';
import { type HoldingEvent, type HoldingState, nextHoldingState } from './keeper-states.js';

export interface HoldingsOptions {
  readonly driver: CudaDriver;
  /** What is left free beside weights, as long as there are some that nobody maps. Default: a quarter of the device. */
  readonly spareBytes?: number;
  /** Pinned memory that weights pass through. Default: see `streamWeights`. */
  readonly bufferBytes?: number;
  /** Where copies of files may lie. Default: nowhere. */
  readonly cache?: HostCache;
  /** Told which files could not be pinned, so that they come more slowly than they could, and why. */
  readonly onUnpinned?: (reasons: readonly string[]) => void;
}

/** One component's weights on the device. */
export class Holding {
  /** Bytes that were read for it. */
  streamedBytes = 0;
  /** Up to there in its arena all is in place. */
  placedEnd = 0;
  /** Why it is failed. */
  failure: unknown;
  /** How many clients map it. */
  lentTo = 0;
  /** Its files when they were read: others of the same names later say nothing of it. */
  stamps: string | undefined;
  /** When it was loaded, or looked at again the last time, in `performance.now()`'s milliseconds. */
  checkedAt = 0;
  #use = 0;
  #usedAt = 0;
  #state: HoldingState = 'streaming';

  constructor(
    readonly key: string,
    readonly component: string,
    readonly arena: WeightArena,
    private readonly onChange: (holding: Holding) => void,
  ) {}

  /** In the order of use: larger is later. */
  get use(): number {
    return this.#use;
  }

  /** How long nobody has used it, in milliseconds; 0 while somebody maps it. */
  get idleMs(): number {
    return this.lentTo > 0 ? 0 : performance.now() - this.#usedAt;
  }

  used(use: number): void {
    this.#use = use;
    this.#usedAt = performance.now();
  }

  get state(): HoldingState {
    return this.#state;
  }

  change(event: HoldingEvent): void {
    this.#state = nextHoldingState(this.#state, event);
    this.onChange(this);
  }
}

/** A verification's chunk: what the event loop is blocked by is its digest. */
const VERIFY_BYTES = 4 * 2 ** 20;
/** A verification that gives way to a stream looks so often whether it is over. */
const WAY_PAUSE_MS = 50;

/**
 * All weights of a keeper: what is streaming, what is loaded, who maps it, and what goes first when room is needed.
 * It knows nothing of sockets.
 */
export class Holdings {
  readonly #holdings = new Map<string, Holding>();
  /** Failed or damaged ones that somebody still maps. */
  readonly #withdrawn = new Set<Holding>();
  /** To be streamed, in this order. */
  #waiting: Holding[] = [];
  /** What the stream that runs now writes to. */
  #streamed: ReadonlySet<Holding> = new Set();
  #isStreaming = false;
  #isChecking = false;
  readonly #pinned: PinnedFiles;
  /** Of what was let go for others' sake: it may be wanted again. */
  readonly #toPin = new Set<string>();
  readonly #pinning = new BackgroundWork<void>();
  #uses = 0;
  readonly #listeners = new Set<(holding: Holding) => void>();
  #onPlaced: (holding: Holding) => void = () => {};

  constructor(private readonly options: HoldingsOptions) {
    const { driver, cache } = options;
    this.#pinned = new PinnedFiles(driver, cache && { cache });
  }

  /** Told of every change of a state. @returns a function that ends that */
  onChange(listener: (holding: Holding) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** @param listener told when more of a holding's beginning is in place, the only one */
  onPlaced(listener: (holding: Holding) => void): void {
    this.#onPlaced = listener;
  }

  /** The least recently used first. */
  all(): Holding[] {
    return [...this.#holdings.values(), ...this.#withdrawn].sort((a, b) => a.use - b.use);
  }

  find(key: string): Holding | undefined {
    return this.#holdings.get(key);
  }

  /**
   * Has weights on the device: those that are not there yet are streamed, in this order, behind those that are on their
   * way already.
   * @returns all of them, not lent yet
   * @throws OutOfMemory where the device has no room for them, even without all that nobody maps: then nothing is taken
   * @throws InvalidRequest where a plan leaves its memory
   */
  hold(wanted: readonly WantedWeights[]): Holding[] {
    const keys = wanted.map((weights) => weightsKey(weights));
    const missing = wanted.filter((_, index) => !this.#holdings.has(keys[index] as string));
    for (const weights of missing) requirePlan(weights, this.options.driver.granularity);
    const needed = missing.reduce((sum, { mappedBytes }) => sum + mappedBytes, 0);
    const { driver, spareBytes = driver.facts.totalBytes / 4 } = this.options;
    if (needed > 0) this.#evictUntil(needed + spareBytes, { kept: new Set(keys) });
    const added: Holding[] = [];
    try {
      for (const weights of missing) added.push(this.#take(weights));
    } catch (error) {
      for (const { arena } of added) arena.close();
      throw error;
    }
    for (const holding of added) this.#holdings.set(holding.key, holding);
    this.#waiting.push(...added);
    void this.#stream();
    return keys.map((key) => {
      const holding = this.#holdings.get(key) as Holding;
      holding.used(++this.#uses);
      return holding;
    });
  }

  lend(holding: Holding): void {
    holding.lentTo++;
    holding.used(++this.#uses);
  }

  giveBack(holding: Holding): void {
    if (holding.lentTo === 0) throw new Error(`${holding.component}: expected it to be lent`);
    holding.lentTo--;
    holding.used(++this.#uses);
    this.#dropIfWithdrawn(holding);
  }

  /** Stand for its memory, in the order of addresses; to be closed by the caller. */
  descriptorsOf({ arena }: Holding): number[] {
    return arena.pieces.map((piece) => this.options.driver.exportDescriptor(piece));
  }

  /** It is not what it should be. */
  damaged(holding: Holding): void {
    if (holding.state === 'streaming' || holding.state === 'loaded') this.#withdraw(holding, 'damaged');
  }

  /** Lets go what nobody maps. @returns how many bytes that frees */
  makeRoom(): number {
    const freed = this.#evictUntil(Number.POSITIVE_INFINITY);
    this.#pin();
    return freed;
  }

  /** Lets go what nobody has mapped for so long: it would keep others from the room that it takes. */
  evictIdle(idleMs: number): void {
    this.#evictUntil(Number.POSITIVE_INFINITY, { idleMs });
    if (!this.#isStreaming && !this.#pinning.isRunning) this.#pinned.releaseUnused(idleMs);
  }

  /**
   * Compares all bytes on the device with those of the files, at the speed of one core. Where they differ nobody gets
   * them any more.
   */
  async verify(holding: Holding): Promise<{ readonly isGood: boolean; readonly sha256: string }> {
    if (holding.state !== 'loaded') {
      throw new InvalidRequest(
        `expected weights that are loaded, those of ${holding.component} are ${holding.state}`,
      );
    }
    // Nobody may evict it meanwhile.
    this.lend(holding);
    try {
      const [expected, sha256] = await digestsOf(this.options.driver, holding.arena, async () => {
        while (this.#isStreaming) await setTimeout(WAY_PAUSE_MS);
      });
      const isGood = expected === sha256;
      if (!isGood) this.damaged(holding);
      return { isGood, sha256 };
    } finally {
      this.giveBack(holding);
    }
  }

  /**
   * Compares what nobody has compared for so long, one holding at a time, if its files are still those that it was read
   * from. What is streamed meanwhile comes first.
   * @returns what was compared, and whether it is what it should be; undefined where nothing is due
   */
  async verifyDue(
    ageMs: number,
  ): Promise<{ readonly holding: Holding; readonly isGood: boolean } | undefined> {
    if (this.#isChecking) return undefined;
    const due = this.all()
      .filter(({ state, checkedAt }) => state === 'loaded' && performance.now() - checkedAt >= ageMs)
      .sort((a, b) => a.checkedAt - b.checkedAt)[0];
    if (!due) return undefined;
    this.#isChecking = true;
    try {
      const now = await stampsOf(due.arena).catch(() => undefined);
      if (now === undefined || now !== due.stamps) return undefined;
      return { holding: due, isGood: (await this.verify(due)).isGood };
    } finally {
      due.checkedAt = performance.now();
      this.#isChecking = false;
    }
  }

  #take(weights: WantedWeights): Holding {
    const { component, layout } = weights;
    const arena = () => {
      const whole = { ...layout, offsets: new Map<string, number>() };
      // Components of several models may be streamed together: an arena's name is one of its own.
      return new WeightArena(this.options.driver, `${component} ${key.slice(0, 8)}`, whole, {
        shareable: true,
      });
    };
    const key = weightsKey(weights);
    const onChange = (holding: Holding) => {
      for (const listener of this.#listeners) listener(holding);
    };
    return new Holding(key, component, this.#withRoom(arena), onChange);
  }

  /** The driver may need more than it says is free. */
  #withRoom<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof OutOfMemory) || this.makeRoom() === 0) throw error;
      return work();
    }
  }

  /**
   * @param kept   keys of what must stay
   * @param idleMs how long what goes was not used at least
   */
  #evictUntil(
    freeBytes: number,
    { kept = new Set(), idleMs = 0 }: { readonly kept?: ReadonlySet<string>; readonly idleMs?: number } = {},
  ): number {
    let freed = 0;
    const before = this.options.driver.memory().freeBytes;
    for (const holding of this.all()) {
      if (before + freed >= freeBytes) break;
      const isNeeded = holding.lentTo > 0 || kept.has(holding.key) || holding.idleMs < idleMs;
      if (holding.state !== 'loaded' || isNeeded) continue;
      this.#holdings.delete(holding.key);
      freed += holding.arena.mappedBytes;
      holding.arena.close();
      holding.change('evict');
      if (idleMs > 0) continue;
      for (const { file } of holding.arena.plan) this.#toPin.add(file);
    }
    return freed;
  }

  #withdraw(holding: Holding, event: 'failed' | 'damaged'): void {
    this.#holdings.delete(holding.key);
    this.#withdrawn.add(holding);
    holding.change(event);
    this.#dropIfWithdrawn(holding);
  }

  #dropIfWithdrawn(holding: Holding): void {
    // A stream may still write there; it asks again when it is done.
    if (holding.lentTo > 0 || !this.#withdrawn.has(holding) || this.#streamed.has(holding)) return;
    this.#withdrawn.delete(holding);
    holding.arena.close();
    holding.change('dropped');
  }

  /** What was let go comes sooner when it is wanted again. Until a stream begins, and again when it has ended. */
  #pin(): void {
    if (this.#isStreaming || this.#toPin.size === 0) return;
    // Where the device fails, who needs it hears of that.
    void this.#pinning.begin(async (signal) => {
      const files = [...this.#toPin];
      const reasons = await this.#pinned.pin(files, { signal });
      for (const file of files) this.#toPin.delete(file);
      if (reasons.length > 0) this.options.onUnpinned?.(reasons);
    });
  }

  async #stream(): Promise<void> {
    if (this.#isStreaming) return;
    this.#isStreaming = true;
    await this.#pinning.stop('weights are to be streamed');
    try {
      while (this.#waiting.length > 0) {
        const batch = this.#waiting;
        this.#waiting = [];
        this.#streamed = new Set(batch);
        await this.#streamAll(batch);
        this.#streamed = new Set();
        for (const holding of batch) this.#dropIfWithdrawn(holding);
      }
    } finally {
      this.#isStreaming = false;
    }
    this.#pin();
  }

  async #streamAll(batch: readonly Holding[]): Promise<void> {
    const { driver, bufferBytes, cache } = this.options;
    const byName = new Map(batch.map((holding) => [holding.arena.component, holding]));
    const alive = batch.filter(({ state }) => state === 'streaming');
    const stream = streamWeights(
      driver,
      alive.map(({ arena }) => arena),
      {
        onPlaced: (component, end) => {
          const holding = byName.get(component);
          if (!holding) return;
          holding.placedEnd = end;
          this.#onPlaced(holding);
        },
        onProgress: ({ component, kind, ...span }) => {
          const holding = byName.get(component);
          if (holding && kind === 'copy') holding.streamedBytes += span.bytes;
          tellSpan(() => ({ name: `${kind} ${component}`, ...span }));
        },
        ...(bufferBytes !== undefined && { bufferBytes }),
        ...(cache && { cache }),
        pinned: this.#pinned,
      },
    );
    const arrivals = alive.map(async (holding) => {
      try {
        holding.stamps = await stampsOf(holding.arena).catch(() => undefined);
        await stream.loaded(holding.arena.component);
        holding.checkedAt = performance.now();
        if (holding.state === 'streaming') holding.change('loaded');
      } catch (error) {
        holding.failure = error;
        if (holding.state === 'streaming') this.#withdraw(holding, 'failed');
      }
    });
    await Promise.allSettled([...arrivals, stream.done]);
  }
}

/** A plan that leads out of its memory would be a copy to somebody else's. */
function requirePlan({ component, mappedBytes, layout }: WantedWeights, granularity: number): void {
  const { plan, extent } = layout;
  const isWhole = mappedBytes === roundUp(Math.max(extent, 1), granularity);
  const isInside = plan.every(({ arenaOffset, length }, index) => {
    const next = plan[index + 1]?.arenaOffset ?? extent;
    return arenaOffset + length <= next;
  });
  if (!isWhole || !isInside) {
    throw new InvalidRequest(
      `expected a plan that fills the memory of ${component} from its beginning to its end, got one that does not fit [extent=${extent}, mapped=${mappedBytes}, granularity=${granularity}]`,
    );
  }
}

/** SHA-256 of an arena's weights in the order of their plan: as the files have them, and as the device has them. */
async function digestsOf(
  driver: CudaDriver,
  arena: WeightArena,
  giveWay: () => Promise<void>,
): Promise<[files: string, device: string]> {
  const [ofFiles, ofDevice] = [createHash('sha256'), createHash('sha256')];
  const files = new Map<string, FileHandle>();
  const pinned = driver.allocatePinned(VERIFY_BYTES);
  const stream = driver.createStream();
  const event = driver.createEvent();
  const part = Buffer.alloc(VERIFY_BYTES);
  try {
    for (const { file, fileOffset, arenaOffset, length } of arena.plan) {
      const handle = files.get(file) ?? (await open(file, 'r'));
      files.set(file, handle);
      for (let at = 0; at < length; ) {
        await giveWay();
        const bytes = Math.min(VERIFY_BYTES, length - at);
        stream.copyToHost(pinned.address, arena.address + BigInt(arenaOffset + at), bytes);
        stream.record(event);
        const [{ bytesRead }] = await Promise.all([
          handle.read(part, 0, bytes, fileOffset + at),
          event.done(),
        ]);
        ofFiles.update(part.subarray(0, bytesRead));
        ofDevice.update(pinned.bytes.subarray(0, bytes));
        at += bytes;
      }
    }
    return [ofFiles.digest('hex'), ofDevice.digest('hex')];
  } finally {
    for (const handle of [event, stream, pinned]) handle.close();
    for (const handle of files.values()) await handle.close();
  }
}

function stampsOf({ plan }: WeightArena): Promise<string> {
  return fileStamps(new Set(plan.map(({ file }) => file)));
}
