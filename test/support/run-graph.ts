import assert from 'node:assert/strict';
import type { Graph } from '../../src/gpu/graph/builder.js';
import { openCpuRuntime } from '../../src/gpu/runtime/onnxruntime-cpu.js';
import type { HeldTensor, Inputs } from '../../src/gpu/runtime/session.js';

/** Runs a graph once on the CPU. */
export async function runGraph(
  graph: Graph,
  weightsFolder: string,
  inputs: Inputs,
): Promise<Readonly<Record<string, HeldTensor>>> {
  const runtime = openCpuRuntime(2);
  try {
    const [session] = await runtime.open([{ component: 'tested', ...graph, weightsFolder }]);
    assert.ok(session);
    return await session.run(inputs);
  } finally {
    await runtime.close();
  }
}
