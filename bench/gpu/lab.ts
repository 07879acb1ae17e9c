import { type Checkpoint, openCheckpoint } from '../../src/gpu/checkpoint/checkpoint.js';
import type { RenderHooks } from '../../src/gpu/engine/pipeline.js';
import { openCudaDriver } from '../../src/gpu/runtime/cuda/cuda-driver.js';
import type { CudaDriver } from '../../src/gpu/runtime/cuda/driver.js';
import { gpuIndexOf } from '../../src/gpu/runtime/gpu-index.js';
import { openRuntime } from '../../src/gpu/runtime/open-runtime.js';
import type { Device, Runtime } from '../../src/gpu/runtime/session.js';

/** What every measurement here is made on. */
export interface Lab {
  /** The checkpoint's folder. */
  readonly checkpoint: string;
  readonly device: Device;
  readonly cacheFolder: string;
  /** Of the CPU's kernels. */
  readonly threads: number;
  /** Sides of square pictures, the one that counts first. */
  readonly sizes: readonly number[];
  readonly batches: readonly number[];
  /** Timed runs of each kind. */
  readonly runs: number;
}

export const MODEL = 'klein';
export const STEPS = 4;
const PROMPTS = ['a lighthouse on a cliff at dusk, oil on canvas', 'two red apples and a glass of water'];

export function openLabCheckpoint({ checkpoint, cacheFolder }: Lab): Promise<Checkpoint> {
  return openCheckpoint(checkpoint, { name: MODEL, cacheFolder });
}

export function openLabRuntime({ device, threads, cacheFolder }: Lab): Promise<Runtime> {
  return openRuntime({ device, threads, cacheFolder });
}

/** The lab's GPU by itself. @throws RangeError on the CPU */
export function openLabDriver({ device }: Lab): Promise<CudaDriver> {
  if (device === 'cpu') throw new RangeError('expected a GPU, got cpu');
  return openCudaDriver({ device: gpuIndexOf(device), leastCuda: '13.0' });
}

/** A batch of square pictures. */
export function itemsOf(size: number, batch: number, prompts: readonly string[] = PROMPTS) {
  return Array.from({ length: batch }, (_, index) => ({
    index,
    prompt: prompts[index % prompts.length] as string,
    width: size,
    height: size,
    steps: STEPS,
    seed: index,
  }));
}

/** Nobody looks at steps here, and nobody cancels. */
export const QUIET: RenderHooks = { onStep: () => {}, signal: new AbortController().signal };

export async function milliseconds(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

const LEAST_RUNS = 3;
const ENOUGH_MS = 5000;

/**
 * Does something `runs` times, after two that are not counted: the first finds kernels and memory, the second is as
 * all others. What takes long is done three times at least, and no more after five seconds.
 * @param work returns what is to be kept of a run
 */
export async function sampled<T>(
  runs: number,
  work: () => Promise<T>,
): Promise<{ readonly samples: number[]; readonly kept: T[] }> {
  for (let run = 0; run < 2; run++) await work();
  const [samples, kept]: [number[], T[]] = [[], []];
  let total = 0;
  while (samples.length < runs && (samples.length < LEAST_RUNS || total < ENOUGH_MS)) {
    const took = await milliseconds(async () => kept.push(await work()));
    samples.push(took);
    total += took;
  }
  return { samples, kept };
}
