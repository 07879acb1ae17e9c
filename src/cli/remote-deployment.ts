import { setTimeout as sleep } from 'node:timers/promises';
import type { NativeConnection } from '@temporalio/worker';
import type { ConfiguredServer } from './configured-server.js';
import type { Deployment } from './deployment.js';
import { missingWorkers } from './missing-workers.js';
import type { LoadTemporalSdk } from './temporal-sdk.js';

/** A server in another region answers within a second. */
const ANSWER_WITHIN_MS = 10_000;

/**
 * Connects to a server that runs, for a job that the workers there do.
 * @throws Error where it does not answer, or has no such namespace
 */
export async function connectTo(server: ConfiguredServer, loadSdk: LoadTemporalSdk): Promise<Deployment> {
  const begun = performance.now();
  const namespace = server.namespace ?? 'default';
  const connection = await connect(server, loadSdk);
  try {
    await connection.workflowService.describeNamespace({ namespace });
  } catch (error) {
    await connection.close();
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(
      `the Temporal server at ${server.address} refuses the namespace ${namespace}: ${reason}`,
      { cause: error },
    );
  }
  return {
    connection,
    namespace,
    failed: new Promise(() => {}),
    serverMs: performance.now() - begun,
    engineMs: () => undefined,
    hindrances: (model) => missingWorkers(connection, namespace, model),
    close: () => connection.close(),
  };
}

async function connect(
  { address, connectionOptions }: ConfiguredServer,
  loadSdk: LoadTemporalSdk,
): Promise<NativeConnection> {
  const { NativeConnection } = await loadSdk();
  const late = new AbortController();
  const deadline = sleep(ANSWER_WITHIN_MS, undefined, { signal: late.signal }).then((): never => {
    throw new Error(`no answer within ${ANSWER_WITHIN_MS / 1000} s`);
  });
  try {
    return await Promise.race([NativeConnection.connect(connectionOptions), deadline]);
  } catch (error) {
    throw new Error(
      `expected a Temporal server at ${address}, but it can't be reached: ${reasonOf(error)}. Check TEMPORAL_ADDRESS, or leave it out to use an embedded server`,
      { cause: error },
    );
  } finally {
    late.abort();
    deadline.catch(() => {});
  }
}

/** Temporal's core prints its transport errors with all that is around them; what the system said is the quoted part. */
function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return /message: "([^"]+)"/.exec(message)?.[1] ?? message;
}
