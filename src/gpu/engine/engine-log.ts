import { type Logger, pino } from 'pino';
import type { EngineArguments } from './arguments.js';

/** What an engine says, to its standard error: a line of JSON each. */
export function engineLog({ logLevel: level, model }: Pick<EngineArguments, 'logLevel' | 'model'>): Logger {
  return pino({ level, base: { engine: process.pid, model } }, pino.destination(2));
}
