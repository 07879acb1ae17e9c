import { mkdirSync, mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { liesInMemory } from '../../src/gpu/runtime/cuda/host-cache.js';
import { packageRoot } from '../../src/package-root.js';

/** A folder that does not lie in memory and is gone after the test file; undefined on a machine that has none. */
export function diskFolder(): string | undefined {
  for (const parent of [tmpdir(), join(packageRoot(), '.cache')]) {
    mkdirSync(parent, { recursive: true });
    if (liesInMemory(parent)) continue;
    const folder = mkdtempSync(join(parent, 'tdiff-test-'));
    after(() => rm(folder, { recursive: true, force: true }));
    return folder;
  }
  return undefined;
}
