import { z } from 'zod';
import { WeightOptions } from '../runtime/weight-options.js';
import { PreparedCheckpoint } from './protocol.js';

/** What a host tells a keeper at its start: one JSON argument, since a keeper reads no environment. */
export const KeeperArguments = z.strictObject({
  /** The GPU's number. */
  index: z.int().nonnegative(),
  socket: z.string(),
  lockFile: z.string(),
  /** How long it stays with nobody connected, and keeps weights that nobody maps; 0: until it is stopped. */
  keepSeconds: z.number().nonnegative(),
  /** How often it compares all that it holds with the files. Default: 3600. */
  verifySeconds: z.number().positive().default(3600),
  /** Whether it waits for the lock of the keeper that it replaces. */
  replaces: z.boolean(),
  /** What it streams unasked, as soon as it can. */
  prepare: PreparedCheckpoint.optional(),
  weights: WeightOptions.optional(),
  logLevel: z.string(),
});
export type KeeperArguments = z.output<typeof KeeperArguments>;
/** As hosts write it: what has a default may be left out. */
export type KeeperArgumentsText = z.input<typeof KeeperArguments>;
