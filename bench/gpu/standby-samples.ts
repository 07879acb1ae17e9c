import { setTimeout as sleep } from 'node:timers/promises';
import type { EngineHost } from '../../src/gpu/host.js';
import { itemsOf, milliseconds } from './lab.js';

/** Milliseconds, and bytes of the whole device in use, by whomever (0 on the CPU); a value a run. */
export interface StandbySamples {
  readonly release: number[];
  /** Until it is answered: weights are then on their way. */
  readonly resume: number[];
  /** From asking for the memory to the first picture. */
  readonly first: number[];
  readonly warm: number[];
  /** Of the first picture, until its text is encoded. */
  readonly text: number[];
  readonly heldBytes: number[];
  readonly leftBytes: number[];
}

/** Pinning 30 GB of weights took an H100's host 2 s, in the background. */
export const REST_MS = 3000;

/**
 * An engine gives its memory back, takes it again, draws its first picture, then a warm one.
 * @param restMs how long it stays in standby. Default: 0
 */
export async function sampleStandby(
  host: EngineHost,
  size: number,
  runs: number,
  restMs = 0,
): Promise<StandbySamples> {
  const draw = () => host.render({ items: itemsOf(size, 1) });
  for (let warmUp = 0; warmUp < 2; warmUp++) await draw();
  const samples: StandbySamples = {
    ...{ release: [], resume: [], first: [], warm: [], text: [], heldBytes: [], leftBytes: [] },
  };
  for (let run = 0; run < runs; run++) {
    samples.heldBytes.push(await usedBytes(host));
    samples.release.push(await milliseconds(() => host.release()));
    samples.leftBytes.push(await usedBytes(host));
    await sleep(restMs);
    const began = performance.now();
    samples.resume.push(await milliseconds(() => host.resume()));
    const [image] = await draw();
    samples.first.push(performance.now() - began);
    samples.text.push(image?.stages.textMs ?? 0);
    samples.warm.push(await milliseconds(draw));
  }
  return samples;
}

export interface TurnSamples {
  /** A picture by the model that was in standby. */
  readonly swapped: number[];
  readonly warm: number[];
  readonly usedBytes: number[];
}

/** Each is asked in its turn for a picture, then for a warm one. @param hosts of which one at a time has memory */
export async function sampleTurns(
  hosts: readonly EngineHost[],
  size: number,
  turns: number,
): Promise<TurnSamples> {
  const samples: TurnSamples = { swapped: [], warm: [], usedBytes: [] };
  for (let turn = 0; turn < turns; turn++) {
    const host = hosts[turn % hosts.length] as EngineHost;
    const draw = () => host.render({ items: itemsOf(size, 1) });
    samples.swapped.push(await milliseconds(draw));
    samples.warm.push(await milliseconds(draw));
    samples.usedBytes.push(await usedBytes(host));
  }
  return samples;
}

export function differences(values: readonly number[], others: readonly number[]): number[] {
  return values.map((value, index) => value - (others[index] ?? 0));
}

async function usedBytes(host: EngineHost): Promise<number> {
  const { deviceMemory } = await host.stats();
  return deviceMemory ? deviceMemory.totalBytes - deviceMemory.freeBytes : 0;
}
