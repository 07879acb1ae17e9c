import { z } from 'zod';
import { InvalidRequest } from './errors.js';

/**
 * Reads what came over a border.
 * @throws InvalidRequest whose message is zod's pretty form (`✖ message → at path`) and whose cause is the ZodError
 */
export function parse<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw new InvalidRequest(z.prettifyError(parsed.error), { cause: parsed.error });
  return parsed.data;
}
