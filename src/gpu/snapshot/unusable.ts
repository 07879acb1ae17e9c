/** Why a worker did not start from a snapshot. Part of a metric: these never change their meaning. */
export const FALLBACK_REASONS = [
  /** This machine can't restore; `temporal-diffusion doctor` says what it lacks. */
  'unsupported',
  /** There is none yet. */
  'missing',
  /** Truncated, corrupted, or not to be trusted. */
  'damaged',
  /** Made of something that is different now: the model, the code, Node, a library. */
  'stale',
  /** Made on another kind of machine. */
  'foreign',
  /** The GPU has less memory free than the engine needs. */
  'no-room',
  /** CRIU or the engine failed. */
  'failed',
  /** It did not answer within its deadline. */
  'timeout',
  /** It failed too often. */
  'disabled',
  /** `auto` has measured that a fresh start is faster, or has measured nothing yet. */
  'slower',
  'unmeasured',
] as const;
export type FallbackReason = (typeof FALLBACK_REASONS)[number];

/** Why a snapshot is not used. */
export class Unusable extends Error {
  constructor(
    readonly reason: FallbackReason,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
