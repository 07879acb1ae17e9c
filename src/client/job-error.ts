import { WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { errorOfType, JobCancelled } from '../contract/errors.js';

/**
 * What a job's failure means to its caller: one of our errors, with Temporal's as the cause.
 * What is none of ours (a terminated workflow, a lost connection) is returned as it is.
 */
export function jobError(error: unknown, workflowId: string): unknown {
  if (!(error instanceof WorkflowFailedError)) return error;
  const { cause } = error;
  if (cause instanceof CancelledFailure) {
    return new JobCancelled(`job ${workflowId} was cancelled`, { cause: error });
  }
  if (!(cause instanceof ApplicationFailure)) return error;
  return errorOfType(cause.type, cause.message, { cause: error }) ?? error;
}
