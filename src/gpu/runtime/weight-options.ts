import { z } from 'zod';
import { InvalidRequest } from '../../contract/errors.js';
import { parse } from '../../contract/parse.js';
import type { Device } from './session.js';

/** How weights get to a GPU. */
export const WeightOptions = z.strictObject({
  /** Bytes of pinned host memory that they pass through, a multiple of 4096. Default: 64 MiB, the fastest measured. */
  streamBufferBytes: z
    .int()
    .min(2 ** 20)
    .multipleOf(4096)
    .optional(),
  /**
   * The most bytes of files of weights that are kept in shared memory, where the next engine of this host reads them.
   * Default: none are.
   */
  hostCacheBytes: z.int().positive().optional(),
});
export type WeightOptions = z.infer<typeof WeightOptions>;

/** @throws InvalidRequest for values that make no sense, and for any on the CPU */
export function weightOptionsFor(device: Device, options: unknown): WeightOptions {
  const weights = parse(WeightOptions, options);
  const given = Object.entries(weights).flatMap(([name, value]) => (value === undefined ? [] : [name]));
  if (device === 'cpu' && given.length > 0) {
    throw new InvalidRequest(
      `weights: expected a GPU with ${given.join(' and ')}, got device cpu, whose weights are mapped from their files; leave them out, or name a device such as cuda:0`,
    );
  }
  return weights;
}
