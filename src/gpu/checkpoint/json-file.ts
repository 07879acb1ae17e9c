import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { CheckpointInvalid } from '../../contract/errors.js';

/**
 * Reads one of a checkpoint's JSON files.
 * @throws CheckpointInvalid naming the file, the field, what was expected and what came
 */
export async function readJsonFile<T extends z.ZodType>(file: string, schema: T): Promise<z.output<T>> {
  const text = await readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new CheckpointInvalid(`${file}: expected a readable JSON file, got ${cause.code}`, { cause });
  });
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new CheckpointInvalid(`${file}: expected JSON: ${(cause as Error).message}`, { cause });
  }
  const parsed = schema.safeParse(json);
  if (!parsed.success) {
    throw new CheckpointInvalid(`${file}: not what is supported:\n${z.prettifyError(parsed.error)}`, {
      cause: parsed.error,
    });
  }
  return parsed.data;
}
