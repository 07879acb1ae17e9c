import { closeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  DeviceLost,
  EngineCrashed,
  ModelReplaced,
  OutOfMemory,
  StorageUnavailable,
} from '../../../contract/errors.js';
import { unlessAborted } from '../../../unless-aborted.js';
import { fileStamps } from '../../checkpoint/file-stamps.js';
import { storedType } from '../../graph/element-type.js';
import type { ComputeTypes } from '../../graph/graphs.js';
import { inSpan, tellSpan } from '../../spans.js';
import type {
  Device,
  DeviceMemory,
  HeldTensor,
  Release,
  Runtime,
  RuntimeGraph,
  Session,
  Tensor,
} from '../session.js';
import { BackgroundWork } from './background-work.js';
import { DeviceSession, type SessionWeights } from './device-session.js';
import { DeviceTensor } from './device-tensor.js';
import { type CudaDriver, type PhysicalMemory, roundUp } from './driver.js';
import type { HostCache } from './host-cache.js';
import type { ForeignTensor, Ort, OrtTensor, Provider } from './ort.js';
import { PinnedFiles } from './pinned-files.js';
import { Stages } from './stages.js';
import { Transfers } from './transfers.js';
import { Turns } from './turns.js';
import { noRoomFor, WeightArena } from './weight-arena.js';
import { layOut, type WeightLayout } from './weight-layout.js';
import { differenceIn } from './weight-probe.js';
import type { LentWeights, WantedWeights, WeightSource } from './weight-source.js';
import { streamWeights, type WeightStream } from './weight-stream.js';

export interface DeviceRuntimeOptions {
  readonly device: Device;
  readonly ort: Ort;
  readonly driver: CudaDriver;
  /** Where kernels run: over the memory that `driver` manages. */
  readonly provider: Provider;
  /** What the device computes in best. */
  readonly compute: ComputeTypes;
  /** Module that has kernels for operators of our own, where `compute` says that graphs have them. */
  readonly ownKernels?: string;
  /** Of the kernels that run on the CPU. */
  readonly threads: number;
  /** Pinned memory that weights pass through. Default: see `streamWeights`. */
  readonly bufferBytes?: number;
  /** Where weights are read from if they are there, and kept for the next engine. Default: nowhere. */
  readonly cache?: HostCache;
  /** Who may have the weights on the device already. Default: nobody; they are streamed. */
  readonly source?: WeightSource;
  /** Told why weights are streamed though there is a source. */
  readonly onFallback?: (reason: unknown) => void;
}

/** A graph whose checkpoint nobody knows is streamed here. */
type Wanted = Omit<WantedWeights, 'checkpointDigest'> & {
  readonly layout: WeightLayout;
  readonly checkpointDigest: string | undefined;
};

interface Component extends SessionWeights {
  readonly arena: WeightArena;
  /** Settles when its session is made. */
  opened: Promise<unknown>;
  /** Resolves when what is lent to it has arrived, and is what it should be. */
  arrival: Promise<void>;
  ready: Promise<unknown>;
}

/**
 * ONNX Runtime over weights that we put into device memory ourselves: its sessions are made at once, while the weights
 * are still being streamed, and what runs make stays on the device until somebody reads it.
 */
export class DeviceRuntime implements Runtime {
  #wanted: readonly Wanted[] = [];
  readonly #components: Component[] = [];
  readonly #sessions: DeviceSession[] = [];
  readonly #transfers: Transfers;
  /** Files of all weights. */
  readonly #files = new Set<string>();
  readonly #keeping = new BackgroundWork<readonly string[]>();
  readonly #pinned: PinnedFiles;
  readonly #preparing = new BackgroundWork<readonly string[]>();
  /** Whose weights were released that were not lent. */
  #streamedAgain: WeightArena[] = [];
  #stopStreaming = new AbortController();
  /** Of the files, when they were opened. */
  #stamps: Promise<string> = Promise.resolve('');
  #isReleased = false;
  #lent: LentWeights | undefined;
  /** Resolves when what the source did not bring has memory of our own. */
  #leaving: Promise<void> | undefined;
  #loss: DeviceLost | EngineCrashed | undefined;
  #lose: (reason: unknown) => void = () => {};
  readonly #lost = new Promise<never>((_, reject) => {
    this.#lose = reject;
  });

  constructor(private readonly options: DeviceRuntimeOptions) {
    const { driver, cache } = options;
    this.#transfers = new Transfers(driver);
    this.#pinned = new PinnedFiles(driver, cache && { cache });
    this.#lost.catch(() => {});
  }

  get device(): Device {
    return this.options.device;
  }

  get compute(): ComputeTypes {
    return this.options.compute;
  }

  get deviceName(): string {
    return this.options.driver.facts.name;
  }

  async open(
    graphs: readonly RuntimeGraph[],
    onOpened?: (session: Session, index: number) => void,
  ): Promise<Session[]> {
    const { ort, provider, threads, ownKernels } = this.options;
    await this.#takeRoom(graphs);
    this.#load();
    // Side by side: each takes a core's time, and none waits for weights.
    const opening = graphs.map(async ({ component: name, bytes, weights, weightsFolder, compute }, index) => {
      const component = this.#components[index] as Component;
      const created = inSpan(`session ${name}`, () =>
        ort.createSession({
          graph: bytes,
          weightsFolder,
          weights: new Map(weights.map((weight) => [weight.name, weightIn(component.arena, weight)])),
          provider,
          threads,
          progress: component.stages.progress,
          ...(ownKernels !== undefined && { ownKernels: { module: ownKernels, type: compute } }),
        }),
      );
      component.opened = created;
      const session = new DeviceSession(name, await created, component, this);
      onOpened?.(session, index);
      return session;
    });
    for (const opened of await Promise.allSettled(opening)) {
      if (opened.status === 'fulfilled') this.#sessions.push(opened.value);
    }
    await Promise.all(opening);
    return this.#sessions;
  }

  async loaded(): Promise<void> {
    await Promise.all(this.#components.map(({ ready }) => ready));
  }

  keepWeights(): Promise<readonly string[]> {
    const { cache } = this.options;
    if (!cache) return Promise.resolve([]);
    return this.#keeping.begin((signal) => cache.keep(this.#files, { signal }));
  }

  lost(): Promise<never> {
    return this.#lost;
  }

  async hold(tensor: Tensor): Promise<HeldTensor> {
    const { ort, provider } = this.options;
    const buffer = await this.guarded(() => this.withRoom(() => this.#transfers.toDevice(tensor.data)));
    const value = ort.createValue(
      { type: tensor.type, dims: tensor.dims, data: buffer.address, byteLength: tensor.data.byteLength },
      provider,
    );
    const { type, dims } = tensor;
    const held = { value, type, dims, address: buffer.address, byteLength: tensor.data.byteLength };
    return this.adopt(held, () => buffer.close());
  }

  memory(): DeviceMemory {
    try {
      return this.options.driver.memory();
    } catch (error) {
      this.#note(error);
      throw error;
    }
  }

  /** Work on the device: not begun any more once the device is lost, and where that is learned. */
  async guarded<T>(work: () => Promise<T>): Promise<T> {
    if (this.#loss) throw this.#loss;
    try {
      return await work();
    } catch (error) {
      this.#note(error);
      throw error;
    }
  }

  async release(): Promise<Release> {
    if (this.#isReleased) return { bytes: 0 };
    this.#isReleased = true;
    const reason = 'the weights were released';
    await this.#keeping.stop(reason);
    await this.#settle(reason);
    const kept = await this.#shrink();
    let bytes = 0;
    this.#streamedAgain = this.#components.flatMap(({ arena }) => (arena.isLent ? [] : [arena]));
    for (const component of this.#components) {
      bytes += component.arena.mappedBytes;
      component.arena.release();
      component.ready = Promise.reject(new Error(reason));
      component.ready.catch(() => {});
      component.stages.follow(component.ready);
    }
    await this.#returnLent();
    await this.#transfers.rest();
    return { bytes, ...(kept !== undefined && { kept }) };
  }

  prepareResume(): Promise<readonly string[]> {
    if (!this.#isReleased) return Promise.resolve([]);
    return this.#preparing.begin((signal) =>
      this.guarded(async () => {
        const unkept = await unlessAborted(this.keepWeights(), signal);
        const files = this.#streamedAgain.flatMap(({ plan }) => plan.map(({ file }) => file));
        return [...unkept, ...(await this.#pinned.pin(files, { signal }))];
      }),
    );
  }

  async resume(): Promise<void> {
    if (!this.#isReleased) return;
    await this.#preparing.stop('the weights are wanted again');
    await this.#refuseOtherFiles();
    const arenas = this.#components.map(({ arena }) => arena);
    const lent = await this.#borrow();
    try {
      for (const arena of arenas) {
        this.#overLent(lent, arena.component, (memory) => arena.resume(memory));
      }
    } catch (error) {
      for (const arena of arenas) arena.release();
      await this.#returnLent();
      this.#note(error);
      throw error;
    }
    this.#isReleased = false;
    this.#load();
  }

  async close(): Promise<void> {
    const reason = 'the runtime was closed';
    await this.#keeping.stop(reason);
    await this.#preparing.stop(reason);
    await this.#settle(reason);
    this.#pinned.release();
    for (const session of this.#sessions) await session.close();
    for (const { arena } of this.#components) arena.close();
    await this.#returnLent();
    this.#transfers.close();
    this.options.ort.close();
    this.options.driver.close();
  }

  /** Work that needs memory of the device: where that is full, once more after others have made room. */
  async withRoom<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof OutOfMemory) || !(await this.#makeRoom())) throw error;
      return work();
    }
  }

  /** A tensor of the device as callers hold it. */
  adopt(tensor: OrtTensor, free: () => void = () => {}): DeviceTensor {
    const release = () => {
      this.options.ort.functions.ReleaseValue(tensor.value);
      free();
    };
    return new DeviceTensor(tensor, this.#transfers, this, release);
  }

  /** Another value over a tensor's elements. */
  reshape(tensor: OrtTensor, dims: readonly number[]): DeviceTensor {
    const { type, address, byteLength } = tensor;
    const value = this.options.ort.createValue(
      { type, dims, data: address, byteLength },
      this.options.provider,
    );
    return this.adopt({ ...tensor, value, dims });
  }

  /** A value over an array of ours, good for one run. */
  borrow(tensor: Tensor): bigint {
    const { type, dims, data } = tensor;
    return this.options.ort.createValue({ type, dims, data, byteLength: data.byteLength }, { kind: 'cpu' });
  }

  giveBack(value: bigint): void {
    this.options.ort.functions.ReleaseValue(value);
  }

  /** A context whose device failed once answers every call with that failure: whoever sees one knows of all. */
  #note(error: unknown): void {
    if (this.#loss || !(error instanceof DeviceLost || error instanceof EngineCrashed)) return;
    this.#loss = error;
    this.#lose(error);
  }

  /** @returns why arenas are as they were, where they are: weights are the larger part */
  async #shrink(): Promise<string | undefined> {
    try {
      await this.guarded(async () => {
        for (const session of this.#sessions) await session.shrink();
      });
      return undefined;
    } catch (error) {
      if (this.#loss) throw this.#loss;
      return error instanceof Error ? error.message : String(error);
    }
  }

  /** The engine has told whose weights it draws with. @throws ModelReplaced */
  async #refuseOtherFiles(): Promise<void> {
    const [opened, found] = await Promise.allSettled([this.#stamps, fileStamps(this.#files)]);
    if (opened.status === 'fulfilled' && found.status === 'fulfilled' && opened.value === found.value) return;
    throw new ModelReplaced(
      "expected the files that the weights were first read from, but they have changed since: a new engine reads the model's folder anew",
    );
  }

  /** @throws OutOfMemory where the device has no room for all weights: then none is taken */
  async #takeRoom(graphs: readonly RuntimeGraph[]): Promise<void> {
    this.#wanted = graphs.map((graph) => this.#wantedOf(graph));
    for (const { file } of graphs.flatMap(({ weights }) => weights)) this.#files.add(file);
    this.#stamps = fileStamps(this.#files);
    // Where a file is missing, its stream says so.
    this.#stamps.catch(() => {});
    const lent = await this.#borrow();
    const { freeBytes } = this.options.driver.memory();
    try {
      this.#components.push(...this.#placesIn(lent));
    } catch (error) {
      await this.#returnLent();
      throw error instanceof OutOfMemory ? this.#noRoom(graphs, freeBytes, error) : error;
    }
  }

  #placesIn(lent: LentWeights | undefined): Component[] {
    const arenas: WeightArena[] = [];
    try {
      for (const { component, layout } of this.#wanted) {
        const arenaOver = (memory?: readonly PhysicalMemory[]) =>
          new WeightArena(this.options.driver, component, layout, { lent: memory });
        arenas.push(this.#overLent(lent, component, arenaOver));
      }
    } catch (error) {
      for (const arena of arenas) arena.close();
      throw error;
    }
    const settled = Promise.resolve();
    return arenas.map((arena, index) => {
      const { stageEnds } = (this.#wanted[index] as Wanted).layout;
      return {
        arena,
        turns: new Turns(),
        opened: settled,
        arrival: settled,
        ready: settled,
        stages: new Stages(stageEnds),
      };
    });
  }

  #wantedOf({ component, weights, stages, checkpointDigest }: RuntimeGraph): Wanted {
    const layout = layOut(weights, stages);
    const mappedBytes = roundUp(Math.max(layout.extent, 1), this.options.driver.granularity);
    return { component, layout, mappedBytes, checkpointDigest };
  }

  /** @returns undefined where there is nobody to borrow from, or nothing to be had */
  async #borrow(): Promise<LentWeights | undefined> {
    const { source, driver } = this.options;
    const known = this.#wanted.flatMap(({ checkpointDigest, ...wanted }) =>
      checkpointDigest === undefined ? [] : [{ ...wanted, checkpointDigest }],
    );
    if (!source || known.length < this.#wanted.length) return undefined;
    try {
      this.#lent = await inSpan('keeper', () => source.lend(known, driver.facts));
      this.#lent?.onDamaged((component) => this.#note(damaged(component, driver.facts.name)));
      this.#lent?.onPlaced((name, end) => this.#placed(name, end, { isLent: true }));
    } catch (error) {
      this.options.onFallback?.(error);
    }
    return this.#lent;
  }

  /** Maps what is lent for a component; where that can't be had, memory of our own. */
  #overLent<T>(
    lent: LentWeights | undefined,
    component: string,
    map: (memory?: readonly PhysicalMemory[]) => T,
  ): T {
    if (!lent) return map();
    try {
      return map(this.#import(lent, component));
    } catch (error) {
      this.#note(error);
      if (error === this.#loss) throw error;
      this.options.onFallback?.(error);
      lent.giveBack(component, false);
      return map();
    }
  }

  #import(lent: LentWeights, component: string): PhysicalMemory[] {
    const pieces = lent.take(component);
    const imported: PhysicalMemory[] = [];
    try {
      for (const { descriptor, bytes } of pieces) {
        imported.push(this.options.driver.importDescriptor(descriptor, bytes));
      }
      return imported;
    } catch (error) {
      for (const memory of imported) memory.close();
      throw error;
    } finally {
      for (const { descriptor } of pieces) closeSync(descriptor);
    }
  }

  async #returnLent(): Promise<void> {
    const lent = this.#lent;
    this.#lent = undefined;
    await lent?.close();
  }

  #placed(name: string, end: number, { isLent }: { readonly isLent: boolean }): void {
    const component = this.#components.find(({ arena }) => arena.component === name);
    if (component?.arena.isLent !== isLent) return;
    if (isLent) component.stages.placedByLender(end);
    else component.stages.placed(end);
  }

  /** @returns whether somebody has freed something */
  async #makeRoom(): Promise<boolean> {
    const freed = await this.#lent?.makeRoom().catch(() => 0);
    return freed !== undefined && freed > 0;
  }

  /** Of a component alone the user would learn neither what the model needs nor what was free before it. */
  #noRoom(graphs: readonly RuntimeGraph[], freeBytes: number, cause: OutOfMemory): OutOfMemory {
    const places = new Map(
      graphs.flatMap(({ weights }) => weights.map((at) => [`${at.file} ${at.offset}`, at.length])),
    );
    const needed = [...places.values()].reduce((sum, length) => sum + length, 0);
    return noRoomFor("the model's weights", needed, this.options.driver.facts, freeBytes, cause);
  }

  /** Until nothing reads or writes the arenas any more. */
  async #settle(reason: string): Promise<void> {
    this.#stopStreaming.abort(new Error(reason));
    await Promise.allSettled(this.#components.map(({ ready }) => ready));
    await Promise.all(this.#sessions.map((session) => session.settled()));
  }

  /** Waits for what is lent, and streams the rest; what keeps a disk from answering may pass, so a few times over. */
  #load(): void {
    this.#stopStreaming = new AbortController();
    this.#leaving = undefined;
    const { signal } = this.#stopStreaming;
    const attempts: Promise<WeightStream>[] = [];
    const attempt = (index: number) =>
      (attempts[index] ??= this.#attempt(index, attempts[index - 1], signal));
    const stream = async (component: string) => {
      for (let index = 0; ; index++) {
        try {
          return await (await attempt(index)).loaded(component);
        } catch (error) {
          if (index < RETRY_PAUSES_MS.length && error instanceof StorageUnavailable) continue;
          this.#note(error);
          if (!signal.aborted) this.#lose(error);
          throw error;
        }
      }
    };
    const load = async (component: Component) => {
      const { arena, arrival } = component;
      try {
        await arrival;
      } catch (error) {
        signal.throwIfAborted();
        // Runs that have begun over what is lent, and wait for the rest, begin anew.
        component.stages.lapse();
        await this.#leave(error);
      }
      if (!arena.isLoaded) await stream(arena.component);
    };
    for (const component of this.#components) {
      component.arrival = component.arena.isLent ? this.#arrive(component.arena, signal) : Promise.resolve();
    }
    for (const component of this.#components) {
      component.ready = load(component);
      // Whoever runs the session, or waits for `loaded`, hears of it.
      component.ready.catch(() => {});
      component.stages.follow(component.ready);
    }
  }

  async #arrive(arena: WeightArena, signal: AbortSignal): Promise<void> {
    const lent = this.#lent;
    if (!lent) throw new Error(`${arena.component}: expected its lender`);
    await inSpan(`keeper ${arena.component}`, () => unlessAborted(lent.loaded(arena.component), signal));
    const difference = await inSpan(`probe ${arena.component}`, () => differenceIn(arena, this.#transfers));
    if (difference !== undefined) {
      lent.giveBack(arena.component, true);
      throw new Error(`${arena.component}: what is lent is not what its digest says ${difference}`);
    }
    arena.arrived();
  }

  /** Takes memory of our own for all that has not arrived; what has arrived stays, its memory is good without its lender. */
  #leave(reason: unknown): Promise<void> {
    this.#leaving ??= (async () => {
      this.options.onFallback?.(reason);
      const left = this.#components.filter(({ arena }) => arena.isLent && !arena.isLoaded);
      for (const { arena } of left) this.#lent?.giveBack(arena.component, false);
      for (const component of left) {
        const { arena, turns, opened, arrival } = component;
        await Promise.allSettled([opened, arrival]);
        if (arena.isLoaded) continue;
        // Warm-ups read these addresses, whatever is there.
        await turns.take(async () => {
          arena.release();
          await this.#makeRoom();
          arena.resume();
        });
      }
    })();
    return this.#leaving;
  }

  async #attempt(
    index: number,
    before: Promise<WeightStream> | undefined,
    signal: AbortSignal,
  ): Promise<WeightStream> {
    const { driver, bufferBytes, cache } = this.options;
    if (before) {
      await (await before).done.catch(() => {});
      await sleep(RETRY_PAUSES_MS[index - 1], undefined, { signal }).catch(() => signal.throwIfAborted());
    }
    const missing = this.#components
      .map(({ arena }) => arena)
      .filter((arena) => !arena.isLoaded && !arena.isLent);
    return streamWeights(driver, missing, {
      signal,
      onPlaced: (name, end) => this.#placed(name, end, { isLent: false }),
      onProgress: ({ component, kind, ...span }) =>
        tellSpan(() => ({ name: `${kind} ${component}`, ...span })),
      ...(bufferBytes !== undefined && { bufferBytes }),
      ...(cache && { cache }),
      pinned: this.#pinned,
    });
  }
}

/** Before another stream is tried, after one that could not read. */
const RETRY_PAUSES_MS = [250, 1_000, 4_000];

/** What is drawn with such weights is wrong, and those that come with the next engine are others. */
function damaged(component: string, device: string): DeviceLost {
  return new DeviceLost(
    `the weights of ${component} in the memory of ${device} are not what its files have; a new engine streams them again: if it happens again, check the memory (\`nvidia-smi -q -d ECC\`)`,
  );
}

function weightIn(
  arena: WeightArena,
  { name, dtype, shape, length }: RuntimeGraph['weights'][number],
): ForeignTensor {
  return { type: storedType(dtype), dims: shape, data: arena.addressOf(name), byteLength: length };
}
