import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errorCode } from './file-error.js';

/**
 * Makes a folder and those above it. Node's own recursive mkdir says ENOENT on a read-only file system; this one
 * throws what the system said about the folder that could not be made.
 */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdirIfAbsent(path);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT' || dirname(path) === path) throw error;
    await makeFolder(dirname(path));
    await mkdirIfAbsent(path);
  }
}

async function mkdirIfAbsent(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    if (errorCode(error) !== 'EEXIST' || !(await stat(path)).isDirectory()) throw error;
  }
}
