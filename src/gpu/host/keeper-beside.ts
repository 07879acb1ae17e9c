import { resolve } from 'node:path';
import type { Logger } from 'pino';
import { keeperPlace } from '../keeper/place.js';
import { gpuIndexOf } from '../runtime/gpu-index.js';
import type { Device } from '../runtime/session.js';
import type { WeightOptions } from '../runtime/weight-options.js';
import { ensureKeeper } from './keeper-process.js';

export interface KeeperBesideOptions {
  readonly device: Device;
  readonly checkpoint: string;
  readonly model: string;
  readonly cacheFolder: string;
  readonly weights?: WeightOptions | undefined;
  readonly keepSeconds?: number | undefined;
  /** Default: see `keeperPlace`. */
  readonly keeperFolder?: string | undefined;
  readonly log: Logger;
}

/**
 * Sees to it that there is a keeper, beside the start of an engine, which waits for it by itself.
 * @returns its socket; undefined where the engine is to do without
 */
export function keeperBeside(
  options: KeeperBesideOptions,
  start: typeof ensureKeeper = ensureKeeper,
): string | undefined {
  const { device, checkpoint, model, cacheFolder, weights, keepSeconds, keeperFolder, log } = options;
  if (device === 'cpu') return undefined;
  try {
    const place = keeperPlace(device, keeperFolder === undefined ? {} : { folder: keeperFolder });
    const index = gpuIndexOf(device);
    const prepare = { checkpoint: resolve(checkpoint), model, cacheFolder: resolve(cacheFolder) };
    void start({ place, index, prepare, weights, keepSeconds, logLevel: log.level }).then(
      (keeper) => log.info({ keeper, log: place.logFile }, 'keeper of the weights'),
      (error: unknown) => log.warn({ err: error }, 'no keeper could be started'),
    );
    return place.socket;
  } catch (error) {
    log.warn({ err: error }, 'engines stream their weights themselves: there is no place for a keeper');
    return undefined;
  }
}
