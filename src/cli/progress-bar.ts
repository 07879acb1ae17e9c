/** How far many items are. */
export interface BulkProgress {
  /** Of all; guessed where it is not known yet. */
  readonly total: number;
  readonly isGuess: boolean;
  readonly done: number;
  readonly failed: number;
  /** Found done already. */
  readonly unchanged: number;
  /** Items a second; 0 while nothing is known. */
  readonly rate: number;
  readonly secondsLeft: number | undefined;
  /** A word for what it is at, where that is not drawing. */
  readonly state?: string | undefined;
}

/** Shows how a batch or a catalogue gets on. */
export interface ProgressBar {
  show(progress: BulkProgress): void;
  note(message: string): void;
  /** Leaves the cursor at the start of a line. Idempotent. */
  end(): void;
}

export function createProgressBar(stream: NodeJS.WriteStream): ProgressBar {
  return stream.isTTY ? drawnBar(stream) : plainLines(stream);
}

const WIDTH = 30;
/** Clears the rest of the line: the last text may have been longer. */
const CLEAR = '\u001b[K';

/** One line that is drawn over, for people at a terminal. */
function drawnBar(stream: NodeJS.WriteStream): ProgressBar {
  let isOpen = false;
  function end(): void {
    if (isOpen) stream.write('\n');
    isOpen = false;
  }
  return {
    show(progress) {
      isOpen = true;
      const line = `${bar(progress)} ${describeProgress(progress)}`;
      // A line that wraps could not be drawn over.
      stream.write(`\r${[...line].slice(0, Math.max(20, stream.columns - 1)).join('')}${CLEAR}`);
    },
    note(message) {
      end();
      stream.write(`${message}\n`);
    },
    end,
  };
}

/** Lines of a log: none more often than people want to read, and none twice. */
const LINE_EVERY_MS = 5_000;

function plainLines(stream: NodeJS.WritableStream): ProgressBar {
  let shownAt = Number.NEGATIVE_INFINITY;
  let last = '';
  let pending: BulkProgress | undefined;
  function write(progress: BulkProgress): void {
    const line = describeProgress(progress);
    if (line !== last) stream.write(`${line}\n`);
    last = line;
    pending = undefined;
  }
  return {
    show(progress) {
      pending = progress;
      const now = performance.now();
      if (now - shownAt < LINE_EVERY_MS) return;
      shownAt = now;
      write(progress);
    },
    note: (message) => stream.write(`${message}\n`),
    end() {
      if (pending) write(pending);
    },
  };
}

function bar({ total, done, failed, unchanged }: BulkProgress): string {
  const part = total === 0 ? 0 : Math.min(1, (done + failed + unchanged) / total);
  const full = Math.floor(part * WIDTH);
  return '█'.repeat(full) + '░'.repeat(WIDTH - full);
}

export function describeProgress(progress: BulkProgress): string {
  const { total, isGuess, done, failed, unchanged, rate, secondsLeft, state } = progress;
  const finished = done + failed + unchanged;
  const parts = [
    `${finished} of ${isGuess ? 'about ' : ''}${total}`,
    failed > 0 && `${failed} failed`,
    unchanged > 0 && `${unchanged} there already`,
    rate > 0 && `${rate.toFixed(rate < 10 ? 2 : 0)} a second`,
    secondsLeft !== undefined && finished < total && `${duration(secondsLeft)} left`,
    state,
  ];
  return parts.filter((part) => typeof part === 'string').join(' · ');
}

export function duration(seconds: number): string {
  const whole = Math.round(seconds);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60)];
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min ${whole % 60} s` : `${whole} s`;
}
