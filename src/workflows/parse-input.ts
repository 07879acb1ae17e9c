import type { z } from 'zod';
import { InvalidRequest } from '../contract/errors.js';
import { parse } from '../contract/parse.js';
import { failureOf } from './failures.js';

/** Reads what a workflow was started with. Fails the workflow for good where it breaks the contract. */
export function parseInput<Schema extends z.ZodType>(schema: Schema, input: unknown): z.output<Schema> {
  try {
    return parse(schema, input);
  } catch (error) {
    // Anything else than an ApplicationFailure would be taken for a bug in the workflow and retried for ever.
    throw error instanceof InvalidRequest ? failureOf(error) : error;
  }
}
