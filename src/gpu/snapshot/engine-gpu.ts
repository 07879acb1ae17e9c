import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { GpuFacts } from '../runtime/cuda/checkpoint-protocol.js';
import { commonGpuKind, type GpuKind } from '../runtime/cuda/gpu-kind.js';
import { CheckpointHelper, DriverRefusal } from './checkpoint-helper.js';
import { innerPid } from './criu.js';
import type { SnapshotManifest } from './manifest.js';
import { Unusable } from './unusable.js';

const LARGE_IMAGES = /^(memory|pages-\d+)\.img$/;

interface Opened {
  readonly helper: CheckpointHelper;
  readonly facts: GpuFacts;
}

/** What the driver has done so far; see `CheckpointDriver`. */
export type ReleaseStage = 'locked' | 'checkpointed';
export type ReturnStage = 'known' | 'restored' | 'unlocked';
type OnStage<Stage> = (stage: Stage, pid: number) => Promise<void> | void;

/** The GPU of an engine that is captured or restored, and the helper that makes the driver's calls for it. */
export class EngineGpu {
  #opened: Promise<Opened> | undefined;
  #starting: Promise<CheckpointHelper> | undefined;
  #helper: CheckpointHelper | undefined;
  /** In the engine's own namespace, where the driver wants that. */
  #inside: CheckpointHelper | undefined;
  #isClosed = false;

  /** @param command what is run as the helper, for tests. Default: the helper */
  constructor(
    private readonly index: number,
    private readonly command?: readonly string[],
  ) {}

  /** Starts the helper, which takes a quarter of a second. @throws DriverRefusal, EngineStalled, EngineCrashed */
  open(): Promise<Opened> {
    this.#opened ??= this.#open();
    // Whoever needs it hears of it.
    this.#opened.catch(() => {});
    return this.#opened;
  }

  /**
   * The same, and has the kernel read a snapshot's images meanwhile: CRIU maps most of them, and the engine, with the
   * driver's thread in it, would fetch them page by page.
   */
  openWith(images: string): void {
    // First, since the driver's start keeps the helper busy. It only saves time.
    void this.#readAhead(images)
      .catch(() => {})
      .then(() => this.open())
      .catch(() => {});
  }

  /** @throws as `open` does, where the kernel does not tell by itself */
  async kind(): Promise<GpuKind> {
    return (await commonGpuKind()) ?? (await this.open()).facts;
  }

  /**
   * Has the driver take what the engine has on the GPU into the process's own memory, and give the GPU back: only then
   * can CRIU capture it.
   * @param pid of an engine that makes no CUDA calls
   * @returns what a manifest says of it
   */
  async release(
    pid: number,
    deadline: number,
    onStage: OnStage<ReleaseStage>,
  ): Promise<SnapshotManifest['gpu']> {
    const { helper } = await this.open();
    const before = await helper.device(this.index);
    const { caller, number } = await this.#callerFor(pid, deadline);
    await caller.lock(number, left(deadline));
    await onStage('locked', pid);
    await caller.checkpoint(number, left(deadline));
    await onStage('checkpointed', pid);
    const after = await helper.device(this.index);
    if (before.freeBytes === undefined || after.freeBytes === undefined) return { uuid: before.uuid };
    return { uuid: before.uuid, ownBytes: Math.max(0, after.freeBytes - before.freeBytes) };
  }

  /**
   * Gives an engine that was restored what it had on a GPU.
   * @param captured what its snapshot's manifest says
   * @throws Unusable where there is no room for it: from such a call the driver would never return
   */
  async giveBack(
    pid: number,
    deadline: number,
    captured: SnapshotManifest['gpu'],
    onStage: OnStage<ReturnStage>,
  ): Promise<void> {
    const { helper } = await this.open();
    const { name, uuid, freeBytes } = await helper.device(this.index, left(deadline));
    const { ownBytes, uuid: from = uuid } = captured ?? {};
    if (freeBytes !== undefined && ownBytes !== undefined && freeBytes < ownBytes) {
      throw new Unusable(
        'no-room',
        `the engine needs ${megabytes(ownBytes)} of device memory beside its weights, ${name} has ${megabytes(freeBytes)} free [needed=${ownBytes}, free=${freeBytes}]`,
      );
    }
    const { caller, number } = await this.#callerFor(pid, deadline);
    await onStage('known', pid);
    await caller.restore(number, left(deadline), from === uuid ? undefined : { from, to: uuid });
    await onStage('restored', pid);
    await caller.unlock(number, left(deadline));
    await onStage('unlocked', pid);
  }

  /** Whether its helper is there for another engine. */
  get isReady(): boolean {
    return this.#helper !== undefined && !this.#helper.isOver && !this.#isClosed;
  }

  /** After an engine: lets go what was for that one alone. */
  async rest(): Promise<void> {
    const inside = this.#inside;
    this.#inside = undefined;
    await inside?.close();
  }

  /** Ends the helper. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#helper?.close();
    await this.rest();
  }

  /**
   * Who calls the driver for a process, and the number that it is to name. A driver that does not find it by the number
   * that it has here is asked from within its own namespace.
   */
  async #callerFor(pid: number, deadline: number): Promise<{ caller: CheckpointHelper; number: number }> {
    const { helper } = await this.open();
    try {
      await helper.state(pid, left(deadline));
      return { caller: helper, number: pid };
    } catch (error) {
      if (!(error instanceof DriverRefusal) || error.kind !== 'refused') throw error;
      const number = await innerPid(pid);
      this.#inside = await CheckpointHelper.start(this.command, pid);
      await this.#inside.state(number, left(deadline)).catch(() => {
        throw error;
      });
      return { caller: this.#inside, number };
    }
  }

  async #open(): Promise<Opened> {
    const helper = await this.#start();
    const facts = await helper.device(this.index);
    // Of this process, which has no CUDA, nothing can be told; but where CUDA is to be initialised before, it is now,
    // while CRIU is at work.
    void helper.state(process.pid).catch(() => {});
    return { helper, facts };
  }

  async #readAhead(images: string): Promise<void> {
    const names = (await readdir(images)).filter((name) => LARGE_IMAGES.test(name));
    const helper = await this.#start();
    await helper.readAhead(names.map((name) => join(images, name)));
  }

  #start(): Promise<CheckpointHelper> {
    this.#starting ??= CheckpointHelper.start(this.command).then(async (helper) => {
      this.#helper = helper;
      if (this.#isClosed) await helper.close();
      return helper;
    });
    return this.#starting;
  }
}

/** Milliseconds until then; a call always gets one. */
function left(deadline: number): number {
  return Math.max(1, Math.ceil(deadline - performance.now()));
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`;
}
