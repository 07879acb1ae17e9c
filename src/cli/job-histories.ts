import type { Client } from '@temporalio/client';
import type { LoadedDataConverter } from '@temporalio/common';
import { type RecordedRun, readRun } from './recorded-run.js';

/** A job's runs, one after the other, and what could not be looked at. */
export interface JobHistories {
  readonly runs: readonly RecordedRun[];
  readonly notes: readonly string[];
}

/**
 * Fetches a job's histories: the run that is asked for, what it was continued from, and what continues it.
 * @param runId default: the latest
 * @param most how many runs are looked at
 * @throws Error where there is none
 */
export async function fetchJob(
  client: Client,
  workflowId: string,
  { runId, most }: { readonly runId: string | undefined; readonly most: number },
): Promise<JobHistories> {
  const converter = client.options.loadedDataConverter;
  const runs = [await fetchRun(client, converter, workflowId, runId)];
  const notes: string[] = [];
  while (runs.length < most) {
    const next = runs.at(-1)?.nextRunId;
    if (next === undefined) break;
    runs.push(await fetchRun(client, converter, workflowId, next));
  }
  if (runs.at(-1)?.nextRunId !== undefined)
    notes.push(`later runs were not looked at: ask for more by --runs`);
  for (;;) {
    const previous = runs[0]?.previousRunId;
    if (previous === undefined) break;
    if (runs.length >= most) {
      notes.push('earlier runs were not looked at: ask for more by --runs');
      break;
    }
    try {
      runs.unshift(await fetchRun(client, converter, workflowId, previous));
    } catch {
      notes.push('earlier runs are gone: the server keeps them for as long as its namespace says');
      break;
    }
  }
  return { runs, notes };
}

async function fetchRun(
  client: Client,
  converter: LoadedDataConverter,
  workflowId: string,
  runId: string | undefined,
): Promise<RecordedRun> {
  const latest = client.workflow.getHandle(workflowId, runId);
  const description = await latest.describe().catch((error: unknown) => {
    if (!(error instanceof Error) || error.name !== 'WorkflowNotFoundError') throw error;
    const run = runId === undefined ? '' : ` with the run ${runId}`;
    throw new Error(`expected the id of a workflow, but the server has no ${workflowId}${run}`, {
      cause: error,
    });
  });
  const handle = client.workflow.getHandle(workflowId, description.runId);
  const history = await handle.fetchHistory();
  const run = await readRun(history, converter, description.raw.pendingActivities ?? []);
  return { ...run, workflowId, runId: description.runId };
}
