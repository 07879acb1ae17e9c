import crypto from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';

/** What OpenSSL's generator is seeded with: more than its state has. */
const SEED_BYTES = 48;
/** Node draws bytes for so many UUIDs, and for so many calls of `randomInt`, in advance. */
const UUIDS_IN_ADVANCE = 128;
const INTEGERS_IN_ADVANCE = 1024;

/**
 * Finds what makes all that this process draws from then on its own. Node, V8 and OpenSSL keep generators in memory,
 * so all engines that are restored from one image would go on with the same numbers; OpenSSL notices a fork by the
 * process's number, which is the same in each of them. Seeds are not concerned: a picture's noise is computed from the
 * request.
 * @returns to be called in a restored process, where nothing is left to load
 * @throws Error where this Node does not show OpenSSL's functions
 */
export async function findReseed(): Promise<() => void> {
  const { default: koffi } = await import('koffi');
  // All of OpenSSL's generators, of all threads, draw a new seed when this one has got one.
  const seedOpenssl = koffi.load(null).func('void RAND_seed(const void *bytes, int count)');
  return () => {
    seedOpenssl(fromKernel(SEED_BYTES), SEED_BYTES);
    for (let used = 0; used < UUIDS_IN_ADVANCE; used++) crypto.randomUUID();
    for (let used = 0; used < INTEGERS_IN_ADVANCE; used++) crypto.randomInt(2 ** 47);
    // V8 has no way to seed it. 53 bits, as many as a number in [0, 1) has.
    Math.random = () => Number(fromKernel(8).readBigUInt64LE() >> 11n) / 2 ** 53;
  };
}

function fromKernel(size: number): Buffer {
  const bytes = Buffer.alloc(size);
  const device = openSync('/dev/urandom', 'r');
  try {
    for (let done = 0; done < size; ) done += readSync(device, bytes, done, size - done, null);
  } finally {
    closeSync(device);
  }
  return bytes;
}
