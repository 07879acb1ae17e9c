import { Context, type Info } from '@temporalio/activity';
import { CancelledFailure } from '@temporalio/common';
import { AttemptBeat, type AttemptRecord, collapsed } from '../contract/attempts.js';
import { RenderError } from '../contract/errors.js';
import { toFailure } from './failure.js';
import { type Attempt, withHeartbeats } from './heartbeats.js';
import { tenths } from './milliseconds.js';

/** An attempt that the history will know of, also where it fails or its host dies. */
export interface RecordedAttempt extends Omit<Attempt, 'beat'> {
  /** What became of the attempts before this one, as far as they could tell. */
  readonly earlier: readonly AttemptRecord[];
  /** What is known of this one from now on. */
  note(facts: Pick<Partial<AttemptRecord>, 'engine' | 'step' | 'of'>): void;
  beat(progress: object): void;
}

/** A failure of more than 2 KB is cut down by Temporal's server, its type included. */
const MAX_FAILURE_BYTES = 1_200;
/** Of an error that stands in a record; the failure itself has all of it. */
const MAX_MESSAGE = 160;
/** Attempts that heartbeats tell of: more than any of our retry policies has. */
const MAX_EARLIER = 20;

/**
 * Does the work of one attempt, and leaves behind how far it came: by its heartbeats to the next attempt, and by its
 * failure to the history.
 * @param host the machine's name
 */
export function recordedAttempt<T>(
  host: string | undefined,
  work: (attempt: RecordedAttempt) => Promise<T>,
): Promise<T> {
  const { info } = Context.current();
  const earlier = earlierAttempts(info);
  const startedAt = Date.now();
  const begun = performance.now();
  let record: AttemptRecord = {
    attempt: info.attempt,
    startedAt,
    ms: 0,
    queueMs: Math.max(0, startedAt - info.currentAttemptScheduledTimestampMs),
    ...(host !== undefined && { host }),
  };
  const now = (): AttemptRecord => ({ ...record, ms: tenths(performance.now() - begun) });

  return withHeartbeats(async (attempt) => {
    const beat = (progress: object) => attempt.beat({ ...progress, record: now(), earlier });
    try {
      return await work({
        ...attempt,
        earlier,
        beat,
        note(facts) {
          record = { ...record, ...facts };
        },
      });
    } catch (error) {
      if (error instanceof CancelledFailure) throw new CancelledFailure(messageOf(error), [now()]);
      // The failure says what it failed with; the next attempt hears of it only so.
      const own = now();
      record = { ...record, error: { type: typeOf(error), message: shortened(messageOf(error)) } };
      beat({});
      throw toFailure(error, [lastThatFit([...earlier, own])]);
    }
  });
}

/** What the last attempt's heartbeats left behind. */
function earlierAttempts({ heartbeatDetails }: Info): AttemptRecord[] {
  const beat = AttemptBeat.safeParse(heartbeatDetails);
  if (!beat.success) return [];
  return collapsed([...beat.data.earlier, beat.data.record]).slice(-MAX_EARLIER);
}

/** Those of the last records whose JSON is short enough; the very last in any case. */
function lastThatFit(records: readonly AttemptRecord[]): AttemptRecord[] {
  for (let from = 0; from < records.length - 1; from++) {
    const rest = records.slice(from);
    if (JSON.stringify(rest).length <= MAX_FAILURE_BYTES) return rest;
  }
  return records.slice(-1);
}

function typeOf(error: unknown): string {
  return error instanceof RenderError ? error.type : 'Error';
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function shortened(message: string): string {
  return message.length > MAX_MESSAGE ? `${message.slice(0, MAX_MESSAGE)}…` : message;
}
