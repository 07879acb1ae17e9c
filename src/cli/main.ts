#!/usr/bin/env node
import { packageVersion } from '../package-root.js';
import { BATCH_HELP, batch } from './batch.js';
import { CATALOG_HELP, catalog } from './catalog.js';
import { DOCTOR_HELP, doctor } from './doctor.js';
import { EXPLAIN_HELP, explain } from './explain.js';
import { describeFailure, exitCodeOf, failureDocument } from './failure-report.js';
import { render } from './render.js';
import { RENDER_HELP } from './render-arguments.js';
import { REPLAY_HELP, replay } from './replay.js';
import { REPRODUCE_HELP, reproduce } from './reproduce.js';
import { SCHEDULE_HELP, schedule } from './schedule.js';
import { SNAPSHOT_HELP, snapshot } from './snapshot.js';
import { UsageError } from './usage-error.js';
import { WORKER_HELP, worker } from './worker.js';

interface Command {
  readonly help: string;
  run(argv: readonly string[]): Promise<void>;
}

const commands = new Map<string, Command>([
  ['render', { help: RENDER_HELP, run: render }],
  ['batch', { help: BATCH_HELP, run: batch }],
  ['catalog', { help: CATALOG_HELP, run: catalog }],
  ['schedule', { help: SCHEDULE_HELP, run: schedule }],
  ['worker', { help: WORKER_HELP, run: worker }],
  ['snapshot', { help: SNAPSHOT_HELP, run: snapshot }],
  ['explain', { help: EXPLAIN_HELP, run: explain }],
  ['replay', { help: REPLAY_HELP, run: replay }],
  ['reproduce', { help: REPRODUCE_HELP, run: reproduce }],
  ['doctor', { help: DOCTOR_HELP, run: doctor }],
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
  const command = commands.get(name);
  if (!command)
    throw new UsageError(
      `expected a command (${[...commands.keys()].join(', ')}), got ${JSON.stringify(name)}`,
    );
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
