import { z } from 'zod';

/*
 * What hosts write into histories about their work. Fields that a later release adds are passed over: workers of two
 * releases, and commands of both, read each other's.
 */

const Milliseconds = z.number().nonnegative();
/** Milliseconds since 1970, by the clock of the host that says so. */
const Moment = z.int().nonnegative();

/** What decides how an engine computes, beside its model and its device. */
export const Versions = z.object({ package: z.string(), node: z.string(), onnxruntime: z.string() });
export type Versions = z.infer<typeof Versions>;

/** An engine process. */
export const EngineRecord = z.object({
  /** No other engine's. */
  instance: z.string(),
  /** Whether it loaded its model from files, was restored from a snapshot, or got its memory back after a standby. */
  start: z.enum(['fresh', 'restored', 'resumed']),
  /** When it could draw. */
  readyAt: Moment,
  /** How long it took until then. */
  loadMs: Milliseconds,
  /** `cpu`, or `cuda:N`. */
  device: z.string(),
  /** What its maker calls the device, such as `NVIDIA H100 80GB HBM3`. */
  deviceName: z.string().optional(),
});
export type EngineRecord = z.infer<typeof EngineRecord>;

/** Where and under which conditions pixels were drawn. */
export const DrawnBy = z.object({
  /** The machine's name. */
  host: z.string(),
  engine: EngineRecord,
  graphDigest: z.string(),
  versions: Versions,
  /** Images that were drawn at once, this one among them: another number may change a picture by two levels. */
  together: z.int().positive(),
  /** Too little memory made it be decoded in tiles, which changes a picture. */
  inTiles: z.literal(true).optional(),
});
export type DrawnBy = z.infer<typeof DrawnBy>;

/**
 * One attempt at an activity, as it tells of itself. Temporal's history keeps the last attempt only, so each tells the
 * next one of itself by its last heartbeat.
 */
export const AttemptRecord = z.object({
  /** From 1. */
  attempt: z.int().positive(),
  /**
   * The last of several in a row that were alike. They are one record then: from the first one's start to the last
   * one's end, pauses included, and with the last one's engine and error.
   */
  to: z.int().positive().optional(),
  startedAt: Moment,
  /** How long it took, or had taken when it was last heard of. */
  ms: Milliseconds,
  /** From the time that it could have begun until it did; clocks of two machines. */
  queueMs: Milliseconds,
  /** The machine's name. */
  host: z.string().optional(),
  /** Absent where there was none yet, or none is needed. */
  engine: EngineRecord.optional(),
  /** The last step that was done, of so many. */
  step: z.int().nonnegative().optional(),
  of: z.int().positive().optional(),
  /** Absent where it was never heard of again. */
  error: z.object({ type: z.string(), message: z.string() }).optional(),
});
export type AttemptRecord = z.infer<typeof AttemptRecord>;

/** What heartbeats say of their attempt, beside its progress: it is what the next attempt knows of it. */
export const AttemptBeat = z.object({
  record: AttemptRecord,
  earlier: z.array(AttemptRecord),
});
export type AttemptBeat = z.infer<typeof AttemptBeat>;

/** Drops what only tells one failure from the next: numbers of processes, bytes that were free. */
const withoutFacts = (message: string) => message.replace(/\s*\[[^\]]*\]/g, '').replace(/\d+/g, '#');

/** Whether two attempts failed in the same way in the same place. */
export function areAlike(a: AttemptRecord, b: AttemptRecord): boolean {
  return (
    a.host === b.host &&
    a.engine?.device === b.engine?.device &&
    a.engine?.start === b.engine?.start &&
    a.step === b.step &&
    a.error?.type === b.error?.type &&
    withoutFacts(a.error?.message ?? '') === withoutFacts(b.error?.message ?? '')
  );
}

/** Several in a row that are alike become one. @param records in the order of their numbers */
export function collapsed(records: readonly AttemptRecord[]): AttemptRecord[] {
  const result: AttemptRecord[] = [];
  for (const record of records) {
    const last = result.at(-1);
    const follows = last && (last.to ?? last.attempt) + 1 === record.attempt;
    if (last && follows && areAlike(last, record)) {
      result[result.length - 1] = {
        ...record,
        attempt: last.attempt,
        to: record.to ?? record.attempt,
        startedAt: last.startedAt,
        ms: Math.max(0, record.startedAt + record.ms - last.startedAt),
        queueMs: last.queueMs,
      };
    } else result.push(record);
  }
  return result;
}
