import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../src/package-root.js';

/** Recorded histories of our workflows; see `test/histories/record.ts`. */
export const HISTORIES = join(packageRoot(), 'test', 'histories');

/** Paths of all of them. */
export function recordedHistories(): string[] {
  return readdirSync(HISTORIES)
    .filter((name) => name.endsWith('.json'))
    .sort()
    .map((name) => join(HISTORIES, name));
}
