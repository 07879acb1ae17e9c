#!/usr/bin/env node
import { packageVersion } from '../package-root.js';
import { describeFailure, exitCodeOf, failureDocument } from './failure-report.js';
import { UsageError } from './usage-error.js';

interface Command {
  readonly help: string;
  run(argv: readonly string[]): Promise<void>;
}

interface Entry {
  /** What stands behind its name, and what it does. */
  readonly usage: readonly [string, string];
  /** Each is read when it is asked for: together they take longer than most of them take to answer. */
  read(): Promise<Command>;
}

const commands: Readonly<Record<string, Entry>> = {
  render: {
    usage: ['"a slice of pizza"', 'draws a picture'],
    async read() {
      const { RENDER_HELP: help } = await import('./render-arguments.js');
      return { help, run: (await import('./render.js')).render };
    },
  },
  batch: {
    usage: ['FILE.jsonl', 'draws up to 1,000, together'],
    read: () => import('./batch.js').then(({ BATCH_HELP: help, batch: run }) => ({ help, run })),
  },
  catalog: {
    usage: ['FILE', 'draws one a row, and only those that are missing'],
    read: () => import('./catalog.js').then(({ CATALOG_HELP: help, catalog: run }) => ({ help, run })),
  },
  schedule: {
    usage: ['ACTION', 'does that at fixed times'],
    read: () => import('./schedule.js').then(({ SCHEDULE_HELP: help, schedule: run }) => ({ help, run })),
  },
  worker: {
    usage: ['--storage PLACE', 'works on jobs'],
    read: () => import('./worker.js').then(({ WORKER_HELP: help, worker: run }) => ({ help, run })),
  },
  snapshot: {
    usage: ['ACTION', 'makes and keeps what workers start from'],
    read: () => import('./snapshot.js').then(({ SNAPSHOT_HELP: help, snapshot: run }) => ({ help, run })),
  },
  explain: {
    usage: ['WORKFLOW_ID', 'tells what became of a job'],
    read: () => import('./explain.js').then(({ EXPLAIN_HELP: help, explain: run }) => ({ help, run })),
  },
  replay: {
    usage: ['WORKFLOW_ID', 'tells whether this release can go on with a job'],
    read: () => import('./replay.js').then(({ REPLAY_HELP: help, replay: run }) => ({ help, run })),
  },
  reproduce: {
    usage: ['PICTURE', 'draws it again, and tells what is different'],
    read: () => import('./reproduce.js').then(({ REPRODUCE_HELP: help, reproduce: run }) => ({ help, run })),
  },
  doctor: {
    usage: ['', 'tells what this machine lacks for that, or for a GPU'],
    read: () => import('./doctor.js').then(({ DOCTOR_HELP: help, doctor: run }) => ({ help, run })),
  },
};

function helpOfAll(): string {
  const lines = [
    ...Object.entries(commands).map(([name, { usage }]) => [`${name} ${usage[0]}`, usage[1]]),
    ['COMMAND --help', 'tells a command’s options'],
    ['--version', 'tells this release'],
  ].map(([usage = '', does]) => `  temporal-diffusion ${usage.padEnd(WIDTH)} ${does}\n`);
  return `temporal-diffusion ${packageVersion()}: image generation on your own GPUs, made durable by Temporal\n\n${lines.join('')}`;
}

const WIDTH = 27;

async function main([name, ...argv]: string[]): Promise<void> {
  if (name === '--version') {
    process.stdout.write(`${packageVersion()}\n`);
    return;
  }
  if (name === undefined || name === '--help') {
    process.stdout.write(helpOfAll());
    return;
  }
  const entry = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (!entry) {
    throw new UsageError(
      `expected a command (${Object.keys(commands).join(', ')}), got ${JSON.stringify(name)}`,
    );
  }
  const command = await entry.read();
  if (argv.includes('--help')) process.stdout.write(command.help);
  else await command.run(argv);
}

/** Whoever reads the output has gone: there is nobody left to tell anything. */
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

const argv = process.argv.slice(2);
try {
  await main(argv);
  process.exitCode ??= 0;
} catch (error) {
  const verbose = argv.includes('--verbose') || Boolean(process.env.DEBUG);
  process.stderr.write(describeFailure(error, verbose));
  if (argv.includes('--json')) process.stdout.write(`${JSON.stringify(failureDocument(error), null, 2)}\n`);
  process.exitCode = exitCodeOf(error);
}
// Everything is closed. Should a handle of the SDK keep the process all the same, it ends once its output is written.
process.stdout.write('', () => setTimeout(() => process.exit(), 500).unref());
