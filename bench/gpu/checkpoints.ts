import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileExists } from '../../src/gpu/checkpoint/file-exists.js';
import { packageRoot } from '../../src/package-root.js';

/** Runs one of the Python scripts beside this file. @throws Error where it fails */
export async function python(script: string, args: readonly string[]): Promise<void> {
  const child = spawn('python3', [join(packageRoot(), 'bench', 'gpu', script), ...args], {
    stdio: 'inherit',
    env: { ...process.env, PYTHONUNBUFFERED: '1' },
  });
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`${script} ended with ${code}`);
}

/** Makes a checkpoint of random weights, unless it is there. @param shape `9b`, `4b` or `tiny` */
export async function makeCheckpoint(folder: string, shape: string): Promise<void> {
  if (await fileExists(join(folder, 'model_index.json'))) return;
  await python('make_checkpoint.py', [folder, ...(shape === 'tiny' ? ['--tiny'] : ['--shape', shape])]);
}
