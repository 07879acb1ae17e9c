import type { Logger } from 'pino';
import { BatchJob, type PreparedBatch } from '../contract/batch.js';
import type { RenderPlan } from '../contract/job.js';
import { parse } from '../contract/parse.js';
import { GenerateJob } from '../contract/request.js';
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
  const { limits, log } = dependencies;
  return {
    preparePrompt: activity(async (input: GenerateJob): Promise<RenderPlan> => {
      const job = parse(GenerateJob, input);
      await refuseBacklog(job.model, limits);
      return planner.plan(job);
    }),

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
