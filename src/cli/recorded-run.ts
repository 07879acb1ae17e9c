import type { LoadedDataConverter } from '@temporalio/common';
import { decodeArrayFromPayloads } from '@temporalio/common/lib/internal-non-workflow/index.js';
import type { History } from '@temporalio/common/lib/proto-utils.js';
import type { google, temporal } from '@temporalio/proto';
import { z } from 'zod';
import { AttemptBeat, AttemptRecord } from '../contract/attempts.js';
import type { ExplainedFailure, ExplainedMark, ExplainedRun } from '../contract/explanation.js';
import { remedyOf } from '../contract/remedies.js';

type HistoryEvent = NonNullable<History['events']>[number];
type Failure = temporal.api.failure.v1.IFailure;
type Payloads = temporal.api.common.v1.IPayloads | null | undefined;
export type PendingActivity = temporal.api.workflow.v1.IPendingActivityInfo;

/** An activity as its events tell it. */
export interface RecordedActivity {
  /** The event that scheduled it. */
  readonly event: number;
  readonly id: string;
  readonly type: string;
  readonly queue: string;
  readonly input: unknown;
  readonly scheduledAt: number;
  state: 'waiting' | 'running' | 'done' | 'failed' | 'cancelled' | 'timed-out';
  /** Of the attempt that ended it, or that runs. */
  attempt: number;
  startedAt: number | undefined;
  endedAt: number | undefined;
  /** The machine of the worker that took it. */
  host: string | undefined;
  result: unknown;
  failure: ExplainedFailure | undefined;
  /** What the attempt before the last one failed with, where there was one. */
  lastFailure: ExplainedFailure | undefined;
  /** What attempts said of themselves, in no order. */
  readonly records: AttemptRecord[];
}

/** A run as its history tells it. */
export interface RecordedRun extends ExplainedRun {
  readonly lastEventAt: number;
  readonly workflowId: string;
  readonly workflowType: string;
  readonly input: readonly unknown[];
  readonly previousRunId: string | undefined;
  readonly nextRunId: string | undefined;
  readonly result: unknown;
  readonly failure: ExplainedFailure | undefined;
  readonly activities: readonly RecordedActivity[];
  /** Results of local activities, by type. */
  readonly local: ReadonlyMap<string, unknown>;
  readonly marks: readonly ExplainedMark[];
}

const LocalActivity = z.object({ activity_type: z.string() });

/**
 * Reads a run's history.
 * @param pending what the server says of the activities that are not over, for a run that is not
 */
export async function readRun(
  { events }: History,
  converter: LoadedDataConverter,
  pending: readonly PendingActivity[] = [],
): Promise<RecordedRun> {
  const decode = (payloads: Payloads) => decodeArrayFromPayloads(converter, payloads?.payloads);
  const reader = new Reader(decode);
  for (const event of events ?? []) await reader.take(event);
  for (const activity of pending) await reader.takePending(activity);
  return reader.run();
}

type Decode = (payloads: Payloads) => Promise<unknown[]>;

class Reader {
  readonly #activities = new Map<number, RecordedActivity>();
  readonly #local = new Map<string, unknown>();
  readonly #marks: ExplainedMark[] = [];
  #start: Pick<
    RecordedRun,
    'workflowId' | 'runId' | 'workflowType' | 'input' | 'startedAt' | 'previousRunId'
  > = {
    workflowId: '',
    runId: '',
    workflowType: '',
    input: [],
    startedAt: 0,
    previousRunId: undefined,
  };
  #end: Pick<RecordedRun, 'status' | 'endedAt' | 'nextRunId' | 'result' | 'failure'> = {
    status: 'running',
    nextRunId: undefined,
    result: undefined,
    failure: undefined,
  };
  #events = 0;
  #lastEventAt = 0;

  constructor(private readonly decode: Decode) {}

  run(): RecordedRun {
    return {
      ...this.#start,
      ...this.#end,
      events: this.#events,
      lastEventAt: this.#lastEventAt,
      activities: [...this.#activities.values()],
      local: this.#local,
      marks: this.#marks,
    };
  }

  async take(event: HistoryEvent): Promise<void> {
    this.#events++;
    const at = momentOf(event.eventTime) ?? 0;
    this.#lastEventAt = at;
    await this.#takeOfRun(event, at);
    await this.#takeOfActivity(event, at);
    await this.#takeMark(event, at);
  }

  async takePending(pending: PendingActivity): Promise<void> {
    const activity = [...this.#activities.values()].find(({ id }) => id === pending.activityId);
    if (!activity || activity.endedAt !== undefined) return;
    const { lastStartedTime, lastWorkerIdentity, lastFailure, heartbeatDetails } = pending;
    activity.attempt = pending.attempt ?? 1;
    // PENDING_ACTIVITY_STATE_SCHEDULED waits, also between two attempts; what is started or being cancelled runs.
    activity.state = pending.state === 1 ? 'waiting' : 'running';
    activity.host = hostOf(lastWorkerIdentity);
    if (activity.state === 'running') activity.startedAt = momentOf(lastStartedTime);
    await this.#noteFailure(activity, lastFailure);
    await this.#noteBeat(activity, heartbeatDetails);
  }

  async #takeOfRun(event: HistoryEvent, at: number): Promise<void> {
    const started = event.workflowExecutionStartedEventAttributes;
    const completed = event.workflowExecutionCompletedEventAttributes;
    const failed = event.workflowExecutionFailedEventAttributes;
    const terminated = event.workflowExecutionTerminatedEventAttributes;
    const continued = event.workflowExecutionContinuedAsNewEventAttributes;
    if (started) {
      this.#start = {
        workflowId: started.workflowId ?? '',
        runId: started.originalExecutionRunId ?? '',
        workflowType: started.workflowType?.name ?? '',
        input: await this.decode(started.input),
        startedAt: at,
        previousRunId: started.continuedExecutionRunId || undefined,
      };
    } else if (completed) {
      const [result] = await this.decode(completed.result);
      this.#end = { ...this.#end, status: 'completed', endedAt: at, result };
    } else if (failed) {
      this.#end = { ...this.#end, status: 'failed', endedAt: at, failure: explained(failed.failure, true) };
    } else if (event.workflowExecutionCanceledEventAttributes) {
      this.#end = { ...this.#end, status: 'cancelled', endedAt: at };
    } else if (terminated) {
      const message = terminated.reason || 'no reason was given';
      this.#end = {
        ...this.#end,
        status: 'terminated',
        endedAt: at,
        failure: { type: 'Terminated', message },
      };
    } else if (event.workflowExecutionTimedOutEventAttributes) {
      this.#end = { ...this.#end, status: 'timed-out', endedAt: at };
    } else if (continued) {
      const nextRunId = continued.newExecutionRunId || undefined;
      this.#end = { ...this.#end, status: 'continued-as-new', endedAt: at, nextRunId };
    }
  }

  async #takeOfActivity(event: HistoryEvent, at: number): Promise<void> {
    const scheduled = event.activityTaskScheduledEventAttributes;
    if (scheduled) {
      const number = Number(event.eventId);
      const [input] = await this.decode(scheduled.input);
      this.#activities.set(number, {
        event: number,
        id: scheduled.activityId ?? '',
        type: scheduled.activityType?.name ?? '',
        queue: scheduled.taskQueue?.name ?? '',
        input,
        scheduledAt: at,
        state: 'waiting',
        attempt: 1,
        startedAt: undefined,
        endedAt: undefined,
        host: undefined,
        result: undefined,
        failure: undefined,
        lastFailure: undefined,
        records: [],
      });
      return;
    }
    const attributes =
      event.activityTaskStartedEventAttributes ??
      event.activityTaskCompletedEventAttributes ??
      event.activityTaskFailedEventAttributes ??
      event.activityTaskTimedOutEventAttributes ??
      event.activityTaskCanceledEventAttributes;
    const activity = attributes && this.#activities.get(Number(attributes.scheduledEventId));
    if (!activity) return;
    const started = event.activityTaskStartedEventAttributes;
    if (started) {
      activity.state = 'running';
      activity.attempt = started.attempt ?? 1;
      activity.startedAt = at;
      activity.host = hostOf(started.identity);
      return this.#noteFailure(activity, started.lastFailure);
    }
    activity.endedAt = at;
    const failed = event.activityTaskFailedEventAttributes;
    const timedOut = event.activityTaskTimedOutEventAttributes;
    if (event.activityTaskCompletedEventAttributes) {
      activity.state = 'done';
      [activity.result] = await this.decode(event.activityTaskCompletedEventAttributes.result);
    } else if (failed) {
      activity.state = 'failed';
      activity.failure = explained(failed.failure);
      await this.#noteRecords(activity, failed.failure?.applicationFailureInfo?.details);
    } else if (timedOut) {
      activity.state = 'timed-out';
      activity.failure = explained(timedOut.failure);
      await this.#noteBeat(activity, timedOut.failure?.timeoutFailureInfo?.lastHeartbeatDetails);
      await this.#noteFailure(activity, timedOut.failure?.cause);
    } else {
      activity.state = 'cancelled';
      const details = event.activityTaskCanceledEventAttributes?.details;
      await this.#noteRecords(activity, details);
    }
  }

  async #takeMark(event: HistoryEvent, at: number): Promise<void> {
    const marker = event.markerRecordedEventAttributes;
    const update = event.workflowExecutionUpdateAcceptedEventAttributes?.acceptedRequest?.input;
    if (marker?.markerName === 'core_local_activity') {
      const [data] = await this.decode(marker.details?.data);
      const [result] = await this.decode(marker.details?.result);
      const type = LocalActivity.safeParse(data);
      if (type.success && result !== undefined) this.#local.set(type.data.activity_type, result);
    } else if (event.workflowExecutionCancelRequestedEventAttributes) {
      this.#marks.push({ at, what: 'cancel' });
    } else if (update) {
      const values = await this.decode(update.args);
      this.#marks.push({ at, what: [update.name, ...values.map(String)].join(' ') });
    }
  }

  async #noteFailure(activity: RecordedActivity, failure: Failure | null | undefined): Promise<void> {
    if (!failure) return;
    activity.lastFailure = explained(failure);
    await this.#noteRecords(activity, failure.applicationFailureInfo?.details);
    await this.#noteBeat(activity, failure.timeoutFailureInfo?.lastHeartbeatDetails);
  }

  async #noteRecords(activity: RecordedActivity, details: Payloads): Promise<void> {
    const [records] = await this.decode(details).catch(() => []);
    const parsed = z.array(AttemptRecord).safeParse(Array.isArray(records) ? records : [records]);
    if (parsed.success) activity.records.push(...parsed.data);
  }

  async #noteBeat(activity: RecordedActivity, details: Payloads): Promise<void> {
    const [beat] = await this.decode(details).catch(() => []);
    const parsed = AttemptBeat.safeParse(beat);
    if (parsed.success) activity.records.push(...parsed.data.earlier, parsed.data.record);
  }
}

/** Milliseconds since 1970. Seconds are a number, a text or a Long, by where the history comes from. */
function momentOf(timestamp: google.protobuf.ITimestamp | null | undefined): number | undefined {
  if (!timestamp) return undefined;
  return Number(String(timestamp.seconds ?? 0)) * 1000 + Math.round((timestamp.nanos ?? 0) / 1e5) / 10;
}

/** Workers name themselves by their process's number and their machine's name. */
function hostOf(identity: string | null | undefined): string | undefined {
  return /^\d+@(.+)$/.exec(identity ?? '')?.[1];
}

/** What Temporal's timeouts mean here, by their number in its API. */
const SILENCES: Readonly<Record<number, string>> = {
  1: 'its worker did not come to an end in time',
  2: 'nobody took it from its queue: the host is gone',
  3: 'it was not done in time',
  4: 'its worker died or froze: no heartbeat came any more',
};

/**
 * A failure in our words; the server wraps one that is too long for it.
 * @param isLast whether the job has given up. Default: false
 */
export function explained(failure: Failure | null | undefined, isLast = false): ExplainedFailure {
  const { applicationFailureInfo, timeoutFailureInfo, serverFailureInfo, cause } = failure ?? {};
  if ((serverFailureInfo || failure?.activityFailureInfo) && cause) return explained(cause, isLast);
  const type = timeoutFailureInfo ? 'Timeout' : applicationFailureInfo?.type || 'Error';
  const message = timeoutFailureInfo ? SILENCES[timeoutFailureInfo.timeoutType ?? 0] : failure?.message;
  const remedy = remedyOf(type, isLast);
  return { type, message: message || 'no reason is known', ...(remedy !== undefined && { remedy }) };
}
