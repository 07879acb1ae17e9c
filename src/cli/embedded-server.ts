import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { NativeConnection } from '@temporalio/worker';
import type { LoadTemporalSdk } from './temporal-sdk.js';

/** A Temporal server of this process's own, for as long as the process lives. */
export interface EmbeddedServer {
  /** Host and port, for further connections. */
  readonly address: string;
  readonly connection: NativeConnection;
  readonly namespace: string;
  /** Rejects when the server ends by itself. */
  readonly failed: Promise<never>;
  /** Ends server and connection. Workers that use it must have been stopped. */
  close(): Promise<void>;
}

export interface EmbeddedServerOptions {
  /** The `temporal` program. */
  readonly program: string;
  readonly loadSdk: LoadTemporalSdk;
  readonly signal: AbortSignal;
  /** Which port to try next. Default: one that is free at the moment. */
  readonly nextPort?: () => Promise<number>;
}

/** Another process may take the port before the server does; five times in a row is no accident. */
const MAX_TRIES = 5;
/** A healthy server answers within half a second; a machine under load gets more. */
const HEALTHY_WITHIN_MS = 30_000;
const PAUSE_MS = 20;

/** @throws Error with the server's own words where it does not become healthy */
export async function startEmbeddedServer(options: EmbeddedServerOptions): Promise<EmbeddedServer> {
  const { program, loadSdk, signal, nextPort = freePort } = options;
  // The server is in no one's way who looks for the default namespace, and nobody else's server has this one: a
  // connection that finds it has found our server, not another that took the port first.
  const namespace = `render-${randomUUID()}`;
  let said = '';
  for (let tries = 1; tries <= MAX_TRIES; tries++) {
    signal.throwIfAborted();
    const port = await nextPort();
    const server = new ServerProcess(program, port, namespace);
    try {
      const address = `127.0.0.1:${port}`;
      const connection = await connectWhenHealthy(server, address, namespace, loadSdk, signal);
      if (connection) return embedded(server, { address, connection, namespace });
      said = server.lastWords;
    } catch (error) {
      server.kill();
      throw error;
    }
  }
  throw new Error(`${program} did not start a server in ${MAX_TRIES} tries; the last one said: ${said}`);
}

type Reached = Pick<EmbeddedServer, 'address' | 'connection' | 'namespace'>;

function embedded(server: ServerProcess, reached: Reached): EmbeddedServer {
  const failed = server.ended.then((): never => {
    throw new Error(`the embedded Temporal server ended by itself: ${server.lastWords}`);
  });
  failed.catch(() => {});
  return {
    ...reached,
    failed,
    async close() {
      await reached.connection.close();
      server.kill();
      await server.ended;
    },
  };
}

/** @returns undefined where the server ended instead, as it does when its port is taken */
async function connectWhenHealthy(
  server: ServerProcess,
  address: string,
  namespace: string,
  loadSdk: LoadTemporalSdk,
  signal: AbortSignal,
): Promise<NativeConnection | undefined> {
  const { NativeConnection } = await loadSdk();
  const over = new AbortController();
  const deadline = sleep(HEALTHY_WITHIN_MS, 'late' as const, { signal: over.signal });
  deadline.catch(() => {});
  try {
    for (;;) {
      signal.throwIfAborted();
      // Whoever has taken the port may accept connections and never answer: a server that has ended is not waited for.
      const attempt = connect(NativeConnection, address, namespace);
      const outcome = await Promise.race([attempt, server.ended.then(() => 'ended' as const), deadline]);
      if (outcome === 'ended') return undefined;
      if (outcome === 'late') throw late(server, address);
      if (outcome) return outcome;
      await sleep(PAUSE_MS);
    }
  } finally {
    over.abort();
  }
}

/** @returns undefined where there is no server, or not the one that has this namespace */
async function connect(
  Connection: typeof NativeConnection,
  address: string,
  namespace: string,
): Promise<NativeConnection | undefined> {
  const connection = await Connection.connect({ address }).catch(() => undefined);
  if (!connection) return undefined;
  const found = await connection.workflowService.describeNamespace({ namespace }).catch(() => undefined);
  if (found) return connection;
  await connection.close();
  return undefined;
}

function late(server: ServerProcess, address: string): Error {
  return new Error(
    `expected the embedded Temporal server to be healthy within ${HEALTHY_WITHIN_MS / 1000} s [address=${address}]: ${server.lastWords}`,
  );
}

/**
 * How often a second the server looks for tasks to hand out. Its own limit is 20 a shard, and this one has one shard: a
 * job takes six of them, so each task of quick jobs, one after the other, waited for about 35 ms.
 */
const SETTINGS = ['history.transferProcessorMaxPollRPS=1000', 'history.transferProcessorMaxPollHostRPS=1000'];

/**
 * Runs the server and ends it when its standard input ends, which happens in every way that a parent can die, SIGKILL
 * included, on every system that has a shell. `read` returns at the end of the input; the server itself gets none.
 */
const WATCH = `exec 3<&0 </dev/null
"$@" 3<&- & server=$!
{ read -r _ <&3; kill -KILL $server; } 2>/dev/null & watch=$!
exec 3<&-
wait $server; code=$?
kill -KILL $watch 2>/dev/null
exit $code`;

class ServerProcess {
  /** Resolves when the process is gone, however it went. */
  readonly ended: Promise<unknown>;
  readonly #child: ChildProcess;
  #said = '';
  #hasEnded = false;

  constructor(program: string, port: number, namespace: string) {
    const quiet = ['--headless', '--log-level', 'error', '--disable-config-file', '--disable-config-env'];
    const where = ['--ip', '127.0.0.1', '--port', String(port), '--namespace', namespace];
    const settings = SETTINGS.flatMap((setting) => ['--dynamic-config-value', setting]);
    const argv = ['server', 'start-dev', ...where, ...quiet, ...settings];
    this.#child = spawn('sh', ['-c', WATCH, 'sh', program, ...argv], {
      stdio: ['pipe', 'ignore', 'pipe'],
      // A group of its own: a Ctrl-C at the terminal is the command's to handle, which still needs the server then.
      detached: true,
    });
    this.#child.stdin?.on('error', () => {});
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#said = (this.#said + text).slice(-2000);
    });
    this.ended = once(this.#child, 'exit').then(
      () => this.#end(),
      (error: unknown) => {
        this.#said = String(error);
        this.#end();
      },
    );
    process.on('exit', this.kill);
  }

  get lastWords(): string {
    return this.#said.trim() || 'nothing';
  }

  /** Ends shell and server at once: nothing in a server without a database is worth saving. Idempotent. */
  readonly kill = (): void => {
    const { pid } = this.#child;
    if (this.#hasEnded || pid === undefined) return;
    try {
      process.kill(-pid, 'SIGKILL');
    } catch {
      // The group is gone already.
    }
  };

  #end(): void {
    this.#hasEnded = true;
    process.off('exit', this.kill);
    this.#child.stdin?.destroy();
  }
}

/** A port that nobody listens on now; somebody may a moment later. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('expected a TCP address, got none');
  return address.port;
}
