import { mkdirSync, mkdtempSync, statfsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { packageRoot } from '../../src/package-root.js';

const TMPFS = 0x0102_1994;

/** A folder that does not lie in memory and is gone after the test file; undefined on a machine that has none. */
export function diskFolder(): string | undefined {
  for (const parent of [tmpdir(), join(packageRoot(), '.cache')]) {
    mkdirSync(parent, { recursive: true });
    if (statfsSync(parent).type === TMPFS) continue;
    const folder = mkdtempSync(join(parent, 'tdiff-test-'));
    after(() => rm(folder, { recursive: true, force: true }));
    return folder;
  }
  return undefined;
}
