import { fileURLToPath } from 'node:url';
import type { CheckpointDriver } from '../../src/gpu/runtime/cuda/checkpoint.js';

/** What a checkpoint helper without a driver does. */
export interface CheckpointProcess {
  /** Default: 1 GiB, 1 MiB. */
  readonly freeBytes?: number;
  readonly ownBytes?: number;
  readonly name?: string;
  readonly uuid?: string;
  readonly driver?: string;
  readonly isUnsupported?: boolean;
  /** The call that it never returns from, or that fails with that code of CUDA's. */
  readonly hangsAt?: keyof CheckpointDriver;
  readonly failsAt?: keyof CheckpointDriver;
  readonly code?: number;
  /** The number of the only process that it finds. Default: it finds all. */
  readonly knowsOnly?: number;
  /** What it must be told at a restore. */
  readonly expectsMove?: { readonly from: string; readonly to: string };
}

const PROGRAM = fileURLToPath(new URL('./checkpoint-process.js', import.meta.url));

/** The command of such a helper. */
export function checkpointProcess(options: CheckpointProcess = {}): string[] {
  return [process.execPath, PROGRAM, JSON.stringify(options)];
}
