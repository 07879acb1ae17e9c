import crypto from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

/**
 * Makes everything that this process draws from now on come from the kernel. Node and OpenSSL keep generators in
 * memory, so all engines that are restored from one image would go on with the same numbers, and neither can be told
 * to begin anew. Seeds are not concerned: a picture's noise is computed from the request.
 */
export function drawFromKernel(): void {
  crypto.randomBytes = ((size: number, callback?: (error: Error | null, bytes: Buffer) => void) => {
    const bytes = fromKernel(size);
    if (callback) process.nextTick(callback, null, bytes);
    return callback ? undefined : bytes;
  }) as typeof crypto.randomBytes;
  crypto.randomUUID = () => uuidOf(fromKernel(16));
  syncBuiltinESMExports();
  // 53 bits, as many as a number in [0, 1) has.
  Math.random = () => Number(fromKernel(8).readBigUInt64LE() >> 11n) / 2 ** 53;
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

/** A version 4 UUID of these bytes (RFC 9562). */
function uuidOf(bytes: Buffer): `${string}-${string}-${string}-${string}-${string}` {
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
