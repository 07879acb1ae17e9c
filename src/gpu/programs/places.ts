import { fileURLToPath } from 'node:url';

/**
 * Programs that run in processes of their own, what they do on threads of their own, and a module of kernels that such a
 * thread is told of: their compiled modules, by name, from `src/gpu/` on. `build.ts` bundles each.
 */
export const PROGRAMS = {
  engine: 'engine/main',
  keeper: 'keeper/main',
  checkpoint: 'runtime/cuda/checkpoint-main',
  'inputs-worker': 'engine/inputs-worker',
  'run-worker': 'runtime/cuda/run-worker',
  'digest-worker': 'checkpoint/digest-worker',
  'cuda-kernels': 'runtime/cuda/cuda-kernels',
} as const;
export type Program = keyof typeof PROGRAMS;

/** Where a program's bundle is, from a bundle as well as from this module. */
export function programUrl(name: Program): URL {
  return new URL(`./${name}.js`, import.meta.url);
}

/** @returns the same as a path */
export function programFile(name: Program): string {
  return fileURLToPath(programUrl(name));
}
