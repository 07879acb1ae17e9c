import { InvalidRequest, PromptRejected, RenderError, UnknownModel } from '../contract/errors.js';
import { Interrupted } from './interrupt.js';
import { UsageError } from './usage-error.js';

/** The job that a command had started before it failed. */
export interface StartedJob {
  readonly workflowId: string;
  readonly runId: string;
}

/** A failure of a job that was started, with what finds it again in Temporal. */
export class JobFailed extends Error {
  constructor(
    readonly job: StartedJob,
    override readonly cause: unknown,
  ) {
    super(messageOf(cause), { cause });
  }
}

/** 2 where the caller must change what they asked for, 128 and more for signals, 1 for everything else. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof JobFailed) return exitCodeOf(error.cause);
  if (error instanceof Interrupted) return error.exitCode;
  const asked = [UsageError, InvalidRequest, UnknownModel, PromptRejected];
  return asked.some((kind) => error instanceof kind) ? 2 : 1;
}

/** One clear message; where it came from only for those who ask. */
export function describeFailure(error: unknown, verbose: boolean): string {
  if (verbose && error instanceof Error) return `${error.stack ?? error.message}${causes(error)}\n`;
  // A bad request comes in zod's own form, which needs no introduction.
  const message = messageOf(error);
  return message.startsWith('✖') ? `${message}\n` : `✖ ${message}\n`;
}

/** The same for programs. */
export function failureDocument(error: unknown) {
  const job = error instanceof JobFailed ? error.job : {};
  return { ok: false, error: { type: typeOf(error), message: messageOf(error) }, ...job };
}

function typeOf(error: unknown): string {
  if (error instanceof JobFailed) return typeOf(error.cause);
  if (error instanceof RenderError) return error.type;
  if (error instanceof Interrupted) return 'Interrupted';
  return error instanceof UsageError ? 'UsageError' : 'Error';
}

/** The innermost message: Temporal wraps what went wrong in "Workflow execution failed" and the like. */
function messageOf(error: unknown): string {
  if (error instanceof RenderError || !(error instanceof Error))
    return String(error instanceof Error ? error.message : error);
  const isWrapper = /^(Workflow execution|Activity task) /.test(error.message);
  return isWrapper && error.cause instanceof Error ? messageOf(error.cause) : error.message;
}

function causes(error: Error): string {
  return error.cause instanceof Error
    ? `\ncaused by ${error.cause.stack ?? error.cause.message}${causes(error.cause)}`
    : '';
}
