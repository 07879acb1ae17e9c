import type { WorkflowExecutionDescription } from '@temporalio/client';
import { z } from 'zod';
import { InvalidRequest } from '../contract/errors.js';
import { ModelName, Seed } from '../contract/request.js';

/** What the client notes beside a job: enough to recognise it, and for Temporal's UI to show something useful. */
export const JobMemo = z.object({
  model: ModelName,
  /** The first image's. */
  seed: Seed,
  count: z.int().positive(),
  requestDigest: z.string(),
});
export type JobMemo = z.infer<typeof JobMemo>;

/** @throws InvalidRequest where the workflow was not started by this client */
export function memoOf({ workflowId, memo }: WorkflowExecutionDescription): JobMemo {
  const parsed = JobMemo.safeParse(memo);
  if (parsed.success) return parsed.data;
  throw new InvalidRequest(`expected a job of temporal-diffusion, but workflow ${workflowId} is none`, {
    cause: parsed.error,
  });
}
