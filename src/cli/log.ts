import { type Logger, pino } from 'pino';

/**
 * The commands' log: JSON lines on stderr, written at once, since a command may end at any moment.
 * @param mixin what each line says beside its own. Default: nothing
 */
export function createLog(level: string, mixin?: () => object): Logger {
  return pino({ level, base: null, ...(mixin && { mixin }) }, pino.destination({ dest: 2, sync: true }));
}
