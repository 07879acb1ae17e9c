import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { temporalProgram } from '../../bench/server.js';
import { freePort } from '../../src/cli/embedded-server.js';
import { DiffusionClient } from '../../src/client/diffusion-client.js';
import { loadSdk } from './temporal.js';
import { until } from './waiting.js';

/** A Temporal server that keeps its state in a file, so that it can be killed and started again. */
export interface DurableServer {
  readonly address: string;
  /** Kills it outright. */
  kill(): Promise<void>;
  /** Starts it, again, at the same address with the same state; resolves when it answers. */
  start(): Promise<void>;
  /** A client whose connection did not live through what the others did. */
  connect(): Promise<{ client: Client; diffusion: DiffusionClient; close(): Promise<void> }>;
}

/**
 * @param folder where its database lies. The caller kills it.
 * @param settings Temporal's dynamic configuration, as `KEY=VALUE`
 */
export async function createDurableServer(
  folder: string,
  settings: readonly string[] = [],
): Promise<DurableServer> {
  const program = await temporalProgram(loadSdk);
  const port = await freePort();
  const address = `127.0.0.1:${port}`;
  const where = ['--ip', '127.0.0.1', '--port', String(port), '--db-filename', join(folder, 'temporal.db')];
  const quiet = ['--headless', '--log-level', 'never', '--disable-config-file', '--disable-config-env'];
  const dynamic = settings.flatMap((setting) => ['--dynamic-config-value', setting]);
  let child: ChildProcess | undefined;

  async function kill(): Promise<void> {
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  process.on('exit', () => child?.kill('SIGKILL'));

  async function connect() {
    const connection = await Connection.connect({ address });
    const client = new Client({ connection });
    return {
      client,
      diffusion: new DiffusionClient(client, { pollMs: 20 }),
      close: () => connection.close(),
    };
  }

  return {
    address,
    kill,
    connect,
    async start() {
      child = spawn(program, ['server', 'start-dev', ...where, ...quiet, ...dynamic], { stdio: 'ignore' });
      await until('the server answers', async () => {
        try {
          const { client, close } = await connect();
          try {
            await client.connection.workflowService.describeNamespace({ namespace: 'default' });
            return true;
          } finally {
            await close();
          }
        } catch {
          return false;
        }
      });
    },
  };
}
