import type { History } from '@temporalio/common/lib/proto-utils.js';

/** Where the code at hand parts from a history. */
export interface Difference {
  /** The recorded event that the code does not lead to; undefined where the SDK does not let it be found. */
  readonly event: RecordedEvent | undefined;
  /** What the code did there instead, where the SDK tells it. */
  readonly command: string | undefined;
  /** The SDK's words, without what it wraps them in. */
  readonly message: string;
}

export interface RecordedEvent {
  readonly id: number;
  /** Such as `ActivityTaskScheduled`. */
  readonly type: string;
  /** The name of the activity, child workflow, signal or marker, or the id of the timer. */
  readonly what: string | undefined;
}

type HistoryEvent = NonNullable<History['events']>[number];

/**
 * Reads where code and history part from a failed replay. The SDK's core names the event's id in some cases, and in
 * others the event's content only: then the shortest part of the history that fails too shows the workflow task.
 * @param message  the replay's error
 * @param replayed replays a part of the history; the error's message, undefined where there is none
 */
export async function differenceOf(
  history: History,
  message: string,
  replayed: (part: History) => Promise<string | undefined>,
): Promise<Difference> {
  const reason = reasonOf(message);
  const events = history.events ?? [];
  const id = /(?:HistoryEvent\(id: |event_id: )(\d+),/.exec(reason)?.[1];
  const named =
    id === undefined
      ? pick(await failingTask(events, replayed), reason)
      : events.find(({ eventId }) => String(eventId) === id);
  return { event: named && describe(named), command: commandOf(reason), message: reason };
}

/** Core wraps messages in its own failure as Rust prints it. */
function reasonOf(message: string): string {
  const quoted = /message: ("(?:[^"\\]|\\.)*")/.exec(message)?.[1];
  return (quoted === undefined ? message : unquoted(quoted)).replace(
    /^\[TMPRL\d+\] Nondeterminism error: /,
    '',
  );
}

function unquoted(text: string): string {
  try {
    return String(JSON.parse(text));
  } catch {
    // Rust escapes some characters in ways that JSON does not know.
    return text.slice(1, -1);
  }
}

function commandOf(reason: string): string | undefined {
  const instead = /does not match .* of (.+ command '.*')/.exec(reason)?.[1];
  if (instead !== undefined) return instead;
  if (reason.startsWith('No command scheduled')) return 'no command';
  const machine = /^(.+) machine does not handle this event/.exec(reason)?.[1];
  return machine && `a command of kind ${machine.toLowerCase()}`;
}

/** The events of the first workflow task whose outcome the code does not lead to. */
async function failingTask(
  events: readonly HistoryEvent[],
  replayed: (part: History) => Promise<string | undefined>,
): Promise<readonly HistoryEvent[]> {
  // A history that ends where a task has started is whole: it is what a worker gets.
  const ends = events.flatMap((event, place) =>
    event.workflowTaskStartedEventAttributes ? [place + 1] : [],
  );
  if (ends.at(-1) !== events.length) ends.push(events.length);
  let passing = -1;
  let failing = ends.length - 1;
  while (failing - passing > 1) {
    const middle = Math.floor((passing + failing) / 2);
    if ((await replayed({ events: events.slice(0, ends[middle]) })) === undefined) passing = middle;
    else failing = middle;
  }
  return events.slice(ends[passing] ?? 0, ends[failing]);
}

/** The event whose content the message quotes; else the first of the task. */
function pick(task: readonly HistoryEvent[], reason: string): HistoryEvent | undefined {
  const recorded = / of scheduled event '(.*?)' does not match/.exec(reason)?.[1];
  const quoted = task.find((event) => {
    const activity = event.activityTaskScheduledEventAttributes;
    const child = event.startChildWorkflowExecutionInitiatedEventAttributes;
    return [
      activity?.activityType?.name,
      activity?.activityId,
      child?.workflowType?.name,
      child?.workflowId,
    ].some((text) => text !== undefined && text === recorded);
  });
  return quoted ?? task[0];
}

function describe(event: HistoryEvent): RecordedEvent {
  const key = Object.keys(event).find(
    (name) => name.endsWith('EventAttributes') && event[name as keyof HistoryEvent],
  );
  const type = key?.replace(/EventAttributes$/, '') ?? 'unknown';
  return {
    id: Number(event.eventId),
    type: `${type.charAt(0).toUpperCase()}${type.slice(1)}`,
    what:
      event.activityTaskScheduledEventAttributes?.activityType?.name ??
      event.startChildWorkflowExecutionInitiatedEventAttributes?.workflowType?.name ??
      event.workflowExecutionSignaledEventAttributes?.signalName ??
      event.markerRecordedEventAttributes?.markerName ??
      event.timerStartedEventAttributes?.timerId ??
      undefined,
  };
}
