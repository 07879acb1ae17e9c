import { KeeperSource } from '../keeper/client.js';
import type { RuntimeOptions } from '../runtime/open-runtime.js';
import type { EngineArguments } from './arguments.js';
import { engineLog } from './engine-log.js';

/** How an engine's runtime comes by its weights: from the keeper where one is named, or else not. */
export function keeperOptions(options: EngineArguments): Pick<RuntimeOptions, 'source' | 'onFallback'> {
  if (options.keeper === undefined) return {};
  return {
    source: new KeeperSource({ socket: options.keeper }),
    onFallback: (reason) =>
      engineLog(options).warn({ err: reason }, 'weights are streamed without the keeper'),
  };
}
