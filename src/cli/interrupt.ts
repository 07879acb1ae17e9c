import { constants } from 'node:os';

/** The user asked the command to stop. */
export class Interrupted extends Error {
  /** @param exitCode 128 and the signal's number, as shells have it */
  constructor(
    message: string,
    readonly exitCode: number,
  ) {
    super(message);
  }
}

export interface Interruption {
  /** Aborts with an `Interrupted` at the first signal. */
  readonly signal: AbortSignal;
  /** Gives the signals their usual meaning back. */
  dispose(): void;
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Makes the first Ctrl-C a request and the second one an order: that one ends the process at once, and with it what
 * hangs on its `exit` event and on its pipes.
 */
export function onInterrupt(): Interruption {
  const controller = new AbortController();
  const stop = (signal: NodeJS.Signals): void => {
    const exitCode = 128 + constants.signals[signal];
    if (controller.signal.aborted) process.exit(exitCode);
    controller.abort(new Interrupted(`interrupted by ${signal}`, exitCode));
  };
  for (const signal of SIGNALS) process.on(signal, stop);
  return {
    signal: controller.signal,
    dispose() {
      for (const signal of SIGNALS) process.off(signal, stop);
    },
  };
}
