import type { Logger } from 'pino';
import {
  CheckpointInvalid,
  DeviceBusy,
  EngineCrashed,
  EngineStalled,
  OutOfMemory,
  SnapshotInvalid,
} from '../../contract/errors.js';
import type { Hello } from '../engine/protocol.js';
import { EngineConnection } from '../host/engine-connection.js';
import { FreshProcess } from '../host/engine-process.js';
import { gpuIndexOf } from '../runtime/gpu-index.js';
import { type CaptureOptions, captureSnapshot, warmUpOf } from './capture.js';
import { DriverRefusal } from './checkpoint-helper.js';
import { type Criu, findCriu } from './criu.js';
import { EngineGpu, type ReturnStage } from './engine-gpu.js';
import { type EngineDescription, identityOf, slotOf } from './identity.js';
import { withLock } from './lock.js';
import type { SnapshotIdentity, SnapshotManifest } from './manifest.js';
import { RestoredProcess, type RestoreOptions } from './processes.js';
import type { StartMode } from './start-mode.js';
import type { Experience, Snapshot, SnapshotPlace, SnapshotStore } from './store.js';
import { FALLBACK_REASONS, type FallbackReason, Unusable } from './unusable.js';

/** How engines of one host have started, for a metric. */
export interface Starts {
  fresh: number;
  restored: number;
  /** Engines that took their memory again after a standby. */
  resumed: number;
  /** Fresh starts that should have been restores, by reason. */
  readonly fallbacks: Record<FallbackReason, number>;
}

export function noStarts(): Starts {
  const fallbacks = Object.fromEntries(FALLBACK_REASONS.map((reason) => [reason, 0]));
  return { fresh: 0, restored: 0, resumed: 0, fallbacks: fallbacks as Record<FallbackReason, number> };
}

export interface SnapshotStarterOptions {
  readonly mode: Exclude<StartMode, 'fresh'>;
  readonly engine: EngineDescription;
  readonly store: SnapshotStore;
  /** Default: found on the PATH or in the cache. */
  readonly criu?: Criu;
  /** Milliseconds that a restore may take. Default: 10,000. */
  readonly restoreTimeoutMs?: number;
  /** A file that an engine keeps locked while it lives. */
  readonly lockFile?: string;
  readonly memoryLimitBytes?: number;
  /** Sees to a keeper beside a start that is measured, as hosts do: its socket. Default: there is none. */
  readonly keeper?: () => string | undefined;
  /** Options of a capture, for measurements. */
  readonly capture?: Pick<CaptureOptions, 'warmUps' | 'onStage' | 'timeoutMs'>;
  /** What is run as the engine, and as the checkpoint helper, for tests. Default: those of this package. */
  readonly programs?: SnapshotPrograms;
  /** Hears how far a restore is, for measurements. @param pid of the engine */
  readonly onStage?: (stage: RestoreStage, pid: number) => Promise<void> | void;
  readonly log: Logger;
}

export interface SnapshotPrograms {
  /** The file of an engine's. */
  readonly engine?: string;
  /** The command of a checkpoint helper. */
  readonly helper?: readonly string[];
}

/** What is done: CRIU has let the engine go on; the driver knows it; its device is restored; CUDA calls go on. */
export type RestoreStage = 'running' | ReturnStage;

/** What is looked at of a greeting. */
export type Greeted = Pick<Hello, 'graphDigest' | 'model'> & { readonly start: string };

export interface RestoredEngine {
  readonly process: RestoredProcess;
  /** In `performance.now()`'s milliseconds. */
  readonly deadline: number;
  /** Says what came of it: after a greeting, whose sender is checked, or an error. */
  greeted(hello: Greeted): Promise<void>;
  failed(error: unknown): Promise<Unusable>;
}

/** What a restored engine said, and what it was restored from. */
interface Greeting {
  readonly hello: Greeted;
  readonly process: RestoredProcess;
  readonly snapshot: Snapshot;
  readonly identity: SnapshotIdentity;
  /** Whether its restore began before the snapshot was checked. */
  readonly isEarly: boolean;
}

const RESTORE_TIMEOUT_MS = 10_000;
/** Pruning goes by days. */
const USE_NOTED_EVERY_MS = 60 * 60 * 1000;

/** Restores engines of one kind, and makes the snapshot that they are restored from. */
export class SnapshotStarter {
  #criu: Promise<Criu | undefined> | undefined;
  /** Of the last restore: the next one finds its helper there. */
  #resting: EngineGpu | undefined;
  #isClosed = false;

  constructor(private readonly options: SnapshotStarterOptions) {}

  /**
   * Begins to restore an engine.
   * @param held what the host has for it: see `RestoreOptions`
   * @throws Unusable where none can be; the snapshot is then already set aside
   * @throws CheckpointInvalid
   */
  async restore(held: HeldForRestore = {}): Promise<RestoredEngine> {
    const { store, log, mode, engine } = this.options;
    const began = performance.now();
    const criu = await this.#findCriu();
    // What was good last time almost always is: it is restored while it is checked, and asleep until then.
    const last = await store.lastGood(engine);
    if (!last && !(await store.hasAny(engine.model))) throw new Unusable('missing', 'there is none yet');
    const gpu = this.#takeGpu();
    // It is asked once CRIU is done, and takes longer to come up.
    if (last) gpu?.openWith(last.images);
    let begun: RestoredProcess | undefined;
    let slot: string | undefined;
    try {
      const early = last && (await this.#prepare(criu, last, held));
      early?.begin();
      begun = early;
      const identity = await identityOf(engine, gpu?.kind());
      slot = slotOf(identity);
      const isEarly = last?.slot === slot;
      if (!isEarly) await early?.kill();
      // Namespaces and mounts take as long as the checks: they are made meanwhile.
      const process = early && isEarly ? early : await this.#prepare(criu, store.placeOf(slot), held);
      begun = process;
      const snapshot = await store.open(slot);
      if (mode === 'auto') requireFaster(snapshot.experience);
      gpu?.openWith(snapshot.images);
      await store.check(snapshot, identity);
      if (gpu) this.#takeDevice(process, gpu, snapshot);
      if (!isEarly) process.begin();
      log.debug({ slot, isEarly, ms: performance.now() - began }, 'restore begun, snapshot checked');
      return {
        process,
        deadline: performance.now() + (this.options.restoreTimeoutMs ?? RESTORE_TIMEOUT_MS),
        greeted: (hello) => this.#greeted({ hello, process, snapshot, identity, isEarly }),
        failed: (error) => this.#failed(snapshot, error),
      };
    } catch (error) {
      await begun?.kill();
      await gpu?.close();
      if (last) await store.forgetLastGood(engine);
      // Engines have said nothing yet: these are the helper's.
      const isHelpers = [DriverRefusal, EngineStalled, EngineCrashed].some((kind) => error instanceof kind);
      const reason = isHelpers ? unusable(error) : error;
      throw slot === undefined ? reason : await this.#refuse(slot, reason);
    }
  }

  async #prepare(criu: Criu, place: SnapshotPlace, held: HeldForRestore): Promise<RestoredProcess> {
    const { lockFile, memoryLimitBytes, log } = this.options;
    return RestoredProcess.prepare({
      criu,
      ...place,
      ...held,
      ...(lockFile !== undefined && { lockFile }),
      ...(memoryLimitBytes !== undefined && { memoryLimitBytes }),
      log,
    });
  }

  /** Ends what was kept for the next restore. Restores may follow; they keep nothing. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#resting?.close();
  }

  #takeGpu(): EngineGpu | undefined {
    const resting = this.#resting;
    this.#resting = undefined;
    return resting?.isReady ? resting : this.#gpu();
  }

  #gpu(): EngineGpu | undefined {
    const { engine, programs } = this.options;
    const index = gpuIndexOf(engine.device);
    return index === undefined ? undefined : new EngineGpu(index, programs?.helper);
  }

  /** Sees to it that the process gets its device back before it is woken. */
  #takeDevice(process: RestoredProcess, gpu: EngineGpu, { manifest }: Snapshot): void {
    const { onStage = () => {} } = this.options;
    let isDone = false;
    void process.ended.then(() => (isDone ? undefined : gpu.close()));
    process.takesDevice(async (pid, deadline) => {
      await onStage('running', pid);
      await gpu.giveBack(pid, deadline, manifest.gpu, onStage);
      isDone = true;
      if (this.#isClosed || this.#resting) return void gpu.close();
      this.#resting = gpu;
      void gpu.rest();
    });
  }

  async #greeted({ hello, process, snapshot, identity, isEarly }: Greeting): Promise<void> {
    const { store, engine } = this.options;
    const { slot, manifest, experience } = snapshot;
    if (
      hello.start !== 'restored' ||
      hello.graphDigest !== manifest.graphDigest ||
      hello.model.digest !== identity.modelDigest
    ) {
      throw new Unusable('damaged', 'the restored engine is not the one that was captured');
    }
    void process.removeFiles().catch(() => {});
    // The first picture waits for the same cores: what is known well enough is not written again.
    if (!isEarly) void store.keepLastGood(engine, snapshot);
    const usedMs = Date.now() - Date.parse(experience.usedAt ?? manifest.capturedAt);
    if (experience.failures === 0 && experience.usedAt !== undefined && usedMs < USE_NOTED_EVERY_MS) return;
    void store.learn(slot, manifest.id, () => ({ failures: 0, usedAt: new Date().toISOString() }));
  }

  async #failed({ slot, manifest }: Snapshot, error: unknown): Promise<Unusable> {
    const { store, engine } = this.options;
    const { reason, message } = unusable(error);
    await store.forgetLastGood(engine);
    // Which says nothing of the snapshot.
    if (reason === 'no-room') return new Unusable(reason, message, { cause: error });
    await store.learn(slot, manifest.id, ({ failures }) => ({
      failures: failures + 1,
      lastFailure: message,
    }));
    return new Unusable(reason, message, { cause: error });
  }

  /**
   * Makes the snapshot, where there is none, and measures both ways to start once.
   * @returns undefined where another process is making it and `wait` is not set, or where it is disabled and `replace` is not
   */
  async create(options: CreateOptions = {}): Promise<CreatedSnapshot | undefined> {
    const criu = await this.#findCriu();
    const gpu = this.#gpu();
    try {
      return await this.#create(criu, gpu, options);
    } catch (error) {
      throw error instanceof DriverRefusal ? new SnapshotInvalid(error.message, { cause: error }) : error;
    } finally {
      await gpu?.close();
    }
  }

  async #create(
    criu: Criu,
    gpu: EngineGpu | undefined,
    options: CreateOptions,
  ): Promise<CreatedSnapshot | undefined> {
    const { store, engine, lockFile, programs, log } = this.options;
    const identity = await identityOf(engine, gpu?.kind());
    const slot = slotOf(identity);
    const present = await this.#present(slot, identity);
    if (present?.isDisabled && !options.replace) return undefined;
    const build = async (folder: string): Promise<SnapshotManifest> => {
      const began = performance.now();
      const capture = () =>
        captureSnapshot(folder, {
          ...this.options.capture,
          criu,
          engine,
          program: programs?.engine,
          identity,
          digests: store.digests,
          gpu,
          ...(options.signal && { signal: options.signal }),
          log,
        });
      const manifest = await alone(lockFile, capture);
      log.info({ slot, ms: Math.round(performance.now() - began), ...manifest.memory }, 'snapshot captured');
      return manifest;
    };
    const manifest = await store.make(slot, build, options);
    if (!manifest) return undefined;
    if (options.measure) await this.#measure(slot, manifest, options.signal);
    return { slot, manifest, experience: (await store.open(slot)).experience };
  }

  /** What is there and may stay there. What may not is set aside. */
  async #present(slot: string, identity: SnapshotIdentity): Promise<{ isDisabled: boolean } | undefined> {
    try {
      await this.options.store.check(await this.options.store.open(slot), identity);
      return { isDisabled: false };
    } catch (error) {
      await this.#refuse(slot, error);
      return error instanceof Unusable && error.reason === 'disabled' ? { isDisabled: true } : undefined;
    }
  }

  /** Once on this host: with the same picture, each in a process of its own, in alternation. */
  async #measure(slot: string, manifest: SnapshotManifest, signal?: AbortSignal): Promise<void> {
    const { store, engine, log } = this.options;
    const { experience } = await store.open(slot);
    if (experience.measured) return;
    const restored = await this.#forMeasurement();
    const { lockFile, programs } = this.options;
    const fresh = () => {
      const keeper = this.options.keeper?.();
      return FreshProcess.spawn({
        arguments: { ...engine, logLevel: log.level, ...(keeper !== undefined && { keeper }) },
        program: programs?.engine,
        ...(lockFile !== undefined && { lockFile }),
        log,
      });
    };
    const times = { fresh: [] as number[], restored: [] as number[] };
    for (let round = 0; round < MEASURED_ROUNDS; round++) {
      times.fresh.push(await timeToPicture(fresh, signal));
      times.restored.push(await timeToPicture(restored, signal));
    }
    // What else runs on the host can only make them slower.
    const measured = {
      freshMs: Math.round(Math.min(...times.fresh)),
      restoredMs: Math.round(Math.min(...times.restored)),
      at: new Date().toISOString(),
    };
    await store.learn(slot, manifest.id, () => ({ measured }));
    log.info({ slot, ...measured }, 'both ways to start measured');
  }

  async #forMeasurement(): Promise<() => Promise<RestoredProcess>> {
    const starter = new SnapshotStarter({ ...this.options, mode: 'snapshot' });
    // A worker's first restore finds no helper: this one keeps none for the next.
    await starter.close();
    return async () => (await starter.restore({ keeper: this.options.keeper?.() })).process;
  }

  /** @throws Unusable */
  async #findCriu(): Promise<Criu> {
    this.#criu ??= this.options.criu
      ? Promise.resolve(this.options.criu)
      : findCriu(this.options.engine.cacheFolder);
    const criu = await this.#criu;
    if (!criu) {
      throw new Unusable(
        'unsupported',
        'there is no CRIU on this machine; `temporal-diffusion doctor` says what snapshots need',
      );
    }
    return criu;
  }

  async #refuse(slot: string, error: unknown): Promise<unknown> {
    if (!(error instanceof Unusable)) return error;
    if (['damaged', 'stale', 'foreign'].includes(error.reason))
      await this.options.store.setAside(slot, error);
    return error;
  }
}

export type HeldForRestore = Pick<RestoreOptions, 'lock' | 'keeper'>;

export interface CreateOptions {
  /** Whether to wait for another process that makes it. Default: false. */
  readonly wait?: boolean;
  /** Whether to make it anew where there is one. Default: false. */
  readonly replace?: boolean;
  /** Whether to measure both ways to start. Default: false. */
  readonly measure?: boolean;
  readonly signal?: AbortSignal;
}

export interface CreatedSnapshot {
  readonly slot: string;
  readonly manifest: SnapshotManifest;
  readonly experience: Experience;
}

/**
 * While nobody else's engine has the device. The lock is not the captured engine's own: it would be captured too.
 * @throws DeviceBusy
 */
async function alone<T>(lockFile: string | undefined, work: () => Promise<T>): Promise<T> {
  if (lockFile === undefined) return work();
  const done = await withLock(lockFile, work);
  if (!done) throw new DeviceBusy('another engine runs on this device; end it, and make the snapshot then');
  return done.value;
}

/** What a restore that failed so is counted as. */
function unusable(error: unknown): Unusable {
  if (error instanceof Unusable) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new Unusable(reasonOf(error), message, { cause: error });
}

function reasonOf(error: unknown): FallbackReason {
  if (error instanceof OutOfMemory) return 'no-room';
  if (error instanceof DriverRefusal) return error.kind === 'refused' ? 'failed' : error.kind;
  return error instanceof EngineStalled ? 'timeout' : 'failed';
}

/** @throws Unusable */
function requireFaster({ measured }: Experience): void {
  if (!measured) throw new Unusable('unmeasured', 'it was not measured on this host yet');
  const { freshMs, restoredMs } = measured;
  if (restoredMs >= freshMs) {
    throw new Unusable(
      'slower',
      `a fresh start took ${freshMs} ms to its first picture, a restored one ${restoredMs} ms`,
    );
  }
}

const MEASURED_ROUNDS = 2;
const MEASURE_TIMEOUT_MS = 120_000;

async function timeToPicture(
  start: () => Promise<FreshProcess | RestoredProcess>,
  signal?: AbortSignal,
): Promise<number> {
  signal?.throwIfAborted();
  const began = performance.now();
  const process = await start();
  const kill = () => void process.kill();
  signal?.addEventListener('abort', kill);
  try {
    const engine = await EngineConnection.greet(process, began + MEASURE_TIMEOUT_MS, {
      stallMs: MEASURE_TIMEOUT_MS,
      cancelGraceMs: MEASURE_TIMEOUT_MS,
      onLost: () => {},
    });
    await engine.render({ items: warmUpOf(engine.hello.model) });
    return performance.now() - began;
  } finally {
    signal?.removeEventListener('abort', kill);
    await process.kill();
    signal?.throwIfAborted();
  }
}

/** Whether a restore that failed so says something about the snapshot. */
export function isSnapshotsFault(error: unknown): boolean {
  return !(error instanceof DeviceBusy || error instanceof CheckpointInvalid);
}
