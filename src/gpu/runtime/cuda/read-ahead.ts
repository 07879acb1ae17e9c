import { closeSync, openSync } from 'node:fs';
import { loadLibrary } from './native.js';

/** `POSIX_FADV_WILLNEED`. */
const WILL_NEED = 3;

/**
 * Has the kernel read files into the page cache, as fast as the disk can, for somebody who will read them in small
 * pieces soon. Costs next to nothing where they are there already. Returns when that has begun.
 * @throws what opening them does
 */
export function readAhead(paths: readonly string[]): void {
  const advise = loadLibrary('libc.so.6').func('posix_fadvise', 'int', ['int', 'int64', 'int64', 'int']);
  for (const path of paths) {
    const file = openSync(path, 'r');
    // On another thread: it waits where the disk's queue is full. A file system that can't is no fault of ours.
    advise.async(file, 0, 0, WILL_NEED, () => closeSync(file));
  }
}
