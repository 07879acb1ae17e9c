import { ApplicationFailure } from '@temporalio/common';
import { RenderError } from '../contract/errors.js';

/**
 * Turns our errors into what Temporal keeps of them: the type that names the kind, and whether it may be retried.
 * Anything else passes through: cancellations as they are, bugs as retryable failures with their stack.
 * @param details what the history keeps beside the message
 */
export function toFailure(error: unknown, details: unknown[] = []): unknown {
  if (!(error instanceof RenderError)) return error;
  const failure = ApplicationFailure.create({
    type: error.type,
    message: error.message,
    nonRetryable: !error.retry,
    details,
    ...(error.cause instanceof Error ? { cause: error.cause } : {}),
  });
  // The kind and the message say it all; the place in our code would only bury them in the history.
  failure.stack = '';
  return failure;
}

type Activity<Input, Output> = (input: Input) => Promise<Output>;

/** An activity whose errors reach the workflow by their kind. */
export function activity<Input, Output>(work: Activity<Input, Output>): Activity<Input, Output> {
  return async (input) => {
    try {
      return await work(input);
    } catch (error) {
      throw toFailure(error);
    }
  };
}
