import { type Logger, pino } from 'pino';

/** The commands' log: JSON lines on stderr, written at once, since a command may end at any moment. */
export function createLog(level: string): Logger {
  return pino({ level, base: null }, pino.destination({ dest: 2, sync: true }));
}
