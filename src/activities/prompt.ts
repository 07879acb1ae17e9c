import type { Logger } from 'pino';
import { BatchJob, type PreparedBatch } from '../contract/batch.js';
import type { PreparedJob } from '../contract/job.js';
import { parse } from '../contract/parse.js';
import { GenerateJob, type GenerateJobInput } from '../contract/request.js';
import { activity } from './failure.js';
import { withHeartbeats } from './heartbeats.js';
import { createPlanner, groupByShape, inTurns, jobOf, type PlanDependencies, planOrError } from './plan.js';
import { type RequestLimits, refuseBacklog } from './request-limits.js';

export type { Moderate } from './plan.js';

export interface PromptDependencies extends PlanDependencies {
  readonly limits?: RequestLimits | undefined;
  readonly log: Logger;
}

/** Checks jobs against the models that they name, and fills in what those decide. */
export function createPromptActivities(dependencies: PromptDependencies) {
  const planner = createPlanner(dependencies);
  const { limits, moderate, log } = dependencies;

  async function prepare(input: GenerateJobInput): Promise<PreparedJob> {
    const job = parse(GenerateJob, input);
    await refuseBacklog(job.model, limits);
    const { seed, count, output, preview, tags, tenant, tenantWeight } = job;
    return {
      plan: await planner.plan(job),
      settings: { seed, count, output, preview, tags, tenant, tenantWeight },
    };
  }

  return {
    preparePrompt: activity(prepare),

    /**
     * The same as a local activity, which costs a job some milliseconds less: the work of one itself.
     * @returns undefined where somebody outside has to be asked: that may take long, and is retried for long
     */
    preparePromptAtOnce: activity(
      async (input: GenerateJobInput): Promise<PreparedJob | undefined> =>
        moderate ? undefined : prepare(input),
    ),

    /** The same for a batch: an item that is refused says so itself. */
    prepareBatch: activity((input: BatchJob): Promise<PreparedBatch> => {
      const batch = parse(BatchJob, input);
      return withHeartbeats(async ({ throwIfOver }) => {
        for (const model of new Set(batch.items.map(({ model }) => model)))
          await refuseBacklog(model, limits);
        const planned = await inTurns(batch.items, async (item) => {
          throwIfOver();
          return planOrError(planner, jobOf(item, batch));
        });
        log.debug({ items: planned.length }, 'batch prepared');
        return groupByShape(planned);
      });
    }),
  };
}
export type PromptActivities = ReturnType<typeof createPromptActivities>;
