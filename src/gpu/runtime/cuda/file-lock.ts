import koffi, { type KoffiFunc } from 'koffi';
import { loadLibrary } from './native.js';

const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;

let flock: KoffiFunc<(descriptor: number, operation: number) => number> | undefined;

/**
 * Takes the kernel's lock on an open file, or changes the one that it has. It ends with the descriptor, however its
 * process ends; descriptors of one process stand against each other as those of two do.
 * @param shared held by several at a time, as long as nobody has the file for himself
 * @returns false where somebody else's lock is in the way
 */
export function tryLock(descriptor: number, { shared = false } = {}): boolean {
  flock ??= loadLibrary('libc.so.6').func('flock', 'int', ['int', 'int']) as NonNullable<typeof flock>;
  for (;;) {
    if (flock(descriptor, (shared ? LOCK_SH : LOCK_EX) | LOCK_NB) === 0) return true;
    const errno = koffi.errno();
    if (errno === koffi.os.errno.EAGAIN) return false;
    if (errno !== koffi.os.errno.EINTR) throw new Error(`flock failed [errno=${errno}]`);
  }
}
