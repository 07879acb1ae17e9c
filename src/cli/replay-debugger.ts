import { once } from 'node:events';
import inspector from 'node:inspector';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { History } from '@temporalio/common/lib/proto-utils.js';
import proto from '@temporalio/proto';
import { z } from 'zod';
import { NO_SPANS } from '../workflows/no-spans.js';

const PORT = 9229;

/**
 * Replays a history below a debugger: opens Node's inspector, waits for a debugger there, and starts Temporal's debug
 * replayer, in which workflows run in this very thread. The process ends with it.
 */
export async function debugReplay(history: History, tell: (text: string) => void): Promise<never> {
  const bytes = proto.temporal.api.history.v1.History.encode(history).finish();
  const runner = new Worker(new URL('./debug-history-server.js', import.meta.url), { workerData: bytes });
  const [port] = z.tuple([z.int()]).parse(await once(runner, 'message'));
  // The one way in which the SDK's replayer is told where its history is.
  process.env.TEMPORAL_DEBUGGER_PLUGIN_URL = `http://127.0.0.1:${port}`;
  const { startDebugReplayer } = await import('@temporalio/worker');
  if (inspector.url() === undefined) {
    tell(`waiting for a debugger on 127.0.0.1:${PORT}: open chrome://inspect, or attach your editor\n`);
    inspector.open(PORT, '127.0.0.1', true);
  }
  // Bundled anew: the replayer adds interceptors to the workflows. A breakpoint needs code, so it stops here first.
  const pathOf = (name: string) => fileURLToPath(new URL(`../workflows/${name}`, import.meta.url));
  startDebugReplayer({
    workflowsPath: pathOf('index.js'),
    interceptors: { workflowModules: [pathOf('trace.js')] },
    sinks: NO_SPANS,
  });
  return new Promise<never>(() => {});
}
