import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** What must be the same wherever an engine that was captured on a GPU is restored. */
export interface GpuKind {
  /** Such as `NVIDIA H100 80GB HBM3`. */
  readonly name: string;
  /** Such as `580.159.04`. */
  readonly driver: string;
}

/**
 * The kind of this machine's GPUs, where the kernel tells and all are of one: known at once, and without CUDA.
 * @param root of the file system, for tests
 */
export async function commonGpuKind(root = '/'): Promise<GpuKind | undefined> {
  try {
    const folder = join(root, 'proc/driver/nvidia/gpus');
    const texts = (await readdir(folder)).map((gpu) => readFile(join(folder, gpu, 'information'), 'utf8'));
    const names = new Set((await Promise.all(texts)).map((text) => /^Model:\s*(.+?)\s*$/m.exec(text)?.[1]));
    const [name] = names;
    const driver = (await readFile(join(root, 'sys/module/nvidia/version'), 'utf8')).trim();
    return names.size === 1 && name !== undefined ? { name, driver } : undefined;
  } catch {
    return undefined;
  }
}
