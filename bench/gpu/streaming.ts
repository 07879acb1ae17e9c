import type { Graphs } from '../../src/gpu/graph/graphs.js';
import type { CudaDriver } from '../../src/gpu/runtime/cuda/driver.js';
import { WeightArena } from '../../src/gpu/runtime/cuda/weight-arena.js';
import { streamWeights } from '../../src/gpu/runtime/cuda/weight-stream.js';
import { milliseconds } from './lab.js';
import type { Streaming } from './results.js';

/** Streams a pipeline's weights into device memory, `rounds` times. */
export async function measureStreaming(
  driver: CudaDriver,
  graphs: Graphs,
  rounds: number,
): Promise<Streaming> {
  const arenas = [
    new WeightArena(driver, 'text_encoder', graphs.textEncoder.weights),
    new WeightArena(driver, 'transformer', graphs.transformer.weights),
    new WeightArena(driver, 'vae', graphs.vaeDecoder.weights),
  ];
  try {
    const samples: number[] = [];
    let [resumeMs, releaseMs] = [0, 0];
    for (let round = 0; round < rounds; round++) {
      releaseMs = await milliseconds(async () => {
        for (const arena of arenas) arena.release();
      });
      resumeMs = await milliseconds(async () => {
        for (const arena of arenas) arena.resume();
      });
      samples.push(await milliseconds(() => streamWeights(driver, arenas).done));
    }
    const bytes = arenas.reduce((sum, arena) => sum + arena.bytes, 0);
    return { bytes, milliseconds: samples, resumeMs, releaseMs };
  } finally {
    for (const arena of arenas) arena.close();
  }
}
