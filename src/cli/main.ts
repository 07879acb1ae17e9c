#!/usr/bin/env node
import { packageVersion } from '../package-root.js';
import { describeFailure, exitCodeOf, failureDocument } from './failure-report.js';
import { UsageError } from './usage-error.js';

interface Command {
  readonly help: string;
  run(argv: readonly string[]): Promise<void>;
}

/** Each is read when it is asked for: together they take longer than most of them take to answer. */
const commands = new Map<string, () => Promise<Command>>([
  [
    'render',
    async () => {
      const { RENDER_HELP: help } = await import('./render-arguments.js');
      return { help, run: (await import('./render.js')).render };
    },
  ],
  ['batch', () => import('./batch.js').then(({ BATCH_HELP: help, batch: run }) => ({ help, run }))],
  ['catalog', () => import('./catalog.js').then(({ CATALOG_HELP: help, catalog: run }) => ({ help, run }))],
  [
    'schedule',
    () => import('./schedule.js').then(({ SCHEDULE_HELP: help, schedule: run }) => ({ help, run })),
  ],
  ['worker', () => import('./worker.js').then(({ WORKER_HELP: help, worker: run }) => ({ help, run }))],
  [
    'snapshot',
    () => import('./snapshot.js').then(({ SNAPSHOT_HELP: help, snapshot: run }) => ({ help, run })),
  ],
  ['explain', () => import('./explain.js').then(({ EXPLAIN_HELP: help, explain: run }) => ({ help, run }))],
  ['replay', () => import('./replay.js').then(({ REPLAY_HELP: help, replay: run }) => ({ help, run }))],
  [
    'reproduce',
    () => import('./reproduce.js').then(({ REPRODUCE_HELP: help, reproduce: run }) => ({ help, run })),
  ],
  ['doctor', () => import('./doctor.js').then(({ DOCTOR_HELP: help, doctor: run }) => ({ help, run }))],
]);

const HELP = `temporal-diffusion ${packageVersion()}: image generation on your own GPUs, made durable by Temporal

  temporal-diffusion render "a slice of pizza"   draws a picture
  temporal-diffusion batch FILE.jsonl            draws up to 1,000, together
  temporal-diffusion catalog FILE                draws one a row, and only those that are missing
  temporal-diffusion schedule ACTION             does that at fixed times
  temporal-diffusion worker --storage PLACE      works on jobs
  temporal-diffusion snapshot ACTION             makes and keeps what workers start from
  temporal-diffusion explain WORKFLOW_ID         tells what became of a job
  temporal-diffusion replay WORKFLOW_ID          tells whether this release can go on with a job
  temporal-diffusion reproduce PICTURE           draws it again, and tells what is different
  temporal-diffusion doctor                      tells what this machine lacks for that, or for a GPU
  temporal-diffusion COMMAND --help              tells a command's options
  temporal-diffusion --version
`;

async function main([name, ...argv]: string[]): Promise<void> {
  if (name === '--version') {
    process.stdout.write(`${packageVersion()}\n`);
    return;
  }
  if (name === undefined || name === '--help') {
    process.stdout.write(HELP);
    return;
  }
  const read = commands.get(name);
  if (!read)
    throw new UsageError(
      `expected a command (${[...commands.keys()].join(', ')}), got ${JSON.stringify(name)}`,
    );
  const command = await read();
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
