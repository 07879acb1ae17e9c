import { existsSync, mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after } from 'node:test';
import { liesInMemory } from '../../src/gpu/runtime/cuda/host-cache.js';

const SHARED_MEMORY = '/dev/shm';

/** A folder that lies in memory and is gone after the test file; undefined on a machine that has none. */
export function memoryFolder(): string | undefined {
  if (!existsSync(SHARED_MEMORY) || !liesInMemory(SHARED_MEMORY)) return undefined;
  const folder = mkdtempSync(join(SHARED_MEMORY, 'tdiff-test-'));
  after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}
