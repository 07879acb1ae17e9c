import type { CudaDriver } from '../../src/gpu/runtime/cuda/driver.js';

const MIB = 2 ** 20;
const PINNED_BYTES = 256 * MIB;
const COPY_BYTES = 64 * MIB;
const ROUNDS = 5;
/** Of each round: 0.15 s on PCIe 5. */
const ROUND_BYTES = 8192 * MIB;

/**
 * Bytes a second from pinned memory to the device through two streams, the best of a few rounds: what no stream of
 * weights can beat.
 */
export async function pinnedPeak(
  driver: CudaDriver,
  { roundBytes = ROUND_BYTES, copyBytes = COPY_BYTES } = {},
): Promise<number> {
  const pinned = driver.allocatePinned(Math.min(PINNED_BYTES, roundBytes));
  const target = driver.allocate(pinned.bytes.byteLength);
  const streams = [driver.createStream(), driver.createStream()];
  const events = streams.map(() => driver.createEvent());
  // Pages that were never written are all one page of zeros.
  pinned.bytes.fill(0x5a);
  let best = 0;
  try {
    for (let round = 0; round < ROUNDS; round++) {
      const began = performance.now();
      for (let at = 0; at < roundBytes; at += copyBytes) {
        const offset = BigInt(at % pinned.bytes.byteLength);
        const stream = streams[(at / copyBytes) % streams.length];
        stream?.copyToDevice(target.address + offset, pinned.address + offset, copyBytes);
      }
      for (const [index, stream] of streams.entries())
        stream.record(events[index] as (typeof events)[number]);
      await Promise.all(events.map((event) => event.done()));
      best = Math.max(best, roundBytes / ((performance.now() - began) / 1000));
    }
  } finally {
    for (const event of events) event.close();
    for (const stream of streams) stream.close();
    target.close();
    pinned.close();
  }
  return best;
}
