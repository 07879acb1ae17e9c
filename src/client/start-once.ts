import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import {
  type Priority,
  WorkflowExecutionAlreadyStartedError,
  WorkflowIdConflictPolicy,
  WorkflowIdReusePolicy,
} from '@temporalio/common';
import { InvalidRequest } from '../contract/errors.js';
import { digestNoteOf } from './job-memo.js';

export interface StartOnceOptions {
  readonly workflowType: string;
  readonly workflowId: string;
  readonly taskQueue: string;
  /** The workflow's one argument. */
  readonly job: unknown;
  /** With the digest by which two requests with one id are told apart. */
  readonly memo: { readonly requestDigest: string };
  /** One line for Temporal's UI. */
  readonly summary: string;
  readonly priority: Priority;
}

export interface Started {
  readonly runId: string;
  /** What is known of the job that this id had already. */
  readonly joined?: WorkflowExecutionDescription;
}

/**
 * Starts a job. With an id that is known already it joins that job, while it runs or where it is done; where it failed
 * or was cancelled it starts it again.
 * @throws InvalidRequest where the id belongs to another request
 */
export async function startOnce(client: Client, options: StartOnceOptions): Promise<Started> {
  const { workflowType, workflowId, taskQueue, job, memo, summary, priority } = options;
  try {
    const { firstExecutionRunId } = await client.workflow.start(workflowType, {
      workflowId,
      taskQueue,
      args: [job],
      memo: { ...memo },
      staticSummary: summary,
      priority,
      workflowIdReusePolicy: WorkflowIdReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
      workflowIdConflictPolicy: WorkflowIdConflictPolicy.FAIL,
    });
    return { runId: firstExecutionRunId };
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    const joined = await client.workflow.getHandle(workflowId).describe();
    if (digestNoteOf(joined) !== memo.requestDigest) {
      throw new InvalidRequest(
        `✖ expected the request that this key was first used for, got another one: job ${workflowId} has it\n  → at idempotencyKey`,
        { cause: error },
      );
    }
    return { runId: joined.runId, joined };
  }
}
