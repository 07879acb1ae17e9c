import { type Logger, pino } from 'pino';
import type { EngineArguments } from './arguments.js';

/** What an engine says, to its standard error: a line of JSON each. */
export function engineLog({ logLevel: level, model }: Pick<EngineArguments, 'logLevel' | 'model'>): Logger {
  // Synchronous: what it says last must not be lost with it.
  const destination = pino.destination({ dest: 2, sync: true });
  return pino({ level, base: { engine: process.pid, model } }, destination);
}
