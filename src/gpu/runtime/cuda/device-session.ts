import { inSpan } from '../../spans.js';
import { type HeldTensor, type Inputs, releaseAll, type Session, type Tensor } from '../session.js';
import { DeviceTensor } from './device-tensor.js';
import type { OrtRunOptions, OrtSession, OrtTensor } from './ort.js';
import type { Stages } from './stages.js';
import type { Turns } from './turns.js';

/** The weights that a session runs over. */
export interface SessionWeights {
  /** Runs over them wait for each other, and what changes the memory behind them waits for runs. */
  readonly turns: Turns;
  readonly stages: Stages;
  /** Resolves when they are in place. */
  readonly ready: Promise<unknown>;
}

/** The runtime that it is one of. */
export interface SessionOwner {
  /** Work on the device. */
  guarded<T>(work: () => Promise<T>): Promise<T>;
  /** Work that needs memory of the device: where that is full, once more after others have made room. */
  withRoom<T>(work: () => Promise<T>): Promise<T>;
  /** A value over an array of ours, good for one run. */
  borrow(tensor: Tensor): bigint;
  giveBack(value: bigint): void;
  /** A tensor of the device as callers hold it. */
  adopt(tensor: OrtTensor): HeldTensor;
}

/** A session over weights that may still be on their way. */
export class DeviceSession implements Session {
  constructor(
    private readonly name: string,
    private readonly session: OrtSession,
    private readonly weights: SessionWeights,
    private readonly owner: SessionOwner,
  ) {}

  /** Runs of one session wait for each other. */
  get #turns(): Turns {
    return this.weights.turns;
  }

  async ready(): Promise<void> {
    await this.weights.stages.begun;
  }

  async run(inputs: Inputs, signal?: AbortSignal): Promise<Record<string, HeldTensor>> {
    const { stages } = this.weights;
    const options = { waits: stages.areSeveral, signal };
    const run = () => this.#run(inputs, options);
    for (;;) {
      await this.ready();
      try {
        return await this.#turns.take(() => this.owner.guarded(() => this.owner.withRoom(run)));
      } catch (error) {
        signal?.throwIfAborted();
        if (!stages.progress.isFailed) throw error;
        // Others may come in the place of those that did not.
        await this.weights.ready;
      }
    }
  }

  async warmUp(inputs: () => Promise<Inputs>): Promise<void> {
    const warmUp = () => inSpan(`warm-up ${this.name}`, async () => this.#run(await inputs(), {}));
    releaseAll(await this.#turns.take(() => this.owner.guarded(warmUp)));
  }

  /** Resolves when no run is under way. */
  settled(): Promise<void> {
    return this.#turns.over();
  }

  /** No run may be under way. */
  shrink(): Promise<void> {
    return this.session.shrink();
  }

  close(): Promise<void> {
    return this.session.close();
  }

  async #run(inputs: Inputs, options: OrtRunOptions): Promise<Record<string, HeldTensor>> {
    // Arrays are held as long as values stand for them.
    const borrowed: { value: bigint; tensor: Tensor }[] = [];
    try {
      const values = new Map<string, bigint>();
      for (const [name, tensor] of Object.entries(inputs)) {
        if (tensor instanceof DeviceTensor) {
          values.set(name, tensor.value);
          continue;
        }
        const here = 'read' in tensor ? await tensor.read() : tensor;
        const value = this.owner.borrow(here);
        borrowed.push({ value, tensor: here });
        values.set(name, value);
      }
      const outputs = await this.session.run(values, options);
      return Object.fromEntries([...outputs].map(([name, tensor]) => [name, this.owner.adopt(tensor)]));
    } finally {
      for (const { value } of borrowed) this.owner.giveBack(value);
    }
  }
}
