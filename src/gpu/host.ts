import '../async-dispose.js';
import { availableParallelism } from 'node:os';
import { setTimeout } from 'node:timers/promises';
import type { Logger } from 'pino';
import { DeviceBusy, DeviceLost, EngineCrashed, OutOfMemory, RenderError } from '../contract/errors.js';
import type { RenderItem, RenderStages, StepProgress } from '../contract/job.js';
import type { Preview } from './engine/preview.js';
import type { Hello, Stats } from './engine/protocol.js';
import { type DeviceLock, deviceLockFile } from './host/device-lock.js';
import { EngineConnection } from './host/engine-connection.js';
import { type EngineProcess, type EngineProcessOptions, FreshProcess } from './host/engine-process.js';
import { type EngineEvent, type EngineState, INITIAL_STATE, transition } from './host/engine-states.js';
import { keeperBeside } from './host/keeper-beside.js';
import { ensureKeeper, type KeeperOptions, type KeeperStart } from './host/keeper-process.js';
import { Residents, type Turn, type Turns } from './host/residents.js';
import type { Device } from './runtime/session.js';
import { type WeightOptions, weightOptionsFor } from './runtime/weight-options.js';
import type { Criu } from './snapshot/criu.js';
import type { StartMode } from './snapshot/start-mode.js';
import {
  type HeldForRestore,
  isSnapshotsFault,
  noStarts,
  type SnapshotPrograms,
  SnapshotStarter,
  type Starts,
} from './snapshot/starter.js';
import { openSnapshotStore } from './snapshot/store.js';
import { Unusable } from './snapshot/unusable.js';

export interface EngineHostOptions {
  /** The checkpoint's folder. */
  readonly checkpoint: string;
  /** The model's name, as requests and queues have it. */
  readonly model: string;
  readonly device: Device;
  /** Where built graphs and digests are kept between lives. */
  readonly cacheFolder: string;
  /** Threads of the CPU runtime. Default: all that the machine offers. */
  readonly threads?: number;
  /** How weights get to a GPU. Default: see `WeightOptions`. */
  readonly weights?: WeightOptions;
  /**
   * Whether a keeper holds the weights on the GPU beside the engines, and from one to the next. Default: true for a GPU;
   * there is none for the CPU.
   */
  readonly keeper?: boolean;
  /** How long a keeper stays with nobody connected, in seconds; 0: until it is stopped. Default: 600. */
  readonly keepSeconds?: number;
  /** The folder of keepers, this user's own. Default: `temporal-diffusion-UID` among the temporary files. */
  readonly keeperFolder?: string;
  /** Whether no other engine may run on this device. Default: true for a GPU, false for the CPU. */
  readonly exclusive?: boolean;
  /** The engines that this one shares its device with. Default: none. */
  readonly residents?: Residents;
  /** What keeps everybody else's engines from that device, in the place of `exclusive`. */
  readonly lock?: DeviceLock;
  /** Starts an engine's process. Default: one of this package. */
  readonly spawn?: (options: EngineProcessOptions) => Promise<EngineProcess>;
  /** Sees to a keeper beside an engine's start. Default: one of this package; none where engines are others. */
  readonly startKeeper?: (options: KeeperOptions) => Promise<KeeperStart>;
  /** How long a start may take, in milliseconds. Default: 120,000. */
  readonly startTimeoutMs?: number;
  /** How long an engine at work may say nothing before it counts as stalled, in milliseconds. Default: 60,000. */
  readonly stallMs?: number;
  /** How long a cancelled render may go on before its engine is killed, in milliseconds. Default: 2,000. */
  readonly cancelGraceMs?: number;
  /** Bytes of data that the engine may have, without what V8 reserves for code. Default: no limit but the machine's. */
  readonly memoryLimitBytes?: number;
  /** Whether engines are restored from a snapshot; where one can't be, they start fresh all the same. Default: fresh. */
  readonly start?: StartMode;
  /** Where snapshots are. Default: `snapshots` in the cache folder. */
  readonly snapshotFolder?: string;
  /** How long a restore may take before the engine starts fresh, in milliseconds. Default: 10,000. */
  readonly restoreTimeoutMs?: number;
  /** How long the engine must have had nothing to do before a snapshot is made beside it, in milliseconds. Default: 5,000. */
  readonly snapshotAfterIdleMs?: number;
  /** Default: found in the cache folder or on the PATH. */
  readonly criu?: Criu;
  /** What is run for snapshots. Default: this package's engine and checkpoint helper. */
  readonly snapshotPrograms?: SnapshotPrograms;
  readonly observer?: EngineObserver;
  readonly log: Logger;
}

/** Told how engines come and go, for metrics. It must not throw. */
export interface EngineObserver {
  /** An engine can draw. */
  started(engine: LoadedEngine): void;
  /** One was lost while it started, idled or drew; not one that was asked to end. */
  lost(reason: unknown): void;
}

export interface RenderOptions {
  /** One batch: all share width, height and steps. */
  readonly items: readonly RenderItem[];
  readonly onStep?: (progress: StepProgress, preview?: Preview) => void;
  /** Whether steps come with previews, where the model has them. Default: false. */
  readonly previews?: boolean;
  /** Whose render it is, for the engine's log. */
  readonly about?: Readonly<Record<string, string>>;
  /** Aborting stops the render before its next step; `render` then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

export interface RenderedImage {
  readonly index: number;
  readonly seed: number;
  readonly width: number;
  readonly height: number;
  /** width × height × 3 bytes, 8-bit RGB, rows from the top. */
  readonly pixels: Buffer;
  readonly stages: RenderStages;
  /** Too little memory made it be decoded in tiles: not to the bit what one piece would have been. */
  readonly inTiles?: true | undefined;
  /** Of the model of the engine that drew it: the next engine may find another one. */
  readonly modelDigest: string;
  /** The engine that drew it: of a batch that was halved, the second half is another one's. */
  readonly engine: LoadedEngine;
}

/** What an engine said when it was loaded. */
export interface LoadedEngine extends Omit<Hello, 'start'> {
  /** How it came to be able to draw the last time. */
  readonly start: Hello['start'] | 'resumed';
  /** When it did, in milliseconds since 1970. */
  readonly readyAt: number;
}

/**
 * The worker's side of one engine process: starts it when it is first asked for, watches it, and from then on starts
 * another one whenever it is lost. Renders one batch at a time; further calls wait.
 */
export interface EngineHost extends AsyncDisposable {
  readonly state: EngineState;
  /** How its engines have started so far. */
  readonly starts: Starts;
  /**
   * Resolves when an engine is loaded, starting one where there is none.
   * @throws CheckpointInvalid, EngineCrashed, EngineStalled, DeviceBusy, DeviceLost, OutOfMemory: why this start failed
   */
  ready(): Promise<LoadedEngine>;
  /**
   * An engine in standby resumes first.
   * @throws DeviceBusy where it can't; the `RenderError` that the engine reports, or that its end means
   */
  render(options: RenderOptions): Promise<RenderedImage[]>;
  stats(): Promise<Stats>;
  /**
   * Has the engine give the device's memory back, after the renders that were asked for before: standby. What it has on
   * the CPU stays. Without an engine there is nothing to do.
   */
  release(): Promise<void>;
  /**
   * Has the engine take that memory again, or starts one where there is none; weights are then on their way.
   * @throws DeviceBusy where there is no room for it: it stays in standby; why it could not be started
   */
  resume(): Promise<void>;
  /** Ends the engine. Idempotent. */
  close(): Promise<void>;
}

/** @throws InvalidRequest where `weights` make no sense, or the device is the CPU */
export function createEngineHost(options: EngineHostOptions): EngineHost {
  weightOptionsFor(options.device, options.weights ?? {});
  return new Host(options);
}

const START_TIMEOUT_MS = 120_000;
const STALL_MS = 60_000;
const CANCEL_GRACE_MS = 2_000;
const HEALTH_INTERVAL_MS = 15_000;
const SNAPSHOT_AFTER_IDLE_MS = 5_000;
const QUIET_PAUSE_MS = 250;
/** Before there is another look for memory that others had: a process that ends gives it back in a moment. */
const ROOM_PAUSES_MS = [100, 400, 1_500];

class Host implements EngineHost {
  #state: EngineState = INITIAL_STATE;
  #engine: EngineConnection | undefined;
  #starting: Promise<EngineConnection> | undefined;
  /** The process that is starting: closing the host must not wait for its model. */
  #process: EngineProcess | undefined;
  readonly #turns: Turns;
  readonly #closing = new AbortController();
  #health: NodeJS.Timeout | undefined;
  readonly starts: Starts = noStarts();
  readonly #starter: SnapshotStarter | undefined;
  /** When it last had something to do. */
  #renderedAt = performance.now();
  /** The snapshot that is being made beside the first engine that had to start fresh. */
  #learning: Promise<void> | undefined;

  constructor(private readonly options: EngineHostOptions) {
    this.#starter = starterOf(options);
    const { residents = new Residents() } = options;
    this.#turns = residents.admit({
      isResident: () => MEMORY_STATES.has(this.#state.name),
      release: () => this.#giveBack(),
    });
  }

  get state(): EngineState {
    return this.#state;
  }

  async ready(): Promise<LoadedEngine> {
    return (await this.#running()).hello;
  }

  async render(options: RenderOptions): Promise<RenderedImage[]> {
    const { signal: closing } = this.#closing;
    const signal = options.signal ? AbortSignal.any([options.signal, closing]) : closing;
    for (;;) {
      signal.throwIfAborted();
      const engine = await this.#running();
      const images = await this.#turns.take(
        (turn) => this.#withMemory(engine, turn, signal, () => this.#renderOn(engine, turn, options)),
        signal,
      );
      if (images) return images;
    }
  }

  async stats(): Promise<Stats> {
    return (await this.#running()).stats();
  }

  release(): Promise<void> {
    return this.#turns.take(() => this.#giveBack(), this.#closing.signal);
  }

  async resume(): Promise<void> {
    const { signal } = this.#closing;
    for (;;) {
      const engine = await this.#running();
      const done = await this.#turns.take(
        (turn) => this.#withMemory(engine, turn, signal, async () => true),
        signal,
      );
      if (done) return;
    }
  }

  async close(): Promise<void> {
    this.#advance({ name: 'close' });
    this.#closing.abort(closed());
    clearInterval(this.#health);
    if (this.#engine) await this.#engine.stop();
    else await this.#process?.kill();
    await this.#starting?.catch(() => {});
    await this.#learning;
    await this.#starter?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /**
   * Does something with an engine that has its memory. Call it in a turn.
   * @returns undefined, with nothing done, where the engine was lost meanwhile
   */
  async #withMemory<T>(
    engine: EngineConnection,
    turn: Turn,
    signal: AbortSignal,
    work: () => Promise<T>,
  ): Promise<T | undefined> {
    if (this.#engine !== engine) return undefined;
    await turn.enter();
    signal.throwIfAborted();
    if (this.#engine !== engine) return undefined;
    if (this.#state.name === 'standby') await this.#takeAgain(engine, turn, signal);
    signal.throwIfAborted();
    return this.#engine === engine ? work() : undefined;
  }

  /** Never rejects: an engine that can't give its memory back is ended, and another one starts. */
  async #giveBack(): Promise<void> {
    const engine = this.#engine;
    if (!engine || this.#state.name !== 'idle') return;
    try {
      const bytes = await engine.release();
      if (this.#engine !== engine) return;
      this.#advance({ name: 'released' });
      this.options.log.info({ bytes }, 'engine in standby');
    } catch (error) {
      if (this.#engine === engine) await engine.abandon(new EngineCrashed(`no release: ${error}`));
    }
  }

  async #takeAgain(engine: EngineConnection, turn: Turn, signal: AbortSignal): Promise<void> {
    const began = performance.now();
    this.#advance({ name: 'resume' });
    try {
      await this.#withRoom(turn, signal, ROOM_PAUSES_MS, () => engine.resume());
      if (this.#engine !== engine) return;
      this.#advance({ name: 'resumed' });
      this.starts.resumed++;
      this.options.observer?.started(engine.hello);
      this.options.log.info({ ms: Math.round(performance.now() - began) }, 'engine resumed');
    } catch (error) {
      if (this.#engine === engine) this.#advance({ name: 'refused' });
      if (!(error instanceof OutOfMemory)) throw error;
      // As `OutOfMemory` it would be taken for a batch that is too large.
      throw new DeviceBusy(`${this.options.model} can't resume, others have its memory: ${error.message}`, {
        cause: error,
      });
    }
  }

  /**
   * Does again what has found no room: as long as engines that share the device can give memory back, then after pauses.
   * @throws what `work` throws; the signal's reason
   */
  async #withRoom<T>(
    turn: Turn,
    signal: AbortSignal,
    pausesMs: readonly number[],
    work: () => Promise<T>,
  ): Promise<T> {
    const pauses = [...pausesMs];
    for (;;) {
      signal.throwIfAborted();
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof OutOfMemory)) throw error;
        if (await turn.makeRoom()) continue;
        const pause = pauses.shift();
        if (pause === undefined) throw error;
        await setTimeout(pause, undefined, { signal }).catch(() => {});
      }
    }
  }

  async #renderOn(engine: EngineConnection, turn: Turn, options: RenderOptions): Promise<RenderedImage[]> {
    options.signal?.throwIfAborted();
    this.#advance({ name: 'render' });
    try {
      return await engine.render(options);
    } catch (error) {
      // What an allocator holds after a failure is no measure for the next batch, and a lost device stays lost.
      if (error instanceof OutOfMemory || error instanceof DeviceLost) await engine.abandon(error);
      // Whoever tries again has the device for itself.
      while (error instanceof OutOfMemory && (await turn.makeRoom()));
      throw error;
    } finally {
      this.#renderedAt = performance.now();
      // One that was lost is no longer ours, and must not count as having finished something.
      if (this.#engine === engine) this.#advance({ name: 'rendered' });
    }
  }

  async #running(): Promise<EngineConnection> {
    this.#throwIfClosing();
    if (this.#engine) return this.#engine;
    this.#starting ??= this.#start().finally(() => {
      this.#starting = undefined;
    });
    return this.#starting;
  }

  async #start(): Promise<EngineConnection> {
    if (this.#state.name === 'waiting') {
      await setTimeout(this.#state.pauseMs, undefined, { signal: this.#closing.signal }).catch(() => {});
    }
    this.#throwIfClosing();
    return this.#turns.take((turn) => this.#startNow(turn), this.#closing.signal);
  }

  async #startNow(turn: Turn): Promise<EngineConnection> {
    await turn.enter();
    this.#throwIfClosing();
    this.#advance({ name: 'start' });
    try {
      const engine = await this.#withRoom(turn, this.#closing.signal, [], () => this.#spawn());
      if (engine.end) throw engine.end;
      this.#advance({ name: 'greeted' });
      this.#engine = engine;
      this.options.observer?.started(engine.hello);
      this.#health ??= setInterval(() => this.#checkHealth(), HEALTH_INTERVAL_MS).unref();
      return engine;
    } catch (error) {
      this.#lost(error);
      throw error;
    }
  }

  async #spawn(): Promise<EngineConnection> {
    const { options } = this;
    const deadline = performance.now() + (options.startTimeoutMs ?? START_TIMEOUT_MS);
    // It streams while the engine is restored, or starts.
    const keeper = this.#keeper();
    const lockFile = lockFileOf(options);
    const lock = await options.lock?.hold();
    const restored = await this.#restore(deadline, { keeper, lock });
    if (restored) return restored;
    const process = await (options.spawn ?? FreshProcess.spawn)({
      arguments: {
        ...engineOf(options),
        logLevel: options.log.level,
        ...(keeper !== undefined && { keeper }),
      },
      log: options.log,
      ...(lock !== undefined && { lock }),
      ...(lockFile !== undefined && { lockFile }),
      ...(options.memoryLimitBytes !== undefined && { memoryLimitBytes: options.memoryLimitBytes }),
    });
    const engine = await this.#greet(process, deadline);
    this.starts.fresh++;
    this.#learn();
    return engine;
  }

  /**
   * Sees to it that there is a keeper, beside the engine's start.
   * @returns its socket; undefined where the engine is to do without
   */
  #keeper(): string | undefined {
    const start = this.options.startKeeper ?? (this.options.spawn ? undefined : ensureKeeper);
    return this.options.keeper === false || !start ? undefined : keeperBeside(this.options, start);
  }

  /**
   * Resolves when the engine has had nothing to do for so long: a capture must not slow a job down.
   * @throws when the host is closed
   */
  async #quiet(idleMs: number): Promise<void> {
    const { signal } = this.#closing;
    while (!IDLE_STATES.has(this.#state.name) || performance.now() - this.#renderedAt < idleMs) {
      await setTimeout(Math.max(10, Math.min(idleMs, QUIET_PAUSE_MS)), undefined, { signal, ref: false });
    }
  }

  async #greet(process: EngineProcess, deadline: number): Promise<EngineConnection> {
    const { options } = this;
    this.#process = process;
    try {
      this.#throwIfClosing();
      const engine = await EngineConnection.greet(process, deadline, {
        stallMs: options.stallMs ?? STALL_MS,
        cancelGraceMs: options.cancelGraceMs ?? CANCEL_GRACE_MS,
        onLost: (engine, reason) => {
          if (this.#engine === engine) this.#lost(reason);
        },
      });
      this.#throwIfClosing();
      return engine;
    } catch (error) {
      await process.kill();
      throw error;
    }
  }

  /** @returns undefined where the engine must start fresh, for a reason that is then counted */
  async #restore(deadline: number, held: HeldForRestore): Promise<EngineConnection | undefined> {
    if (!this.#starter) return undefined;
    try {
      const restored = await this.#starter.restore(held);
      try {
        const engine = await this.#greet(restored.process, Math.min(deadline, restored.deadline));
        await restored.greeted(engine.hello);
        this.starts.restored++;
        return engine;
      } catch (error) {
        await restored.process.kill();
        this.#throwIfClosing();
        if (!isSnapshotsFault(error)) throw error;
        throw await restored.failed(error);
      }
    } catch (error) {
      // These would meet a fresh start too.
      if (error instanceof RenderError) throw error;
      const reason = error instanceof Unusable ? error.reason : 'failed';
      this.starts.fallbacks[reason]++;
      this.options.log.info({ reason, why: String(error) }, 'engine starts fresh');
      return undefined;
    }
  }

  /** Makes what the next start is restored from, once, while this engine already works. */
  #learn(): void {
    if (!this.#starter || this.#learning || this.#closing.signal.aborted) return;
    const { log, start, snapshotAfterIdleMs = SNAPSHOT_AFTER_IDLE_MS } = this.options;
    if (this.options.lock || lockFileOf(this.options) !== undefined) {
      log.info(
        'no snapshot is made while an engine holds the device: use `temporal-diffusion snapshot create`',
      );
      return;
    }
    const { signal } = this.#closing;
    const create = async () => {
      await this.#quiet(snapshotAfterIdleMs);
      await this.#starter?.create({ measure: start === 'auto', signal });
    };
    this.#learning = create().catch((error: unknown) => {
      if (!signal.aborted) log.warn({ err: error }, 'no snapshot could be made');
    });
  }

  /** A job may be waiting, and a worker that has no engine takes none: the next engine starts unasked. */
  #lost(reason: unknown): void {
    this.#engine = undefined;
    this.#advance({ name: 'lost', reason: reason instanceof Error ? reason.message : String(reason) });
    if (this.#state.name === 'closed') return;
    this.options.observer?.lost(reason);
    this.options.log.warn({ err: reason, state: this.#state }, 'engine lost');
    // Not before the start that just failed is over.
    setImmediate(() => {
      if (this.#state.name === 'waiting') this.#running().catch(() => {});
    });
  }

  #checkHealth(): void {
    if (IDLE_STATES.has(this.#state.name)) void this.#engine?.checkHealth();
  }

  #throwIfClosing(): void {
    if (this.#closing.signal.aborted) throw closed();
  }

  #advance(event: EngineEvent): void {
    const before = this.#state;
    // What was under way when it was closed ends in whatever order.
    if (before.name === 'closed') return;
    this.#state = transition(before, event);
    this.options.log.debug({ from: before.name, event: event.name, to: this.#state.name }, 'engine state');
  }
}

/** States of an engine that has memory of its device. */
const MEMORY_STATES: ReadonlySet<EngineState['name']> = new Set([
  'starting',
  'idle',
  'rendering',
  'resuming',
]);
/** States of one that has nothing to do. */
const IDLE_STATES: ReadonlySet<EngineState['name']> = new Set(['idle', 'standby']);

function closed(): EngineCrashed {
  return new EngineCrashed('the engine host is closed');
}

function engineOf({
  checkpoint,
  model,
  device,
  cacheFolder,
  threads = availableParallelism(),
  weights,
}: EngineHostOptions) {
  return { checkpoint, model, device, cacheFolder, threads, ...(weights && { weights }) };
}

/** A lock that is handed in is the device's already. */
function lockFileOf(options: EngineHostOptions): string | undefined {
  return options.lock ? undefined : deviceLockFile(options);
}

function starterOf(options: EngineHostOptions): SnapshotStarter | undefined {
  const { start: mode = 'fresh', cacheFolder, log, criu, restoreTimeoutMs, memoryLimitBytes } = options;
  if (mode === 'fresh') return undefined;
  const lockFile = lockFileOf(options);
  return new SnapshotStarter({
    mode,
    engine: engineOf(options),
    store: openSnapshotStore({ cacheFolder, folder: options.snapshotFolder, log }),
    ...(criu && { criu }),
    ...(options.snapshotPrograms && { programs: options.snapshotPrograms }),
    ...(restoreTimeoutMs !== undefined && { restoreTimeoutMs }),
    ...(lockFile !== undefined && { lockFile }),
    ...(memoryLimitBytes !== undefined && { memoryLimitBytes }),
    log,
  });
}
