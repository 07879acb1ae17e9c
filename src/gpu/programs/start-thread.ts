import { Worker } from 'node:worker_threads';
import { type Program, programUrl } from './places.js';

/** Far more than such a thread's code takes. */
const CODE_MB = 32;

/**
 * Starts a program on a thread of this process.
 *
 * V8 reserves memory for each thread's code, from Node 24 on half a gigabyte, which counts where an engine's memory is
 * limited. So threads have a limit of their own.
 */
export function startThread(program: Program, workerData?: unknown): Worker {
  return new Worker(programUrl(program), { workerData, resourceLimits: { codeRangeSizeMb: CODE_MB } });
}
