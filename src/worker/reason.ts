import { ApplicationFailure } from '@temporalio/common';
import { errorOfType, RenderError } from '../contract/errors.js';

/** An error's type as a label: one of this package's, or `other`, so that their number is bounded. */
export function reasonOf(error: unknown): string {
  if (error instanceof RenderError) return error.type;
  if (error instanceof ApplicationFailure) return errorOfType(error.type, '')?.type ?? 'other';
  return 'other';
}
