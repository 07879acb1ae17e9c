import type { Client } from '@temporalio/client';
import type { History } from '@temporalio/common/lib/proto-utils.js';
import { GENERATE_BATCH, GENERATE_IMAGE, RENDER_CATALOG } from '../contract/workflow-types.js';
import { WORKFLOW_BUNDLE } from '../workflows/bundle-path.js';
import { NO_SPANS } from '../workflows/no-spans.js';
import { parseArguments } from './arguments.js';
import { configuredOrLocalServer } from './configured-server.js';
import { type Difference, differenceOf } from './history-difference.js';
import { type RecordedWorkflow, readHistory } from './history-file.js';
import { createLog } from './log.js';
import { connectTo } from './remote-deployment.js';
import { debugReplay } from './replay-debugger.js';
import { type LoadTemporalSdk, type TemporalSdk, temporalSdkLoader } from './temporal-sdk.js';
import { UsageError } from './usage-error.js';

export const REPLAY_HELP = `temporal-diffusion replay WORKFLOW_ID | FILE.json …  [options]

Runs the workflows of this release again over recorded histories: nothing is drawn, and nothing is sent. Tells where
they would decide otherwise now than they did then. Exit code 1 where they would: workers of this release can't go on
with such jobs.

  WORKFLOW_ID        a job, batch or catalogue of the server
  FILE.json          a history as \`temporal workflow show --output json\` and Temporal's UI write it
  --run-id ID        which run of the one WORKFLOW_ID (default: the latest)
  --query TEXT       all of our workflows that a visibility query finds, such as 'ExecutionStatus="Running"'
  --debug            replays the one history below a debugger: waits for one on 127.0.0.1:9229, or on what
                     NODE_OPTIONS=--inspect-brk=PORT names
  --json             one JSON document on stdout, and nothing else there

The server is the one that TEMPORAL_ADDRESS, or a profile of Temporal's configuration, names; else localhost:7233.
`;

const NAMES = ['query', 'run-id'] as const;

/** What became of one history. */
export interface Replayed {
  readonly workflowId: string;
  readonly runId: string | undefined;
  readonly workflowType: string;
  readonly events: number;
  /** Where the code parts from the history; undefined where it does not. */
  readonly difference: Difference | undefined;
}

/** `temporal-diffusion replay`: whether this code would decide what histories say. */
export async function replay(argv: readonly string[]): Promise<void> {
  const { texts, flags, positionals } = parseArguments(argv, NAMES, ['debug', 'json', 'verbose']);
  const { query } = texts;
  if (positionals.length > 0 === (query !== undefined)) {
    throw new UsageError('expected either workflow ids and history files, or --query');
  }
  const isOne = positionals.length === 1;
  if (texts['run-id'] !== undefined && (!isOne || isFile(positionals[0] ?? ''))) {
    throw new UsageError('expected one workflow id beside --run-id');
  }
  if (flags.has('debug') && !isOne) throw new UsageError('expected one workflow id or file beside --debug');
  const verbose = flags.has('verbose');
  const log = createLog(verbose ? 'debug' : 'warn');
  // What the SDK says of a difference is told by the report.
  const loadSdk = temporalSdkLoader(log, verbose ? 'INFO' : 'ERROR');
  const source = await openSource(positionals.some((name) => !isFile(name)) || query !== undefined, loadSdk);
  try {
    const histories = source.histories(positionals, { query, runId: texts['run-id'] });
    if (flags.has('debug')) {
      for await (const { history } of histories)
        await debugReplay(history, (text) => process.stderr.write(text));
      return;
    }
    const replayed: Replayed[] = [];
    for await (const result of replayAll(await loadSdk(), histories)) {
      replayed.push(result);
      if (!flags.has('json')) process.stdout.write(describe(result));
    }
    const different = replayed.filter(({ difference }) => difference !== undefined).length;
    if (flags.has('json')) {
      process.stdout.write(`${JSON.stringify({ ok: different === 0, different, replayed }, null, 2)}\n`);
    } else process.stdout.write(`${replayed.length} replayed, ${different} different\n`);
    if (different > 0) process.exitCode = 1;
  } finally {
    await source.close();
  }
}

/**
 * Replays histories against the workflows of this package, one after the other.
 * @throws Error where a history belongs to a workflow that is not ours
 */
export async function* replayAll(
  sdk: TemporalSdk,
  histories: AsyncIterable<RecordedWorkflow> | Iterable<RecordedWorkflow>,
): AsyncGenerator<Replayed> {
  const options = { workflowBundle: { codePath: WORKFLOW_BUNDLE }, sinks: NO_SPANS };
  // The worker takes one history for each result that it gives, so this is the one that the result is of.
  let current: History = { events: [] };
  async function* watched() {
    for await (const entry of histories) {
      current = entry.history;
      requireOurs(entry);
      yield { workflowId: entry.workflowId, history: entry.history };
    }
  }
  const failure = async (history: History, workflowId: string): Promise<string | undefined> => {
    for await (const { error } of sdk.Worker.runReplayHistories(options, [{ workflowId, history }])) {
      return error?.message;
    }
    return undefined;
  };
  for await (const { workflowId, error } of sdk.Worker.runReplayHistories(options, watched())) {
    const started = startOf(current);
    yield {
      workflowId,
      runId: started?.originalExecutionRunId ?? undefined,
      workflowType: started?.workflowType?.name ?? '',
      events: current.events?.length ?? 0,
      difference:
        error && (await differenceOf(current, error.message, (prefix) => failure(prefix, workflowId))),
    };
  }
}

const OURS = [GENERATE_IMAGE, GENERATE_BATCH, RENDER_CATALOG];

function requireOurs({ workflowId, history }: RecordedWorkflow): void {
  const type = startOf(history)?.workflowType?.name ?? 'none';
  if (!OURS.includes(type)) {
    throw new Error(`expected ${workflowId} to be a workflow of ours (${OURS.join(', ')}), got ${type}`);
  }
}

function startOf(history: History) {
  return history.events?.[0]?.workflowExecutionStartedEventAttributes ?? undefined;
}

interface Wanted {
  readonly query: string | undefined;
  readonly runId: string | undefined;
}

interface Source {
  histories(names: readonly string[], wanted: Wanted): AsyncIterable<RecordedWorkflow>;
  close(): Promise<void>;
}

/** Where histories come from; files alone need no server. */
async function openSource(needsServer: boolean, loadSdk: LoadTemporalSdk): Promise<Source> {
  if (!needsServer) {
    return { histories: (names) => each(names, readHistory), close: async () => {} };
  }
  const server = configuredOrLocalServer();
  const deployment = await connectTo(server, loadSdk);
  const { Client } = await import('@temporalio/client');
  const client = new Client(deployment);
  return {
    histories(names, { query, runId }) {
      if (query !== undefined) return found(client, query);
      return each(names, (name) => (isFile(name) ? readHistory(name) : fetched(client, name, runId)));
    },
    close: () => deployment.close(),
  };
}

async function* each(
  names: readonly string[],
  read: (name: string) => Promise<RecordedWorkflow>,
): AsyncGenerator<RecordedWorkflow> {
  for (const name of names) yield read(name);
}

async function fetched(client: Client, workflowId: string, runId?: string): Promise<RecordedWorkflow> {
  return { workflowId, history: await client.workflow.getHandle(workflowId, runId).fetchHistory() };
}

async function* found(client: Client, query: string): AsyncGenerator<RecordedWorkflow> {
  const types = OURS.map((type) => `'${type}'`).join(', ');
  const terms = query.trim() === '' ? [] : [`(${query})`];
  const ours = [...terms, `WorkflowType IN (${types})`].join(' AND ');
  for await (const { workflowId, runId } of client.workflow.list({ query: ours })) {
    yield fetched(client, workflowId, runId);
  }
}

function isFile(name: string): boolean {
  return name.endsWith('.json');
}

function describe({ workflowId, workflowType, events, difference }: Replayed): string {
  const of = `${workflowId} · ${workflowType} · ${events} events`;
  if (!difference) return `✔ ${of}\n`;
  const { event, command, message } = difference;
  const lines = [
    `✖ ${of}`,
    ...(event
      ? [`    recorded: event ${event.id}, ${event.type}${event.what ? ` of ${event.what}` : ''}`]
      : []),
    ...(command ? [`    this code: ${command}`] : []),
    `    ${message}`,
  ];
  return `${lines.join('\n')}\n`;
}
