import type { Client, ScheduleDescription, ScheduleSpec, ScheduleSummary } from '@temporalio/client';
import { z } from 'zod';
import { CatalogRequest } from '../contract/catalog.js';
import { parse } from '../contract/parse.js';
import { RENDER_CATALOG } from '../contract/workflow-types.js';
import { catalogStart } from './start-catalog.js';

/** Temporal's way of writing durations: `30 minutes`, `12h`, or milliseconds. */
const Duration = z.union([z.int().positive(), z.string().regex(/^\d+(\.\d+)?\s?[a-z]+$/i)]);

const OVERLAPS = {
  /** The run that would begin is left out. */
  skip: 'SKIP',
  /** It begins when the last one has ended; one waits at most. */
  'buffer-one': 'BUFFER_ONE',
  /** All wait. */
  'buffer-all': 'BUFFER_ALL',
  /** The last one is cancelled. */
  'cancel-other': 'CANCEL_OTHER',
} as const;

/** When a catalogue is rendered again. */
export const CatalogScheduleRequest = z
  .strictObject({
    /** The schedule's name. */
    id: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/, 'expected letters, digits, ".", "_" or "-"'),
    request: CatalogRequest,
    /** Times in cron's five fields, such as `0 3 * * *`. */
    cron: z.string().min(1).max(256).optional(),
    every: Duration.optional(),
    /** An IANA name, such as `Europe/Berlin`. Default: UTC. */
    timeZone: z.string().min(1).max(64).optional(),
    /** What becomes of a run whose time comes while the last one goes on. */
    overlap: z.enum(['skip', 'buffer-one', 'buffer-all', 'cancel-other']).default('skip'),
    /** Each run begins up to so much later: many schedules of one hour must not begin at once. */
    jitter: Duration.optional(),
    /** Also renders at the times of this past period that it has missed, or was not there for. */
    backfill: z
      .strictObject({ from: z.coerce.date(), to: z.coerce.date() })
      .refine(({ from, to }) => from < to, 'expected from before to')
      .optional(),
    paused: z.boolean().default(false),
  })
  .refine(({ cron, every }) => (cron === undefined) !== (every === undefined), {
    message: 'expected either cron or every',
    path: ['cron'],
  });
/** What a caller may write: a catalogue's request, and when it is run. */
export type CatalogScheduleInput = z.input<typeof CatalogScheduleRequest>;

export interface CatalogSchedulesOptions {
  readonly client: Client;
  readonly taskQueue: string;
}

/** One schedule, as it is listed. */
export interface CatalogScheduleEntry {
  readonly id: string;
  /** The catalogue's address. */
  readonly catalog: string;
  readonly paused: boolean;
  /** Its next runs, soonest first. */
  readonly next: readonly Date[];
  /** When it last began one; absent where it never has. */
  readonly last?: Date;
}

/**
 * Catalogues at fixed times, as Temporal Schedules. Each run draws only rows that are new or have changed. The overlap
 * policy concerns the schedule's own runs: one that was started by hand is not known to it.
 */
export class CatalogSchedules {
  readonly #client: Client;
  readonly #taskQueue: string;

  /** @internal `DiffusionClient` makes them. */
  constructor({ client, taskQueue }: CatalogSchedulesOptions) {
    this.#client = client;
    this.#taskQueue = taskQueue;
  }

  /** @throws InvalidRequest; ScheduleAlreadyRunning where the name is taken */
  async create(input: CatalogScheduleInput): Promise<void> {
    const { id, request, overlap, paused, backfill, ...when } = parse(CatalogScheduleRequest, input);
    const { staticSummary: _, ...start } = catalogStart(request, this.#taskQueue);
    await this.#client.schedule.create({
      scheduleId: id,
      spec: specOf(when),
      action: { type: 'startWorkflow', ...start },
      policies: { overlap: OVERLAPS[overlap] },
      memo: { catalog: request.catalog },
      state: {
        paused,
        ...(backfill && {
          backfill: [{ start: backfill.from, end: backfill.to, overlap: 'BUFFER_ALL' as const }],
        }),
      },
    });
  }

  /** Those of catalogues, and of nothing else. */
  async list(): Promise<CatalogScheduleEntry[]> {
    const entries: CatalogScheduleEntry[] = [];
    for await (const summary of this.#client.schedule.list()) {
      if (summary.action?.workflowType === RENDER_CATALOG) entries.push(entryOf(summary));
    }
    return entries;
  }

  /** What Temporal knows of a schedule: its next times, its last runs. @throws ScheduleNotFoundError, as all that follow */
  async describe(id: string): Promise<ScheduleDescription> {
    return this.#client.schedule.getHandle(id).describe();
  }

  /** Begins no run until `resume`. @param why stands beside it in Temporal's UI */
  async pause(id: string, why = 'paused by temporal-diffusion'): Promise<void> {
    await this.#client.schedule.getHandle(id).pause(why);
  }

  /** Ends a pause. */
  async resume(id: string): Promise<void> {
    await this.#client.schedule.getHandle(id).unpause();
  }

  /** Renders now, beside the fixed times. */
  async trigger(id: string): Promise<void> {
    await this.#client.schedule.getHandle(id).trigger();
  }

  /** Runs that have begun go on. */
  async delete(id: string): Promise<void> {
    await this.#client.schedule.getHandle(id).delete();
  }
}

type When = Pick<z.output<typeof CatalogScheduleRequest>, 'cron' | 'every' | 'timeZone' | 'jitter'>;

function specOf({ cron, every, timeZone, jitter }: When): ScheduleSpec {
  // The SDK checks what a duration is; the type of its texts can't be had from a pattern.
  type Every = NonNullable<ScheduleSpec['intervals']>[number]['every'];
  return {
    ...(cron !== undefined && { cronExpressions: [cron] }),
    ...(every !== undefined && { intervals: [{ every: every as Every }] }),
    ...(timeZone !== undefined && { timezone: timeZone }),
    ...(jitter !== undefined && { jitter: jitter as Every }),
  };
}

function entryOf({ scheduleId, state, info, memo }: ScheduleSummary): CatalogScheduleEntry {
  const last = info.recentActions.at(-1)?.takenAt;
  return {
    id: scheduleId,
    catalog: String(memo?.catalog ?? ''),
    paused: state.paused,
    next: info.nextActionTimes,
    ...(last && { last }),
  };
}
