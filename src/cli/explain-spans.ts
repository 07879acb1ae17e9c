import type { ExplainedAttempt, ExplainedTask } from '../contract/explanation.js';

/** What a stretch of time was spent on. */
export type SpanKind =
  | 'wait'
  | 'start'
  | 'lost'
  | 'text'
  | 'steps'
  | 'decode'
  | 'other'
  | 'encode'
  | 'upload';

export interface TimeSpan {
  readonly kind: SpanKind;
  /** Milliseconds since 1970. */
  readonly from: number;
  readonly to: number;
  /** Which attempts, where they are part of one. */
  readonly attempt?: ExplainedAttempt;
}

/**
 * What a task's time went to, one after the other and without gaps. Times of failed attempts are by their hosts'
 * clocks, so where those go wrong by more than the pauses between them, they overlap; each then begins where the last
 * one ended.
 * @param now where what is not over ends
 */
export function spansOf(task: ExplainedTask, now: number): TimeSpan[] {
  const spans: TimeSpan[] = [];
  let at = task.scheduledAt;
  const add = (kind: SpanKind, to: number, attempt?: ExplainedAttempt) => {
    if (to > at) spans.push({ kind, from: at, to, ...(attempt && { attempt }) });
    at = Math.max(at, to);
  };
  for (const attempt of task.attempts) {
    const { startedAt, ms = 0, state, coldStartMs = 0, engine } = attempt;
    if (startedAt === undefined) continue;
    // Once its engine was up, a task may still have waited for others that it drew first.
    const readyAt = Math.min(startedAt, engine?.readyAt ?? startedAt);
    if (coldStartMs > 0) {
      add('wait', readyAt - coldStartMs, attempt);
      add('start', readyAt, attempt);
    }
    add('wait', startedAt, attempt);
    if (state === 'done') addStages(task, attempt, add);
    else if (state === 'running') add(task.type === 'generate' ? 'steps' : 'other', startedAt + ms, attempt);
    else add('lost', startedAt + ms, attempt);
  }
  const isIdle = task.state === 'waiting' || task.state === 'cancelled';
  add(task.state === 'timed-out' ? 'lost' : isIdle ? 'wait' : 'other', task.endedAt ?? now);
  return spans;
}

function addStages(
  { type, stages = {} }: ExplainedTask,
  attempt: ExplainedAttempt,
  add: (kind: SpanKind, to: number, attempt?: ExplainedAttempt) => void,
): void {
  const { startedAt = 0, ms = 0 } = attempt;
  const parts: [SpanKind, number][] = [
    ['start', stages.engineMs ?? 0],
    ['text', stages.textMs ?? 0],
    ['steps', stages.denoiseMs ?? 0],
    ['decode', stages.decodeMs ?? 0],
    ['encode', stages.encodeMs ?? 0],
    ['upload', stages.storeMs ?? 0],
  ];
  let at = startedAt;
  for (const [kind, length] of parts) {
    at += length;
    if (length > 0) add(kind, Math.min(at, startedAt + ms), attempt);
  }
  add(type === 'publishMany' ? 'upload' : 'other', startedAt + ms, attempt);
}
