import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import type { DeviceFacts } from './driver.js';
import type { WeightLayout } from './weight-layout.js';

/** The weights of one component as somebody wants them in device memory. */
export interface WantedWeights {
  readonly component: string;
  /** Of the checkpoint that they are of. */
  readonly checkpointDigest: string;
  /** Bytes of device memory that they take. */
  readonly mappedBytes: number;
  readonly layout: Pick<WeightLayout, 'plan' | 'extent'>;
}

/** A piece of another process's memory. */
export interface LentPiece {
  /** Stands for it. */
  readonly descriptor: number;
  readonly bytes: number;
}

/** Weights in the memory of a process that lends it. They may still be on their way there. */
export interface LentWeights {
  /** The memory of a component in the order of addresses, once: its descriptors are the taker's. */
  take(component: string): readonly LentPiece[];
  /** Resolves when all weights of the component are in place. @throws why they will not be: the lender may be gone */
  loaded(component: string): Promise<void>;
  /**
   * Says that these are not mapped here any more; who waits for them to be loaded then waits in vain.
   * @param isDamaged whether they are not what they should be: nobody else shall get them
   */
  giveBack(component: string, isDamaged: boolean): void;
  /** Lets go what nobody maps, for room on the device. @returns how many bytes that freed */
  makeRoom(): Promise<number>;
  /** @param listener told up to where in a component's memory all is in place, while it is not loaded */
  onPlaced(listener: (component: string, end: number) => void): void;
  /** @param listener told of components that were loaded and are found not to be what they were */
  onDamaged(listener: (component: string) => void): void;
  /** Gives all back, and closes what was not taken. Resolves when others may have it. Idempotent. */
  close(): Promise<void>;
}

/** Somebody who keeps weights on the device for others. */
export interface WeightSource {
  /**
   * @returns undefined where there is nobody to ask
   * @throws Error with the reason where nothing is lent, or not all of it
   */
  lend(wanted: readonly WantedWeights[], device: DeviceFacts): Promise<LentWeights | undefined>;
}

/**
 * What two processes that agree on it may share memory by: SHA-256 over which weights of which checkpoint lie where.
 * Paths don't count, so that a checkpoint may lie elsewhere in the next release's container.
 */
export function weightsKey({ component, checkpointDigest, mappedBytes, layout }: WantedWeights): string {
  const places = layout.plan.map(({ file, fileOffset, arenaOffset, length }) => [
    basename(file),
    fileOffset,
    arenaOffset,
    length,
  ]);
  const facts = JSON.stringify([component, checkpointDigest, mappedBytes, places]);
  return createHash('sha256').update(facts).digest('hex');
}
