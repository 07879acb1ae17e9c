import { ActivityFailure, ApplicationFailure, TimeoutFailure } from '@temporalio/workflow';
import {
  ClaimLost,
  EngineStalled,
  ModelReplaced,
  type RenderError,
  StorageUnavailable,
} from '../contract/errors.js';

/** Fails the workflow for good with one of our kinds. */
export function failureOf(error: RenderError): ApplicationFailure {
  return ApplicationFailure.create({ type: error.type, message: error.message, nonRetryable: true });
}

/**
 * What the job should fail with: the error that the activity reported, or what its silence means, instead of
 * Temporal's "Activity task failed" around it. Cancellations stay as they are.
 */
export function clearFailure(error: unknown): unknown {
  if (!(error instanceof ActivityFailure)) return error;
  const { cause, activityType } = error;
  if (cause instanceof ApplicationFailure) return cause;
  if (!(cause instanceof TimeoutFailure)) return error;
  if (activityType === 'generate') {
    return failureOf(
      new EngineStalled(
        `every host that drew an image died or hung, up to the last attempt [timeout=${cause.timeoutType}]`,
      ),
    );
  }
  if (activityType === 'publish' || activityType === 'publishMany') {
    return failureOf(
      new StorageUnavailable(
        `storing an image took too long, up to the last attempt [timeout=${cause.timeoutType}]`,
      ),
    );
  }
  return error;
}

/** Whether trying an activity again may help, by what it failed with. */
export function mayPass(error: unknown): boolean {
  // A replay of a local activity that ran out of time has what it failed with by itself, in no ActivityFailure.
  const cause = error instanceof ActivityFailure ? error.cause : error;
  return cause instanceof ApplicationFailure ? !cause.nonRetryable : cause instanceof TimeoutFailure;
}

/** Whether `generate` failed because no host that was asked has the model that the job was planned for. */
export function modelWasReplaced(error: unknown): boolean {
  if (!(error instanceof ActivityFailure)) return false;
  return error.cause instanceof ApplicationFailure && error.cause.type === ModelReplaced.type;
}

/** Whether `publish` failed because the pixels, or the host that has them, are gone. */
export function pixelsAreLost(error: unknown): boolean {
  if (!(error instanceof ActivityFailure)) return false;
  const { cause } = error;
  if (cause instanceof ApplicationFailure) return cause.type === ClaimLost.type;
  return cause instanceof TimeoutFailure && cause.timeoutType === 'SCHEDULE_TO_START';
}
