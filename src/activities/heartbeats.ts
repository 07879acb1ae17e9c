import { Context } from '@temporalio/activity';

/**
 * How often an activity shows that its process lives. It bounds how long a cancellation takes to arrive
 * (it comes with the answer to a heartbeat), and must be well below the heartbeat timeouts in `workflows/retry.ts`.
 */
const INTERVAL_MS = 1000;

/**
 * Sends heartbeats while `work` runs: at once whenever it calls `beat`, and in between the last one again.
 * They say that this process lives; whether the engine does is the host's to watch.
 */
export async function withHeartbeats<T>(work: (beat: (details: unknown) => void) => Promise<T>): Promise<T> {
  const context = Context.current();
  let last: unknown;
  const beat = (details: unknown): void => {
    last = details;
    context.heartbeat(details);
  };
  const timer = setInterval(() => context.heartbeat(last), INTERVAL_MS);
  try {
    return await work(beat);
  } finally {
    clearInterval(timer);
  }
}
