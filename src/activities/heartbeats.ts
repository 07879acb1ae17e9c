import { Context } from '@temporalio/activity';

/**
 * How often an activity shows that its process lives. It bounds how long a cancellation takes to arrive
 * (it comes with the answer to a heartbeat), and must be well below the heartbeat timeouts in `workflows/retry.ts`.
 */
const INTERVAL_MS = 1000;

/** One attempt at an activity, as long as it is worth going on with. */
export interface Attempt {
  /** Sends a heartbeat at once; it is repeated until the next one. */
  beat(details: unknown): void;
  /** Aborts when the attempt is cancelled, or was given up by the server. */
  readonly signal: AbortSignal;
  /** @throws the signal's reason where the attempt is over */
  throwIfOver(): void;
}

/**
 * Sends heartbeats while `work` runs. They say that this process lives; whether the engine does is the host's to watch.
 * A process that was frozen for longer than the heartbeat timeout has lost its attempt to another one, and would learn
 * that only after it has done what nobody wants any more: its own clock tells it before.
 */
export async function withHeartbeats<T>(work: (attempt: Attempt) => Promise<T>): Promise<T> {
  const context = Context.current();
  const { heartbeatTimeoutMs = Number.POSITIVE_INFINITY } = context.info;
  const lost = new AbortController();
  const signal = AbortSignal.any([context.cancellationSignal, lost.signal]);
  let last: unknown;
  let beatenAt = Date.now();

  function noteSilence(): void {
    const silentMs = Date.now() - beatenAt;
    if (silentMs <= heartbeatTimeoutMs) return;
    lost.abort(
      new Error(`this process was frozen for ${silentMs} ms: the attempt counts as lost and was given away`),
    );
  }

  function beat(details: unknown): void {
    noteSilence();
    last = details;
    beatenAt = Date.now();
    context.heartbeat(details);
  }

  const timer = setInterval(() => beat(last), INTERVAL_MS);
  try {
    return await work({
      beat,
      signal,
      throwIfOver() {
        noteSilence();
        signal.throwIfAborted();
      },
    });
  } finally {
    clearInterval(timer);
  }
}
