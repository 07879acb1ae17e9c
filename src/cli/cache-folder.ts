import { accessSync, constants, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../package-root.js';

/**
 * Where the commands keep what can be made again: Temporal's server, built graphs, digests, staged pixels.
 * `.cache` in the package where that is writable (a clone), else the user's cache folder (a global install).
 */
export function cacheFolder(): string {
  const own = join(packageRoot(), '.cache');
  try {
    mkdirSync(own, { recursive: true });
    accessSync(own, constants.W_OK);
    return own;
  } catch {
    return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'temporal-diffusion');
  }
}
