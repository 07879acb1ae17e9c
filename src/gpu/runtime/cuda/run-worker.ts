/*
 * The thread that all runs of a session are made on, one after the other: ONNX Runtime's CUDA provider keeps cuBLAS and
 * cuDNN handles for every thread that a session was ever run on, and making them takes longer than a step. Operators of
 * our own are computed here too.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { makeCustomOperators } from './custom-operators.js';
import { loadOrtLibrary } from './ort-functions.js';
import type { OwnKernelsModule } from './own-kernels.js';
import type { RunRequest, RunResult, RunThreadData } from './run-thread.js';
import { StageWait } from './stage-progress.js';

const port = parentPort;
if (!port) throw new Error('expected to be started as a worker thread');
const { libraryPath, ownKernels, progress } = workerData as RunThreadData;
const functions = loadOrtLibrary(libraryPath);
const stages = new StageWait(progress);

if (ownKernels) {
  const { openOwnKernels } = (await import(ownKernels.module)) as OwnKernelsModule;
  const { type } = ownKernels;
  const awaitWeights = (stage: number) => stages.wait(stage);
  port.postMessage(makeCustomOperators(functions, { kernels: openOwnKernels(type), type, awaitWeights }));
}

port.on('message', ({ id, session, options, binding, run, waits }: RunRequest) => {
  stages.begin(run, waits);
  const status = functions.RunWithBinding(session, options, binding);
  const result: RunResult = { id, status };
  port.postMessage(result);
});
