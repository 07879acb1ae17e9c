import { writeFile } from 'node:fs/promises';
import { loadDataConverter } from '@temporalio/common/lib/internal-non-workflow/index.js';
import type { Explanation } from '../contract/explanation.js';
import { GENERATE_BATCH, GENERATE_IMAGE, RENDER_CATALOG } from '../contract/workflow-types.js';
import { parseArguments } from './arguments.js';
import { configuredOrLocalServer } from './configured-server.js';
import { describeExplanation } from './explain-report.js';
import { explain as explainRuns } from './explanation.js';
import { readHistory } from './history-file.js';
import { fetchJob, type JobHistories } from './job-histories.js';
import { createLog } from './log.js';
import { readRun } from './recorded-run.js';
import { connectTo } from './remote-deployment.js';
import { temporalSdkLoader } from './temporal-sdk.js';
import { UsageError } from './usage-error.js';

export const EXPLAIN_HELP = `temporal-diffusion explain WORKFLOW_ID | FILE.json  [options]

Tells what became of a job: what was asked for, each attempt on which host and engine, what it waited for, how long
each stage took, what went wrong and what was done about it, and where the pictures lie.

  WORKFLOW_ID        a job, batch or catalogue of the server; running, ended or failed
  FILE.json          a history as \`temporal workflow show --output json\` and Temporal's UI write it
  --run-id ID        which run of the WORKFLOW_ID (default: the latest)
  --runs N           runs of one catalogue that are looked at, at most (default: 10)
  --html FILE        writes one page with the pictures and a chart, which needs nothing beside it
  --json             one JSON document on stdout, and nothing else there

The server is the one that TEMPORAL_ADDRESS, or a profile of Temporal's configuration, names; else localhost:7233.
`;

const NAMES = ['run-id', 'runs', 'html'] as const;
const OURS = [GENERATE_IMAGE, GENERATE_BATCH, RENDER_CATALOG];
const RUNS = 10;

/** `temporal-diffusion explain`: what became of a job. */
export async function explain(argv: readonly string[]): Promise<void> {
  const { texts, flags, positionals } = parseArguments(argv, NAMES, ['json', 'verbose']);
  const [name, ...others] = positionals;
  if (name === undefined || others.length > 0) {
    throw new UsageError(`expected one workflow id or history file, got ${positionals.length}`);
  }
  const isFile = name.endsWith('.json');
  if (isFile && texts['run-id'] !== undefined) throw new UsageError('expected a workflow id beside --run-id');
  const most = texts.runs === undefined ? RUNS : Number(texts.runs);
  if (!Number.isInteger(most) || most < 1) {
    throw new UsageError(`expected a number of runs from 1 for --runs, got ${texts.runs}`);
  }
  const { runs, notes } = isFile
    ? await readJob(name)
    : await fetchFromServer(name, { runId: texts['run-id'], most }, flags.has('verbose'));
  const type = runs.at(-1)?.workflowType ?? 'none';
  if (!OURS.includes(type)) {
    throw new Error(`expected ${name} to be a workflow of ours (${OURS.join(', ')}), got ${type}`);
  }
  // What a file tells of ends with it; what a server tells of goes on.
  const now = isFile ? Math.max(...runs.map(({ lastEventAt }) => lastEventAt)) : Date.now();
  const explanation = explainRuns(runs, now, notes);
  if (texts.html !== undefined) await writePage(texts.html, explanation, now);
  process.stdout.write(
    flags.has('json') ? `${JSON.stringify(explanation, null, 2)}\n` : describeExplanation(explanation, now),
  );
}

async function writePage(path: string, explanation: Explanation, now: number): Promise<void> {
  const [{ thumbnailsOf }, { explanationPage }] = await Promise.all([
    import('./explain-pictures.js'),
    import('./explain-page.js'),
  ]);
  const thumbnails = await thumbnailsOf(explanation.pictures);
  await writeFile(path, explanationPage(explanation, thumbnails, now));
  const missing = thumbnails.flatMap((thumbnail) => ('missing' in thumbnail ? [thumbnail] : []));
  if (missing[0]) {
    process.stderr.write(
      `${missing.length} of ${thumbnails.length} pictures could not be fetched for the page: ${missing[0].missing}\n`,
    );
  }
}

async function readJob(path: string): Promise<JobHistories> {
  const { workflowId, history } = await readHistory(path);
  const run = await readRun(history, loadDataConverter());
  const notes =
    run.status === 'running'
      ? ['the file does not tell which of its activities run: ask the server by the workflow id']
      : [];
  return { runs: [{ ...run, workflowId }], notes };
}

async function fetchFromServer(
  workflowId: string,
  wanted: Parameters<typeof fetchJob>[2],
  verbose: boolean,
): Promise<JobHistories> {
  const log = createLog(verbose ? 'debug' : 'warn');
  const deployment = await connectTo(configuredOrLocalServer(), temporalSdkLoader(log, 'ERROR'));
  try {
    const { Client } = await import('@temporalio/client');
    return await fetchJob(new Client(deployment), workflowId, wanted);
  } finally {
    await deployment.close();
  }
}
