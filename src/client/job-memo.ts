import type { WorkflowExecutionDescription } from '@temporalio/client';
import { z } from 'zod';
import { InvalidRequest } from '../contract/errors.js';
import { ModelName, Seed } from '../contract/request.js';

const Digested = z.object({ requestDigest: z.string() });

/** What the client notes beside a job: enough to recognise it, and for Temporal's UI to show something useful. */
export const JobMemo = z.object({
  model: ModelName,
  /** The first image's. */
  seed: Seed,
  count: z.int().positive(),
  ...Digested.shape,
});
export type JobMemo = z.infer<typeof JobMemo>;

/** The same beside a batch. */
export const BatchMemo = z.object({
  /** How many it has. */
  items: z.int().positive(),
  ...Digested.shape,
});
export type BatchMemo = z.infer<typeof BatchMemo>;

/** @throws InvalidRequest where the workflow was not started by this client */
export function memoOf(description: WorkflowExecutionDescription): JobMemo {
  return readMemo(JobMemo, 'a job', description);
}

/** @throws InvalidRequest where the workflow is no batch that was started by this client */
export function batchMemoOf(description: WorkflowExecutionDescription): BatchMemo {
  return readMemo(BatchMemo, 'a batch', description);
}

/** The digest of the request that a job of any kind was started for. @throws InvalidRequest */
export function digestNoteOf(description: WorkflowExecutionDescription): string {
  return readMemo(Digested, 'a job', description).requestDigest;
}

function readMemo<Schema extends z.ZodType>(
  schema: Schema,
  expected: string,
  { workflowId, memo }: WorkflowExecutionDescription,
): z.output<Schema> {
  const parsed = schema.safeParse(memo);
  if (parsed.success) return parsed.data;
  throw new InvalidRequest(`expected ${expected} of temporal-diffusion, but workflow ${workflowId} is none`, {
    cause: parsed.error,
  });
}
