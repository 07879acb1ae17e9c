import type { Pipeline } from '../../src/gpu/engine/pipeline.js';
import type { Runtime } from '../../src/gpu/runtime/session.js';
import { itemsOf, QUIET, sampled } from './lab.js';
import type { BatchTiming } from './results.js';

const LOOK_MS = 5;

/** Draws a batch again and again. */
export async function timeBatch(
  pipeline: Pipeline,
  runtime: Runtime,
  { size, batch, runs }: { readonly size: number; readonly batch: number; readonly runs: number },
): Promise<BatchTiming> {
  const items = itemsOf(size, batch);
  const peak = watchMemory(runtime);
  try {
    const { samples, kept } = await sampled(runs, () => pipeline.render(items, QUIET));
    const denoise = kept.map(([first]) => first?.stages.denoiseMs ?? 0);
    return { size, batch, samples, denoise, ...(peak.bytes > 0 && { peakBytes: peak.bytes }) };
  } finally {
    peak.stop();
  }
}

/** The most device memory in use, by whomever, at the times that we look. */
function watchMemory(runtime: Runtime) {
  const peak = {
    bytes: 0,
    stop() {
      look();
      clearInterval(timer);
    },
  };
  const look = () => {
    const memory = runtime.memory();
    if (memory) peak.bytes = Math.max(peak.bytes, memory.totalBytes - memory.freeBytes);
  };
  const timer = setInterval(look, LOOK_MS);
  return peak;
}
