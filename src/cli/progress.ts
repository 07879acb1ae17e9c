import type { JobUpdate } from '../client/updates.js';

/** Shows how a job gets on. */
export interface Progress {
  note(message: string): void;
  step(update: JobUpdate): void;
  /** Leaves the cursor at the start of a line. */
  end(): void;
}

/** @param count how many images the job has */
export function createProgress(stream: NodeJS.WriteStream, count: number): Progress {
  return stream.isTTY ? compactProgress(stream, count) : plainProgress(stream, count);
}

/** A line a step, for logs and pipes. */
function plainProgress(stream: NodeJS.WritableStream, count: number): Progress {
  return {
    note: (message) => stream.write(`${message}\n`),
    step: (update) => stream.write(`${title(update, count)}: ${stepOf(update)}\n`),
    end() {},
  };
}

/** A line an image that is drawn over at each step, for people at a terminal. */
function compactProgress(stream: NodeJS.WriteStream, count: number): Progress {
  /** The image whose line the cursor is on. */
  let current: number | undefined;

  function end(): void {
    if (current !== undefined) stream.write('\n');
    current = undefined;
  }

  return {
    note(message) {
      end();
      stream.write(`${message}\n`);
    },
    step(update) {
      if (current !== update.index) end();
      current = update.index;
      const bar = '█'.repeat(update.step) + '░'.repeat(update.of - update.step);
      stream.write(`\r${title(update, count)} ${update.of <= 50 ? bar : ''} ${stepOf(update)}`);
    },
    end,
  };
}

function title({ index, seed }: JobUpdate, count: number): string {
  return count === 1 ? `seed ${seed}` : `image ${index + 1} of ${count}, seed ${seed}`;
}

function stepOf({ step, of }: JobUpdate): string {
  return step === 0 ? 'started' : `step ${step} of ${of}`;
}
