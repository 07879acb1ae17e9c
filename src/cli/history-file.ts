import { readFile } from 'node:fs/promises';
import { type History, historyFromJSON } from '@temporalio/common/lib/proto-utils.js';
import { z } from 'zod';

/** A run of a workflow, as far as it has come. */
export interface RecordedWorkflow {
  readonly workflowId: string;
  readonly history: History;
}

const HistoryFile = z.looseObject({
  events: z.array(z.looseObject({ eventId: z.union([z.string(), z.int()]), eventType: z.string() })).min(1),
});

/**
 * A history that Temporal's command, or its UI, has written as JSON.
 * @throws Error where the file can't be read, or is no history
 */
export async function readHistory(path: string): Promise<RecordedWorkflow> {
  const text = await readFile(path, 'utf8');
  try {
    const history = historyFromJSON(HistoryFile.parse(JSON.parse(text)));
    const started = history.events?.[0]?.workflowExecutionStartedEventAttributes;
    return { workflowId: started?.workflowId || path, history };
  } catch (error) {
    const reason = error instanceof z.ZodError ? z.prettifyError(error) : String(error);
    throw new Error(
      `expected ${path} to be a workflow's history, as temporal workflow show --output json writes it: ${reason}`,
      { cause: error },
    );
  }
}
