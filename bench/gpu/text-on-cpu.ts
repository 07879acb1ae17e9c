/*
 * A process that opens the text encoder alone with the CPU's kernels, encodes a prompt as often as it is told to, and
 * writes down what that took. `outlive.ts` starts it, and ends it where it takes too long: after each encoding there is
 * something to read.
 */
import { writeFile } from 'node:fs/promises';
import { FLOAT32, loadGraphs } from '../../src/gpu/graph/graphs.js';
import { openCpuRuntime } from '../../src/gpu/runtime/onnxruntime-cpu.js';
import { pipelineGraphs } from '../../src/gpu/runtime/pipeline-graphs.js';
import { integerTensor, releaseAll } from '../../src/gpu/runtime/session.js';
import { type Lab, milliseconds, openLabCheckpoint } from './lab.js';

export interface TextOnCpu {
  /** Until its session is open, with all weights read and widened to float32. */
  readonly openMs: number;
  readonly encodeMs: number[];
}

const { lab, file } = JSON.parse(process.argv[2] ?? '{}') as { lab: Lab; file: string };
const { cacheFolder, threads, runs } = lab;
const began = performance.now();
const checkpoint = await openLabCheckpoint(lab);
const graphs = await loadGraphs(checkpoint, { cacheFolder, compute: FLOAT32 });
const runtime = openCpuRuntime(threads);
const [textEncoder] = await runtime.open([pipelineGraphs(checkpoint, graphs)[0]]);
if (!textEncoder) throw new Error('expected a session');
const told: TextOnCpu = { openMs: performance.now() - began, encodeMs: [] };
// All tokens count, as those of padding do.
const { maxTokens } = checkpoint.card;
const ids = Array.from({ length: maxTokens }, (_, at) => at % 100);
const inputs = {
  input_ids: integerTensor(ids, [1, maxTokens]),
  attention_mask: integerTensor(new Array<number>(maxTokens).fill(1), [1, maxTokens]),
};
for (let run = 0; run < runs; run++) {
  told.encodeMs.push(await milliseconds(async () => releaseAll(await textEncoder.run(inputs))));
  await writeFile(file, JSON.stringify(told));
}
process.exit(0);
