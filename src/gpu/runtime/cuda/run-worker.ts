/*
 * The thread that all runs of a session are made on, one after the other: ONNX Runtime's CUDA provider keeps cuBLAS and
 * cuDNN handles for every thread that a session was ever run on, and making them takes longer than a step.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { loadOrtLibrary } from './ort-functions.js';
import type { RunRequest, RunResult } from './run-thread.js';

const port = parentPort;
if (!port) throw new Error('expected to be started as a worker thread');
const functions = loadOrtLibrary(workerData as string);

port.on('message', ({ id, session, options, binding }: RunRequest) => {
  const status = functions.RunWithBinding(session, options, binding);
  const result: RunResult = { id, status };
  port.postMessage(result);
});
