import { createHash } from 'node:crypto';
import type { Client } from '@temporalio/client';
import {
  WorkflowExecutionAlreadyStartedError,
  WorkflowIdConflictPolicy,
  WorkflowIdReusePolicy,
} from '@temporalio/common';
import type { CatalogRequest } from '../contract/catalog.js';
import { InvalidRequest } from '../contract/errors.js';
import { CATALOG, priorityOf } from '../contract/priority.js';
import { RENDER_CATALOG } from '../contract/workflow-types.js';
import { digestNoteOf } from './job-memo.js';
import { requestDigest } from './request-digest.js';

/** One catalogue is rendered by one run at a time. A dry run changes nothing, so it may go on beside. */
export function catalogJobId({ catalog, dryRun }: CatalogRequest): string {
  const digest = createHash('sha256').update(catalog).digest('hex').slice(0, 16);
  return `render-catalog/${dryRun ? 'dry-' : ''}${digest}`;
}

/** What a run is started with, by hand or by a schedule. */
export function catalogStart(request: CatalogRequest, taskQueue: string) {
  return {
    workflowType: RENDER_CATALOG,
    workflowId: catalogJobId(request),
    taskQueue,
    args: [request],
    memo: { catalog: request.catalog, requestDigest: requestDigest(request) },
    staticSummary: request.catalog,
    priority: priorityOf(CATALOG, request),
  };
}

/** @returns the id of the run, started or joined. @throws InvalidRequest where one with other settings runs */
export async function startCatalog(
  client: Client,
  taskQueue: string,
  request: CatalogRequest,
): Promise<string> {
  const { workflowType, ...options } = catalogStart(request, taskQueue);
  const { workflowId } = options;
  try {
    await client.workflow.start(workflowType, {
      ...options,
      workflowIdReusePolicy: WorkflowIdReusePolicy.ALLOW_DUPLICATE,
      workflowIdConflictPolicy: WorkflowIdConflictPolicy.FAIL,
    });
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    const running = await client.workflow.getHandle(workflowId).describe();
    if (digestNoteOf(running) !== options.memo.requestDigest) {
      throw new InvalidRequest(
        `✖ expected no other run of this catalogue, but ${workflowId} renders it with other settings: wait for it, or cancel it\n  → at catalog`,
        { cause: error },
      );
    }
  }
  return workflowId;
}
