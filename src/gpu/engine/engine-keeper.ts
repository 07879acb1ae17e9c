import { KeeperSource } from '../keeper/client.js';
import type { EngineArguments } from './arguments.js';
import { engineLog } from './engine-log.js';

export interface EngineKeeper {
  readonly source: KeeperSource;
  readonly onFallback: (reason: unknown) => void;
}

/** How a GPU's engine comes by its weights: from the keeper that is named, now or when it is woken. */
export function engineKeeper(options: EngineArguments): EngineKeeper {
  return {
    source: new KeeperSource({ socket: options.keeper }),
    onFallback: (reason) =>
      engineLog(options).warn({ err: reason }, 'weights are streamed without the keeper'),
  };
}
