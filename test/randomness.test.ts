import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  capturableCommand,
  dump,
  ENGINE_MEMORY,
  ENGINE_SOCKET,
  makePrivateRun,
  restoreCommand,
} from '../src/gpu/snapshot/criu.js';
import { moveIntoMemoryFile } from '../src/gpu/snapshot/memory-file.js';
import { openSockets } from '../src/gpu/snapshot/processes.js';
import { scratchFolder } from './support/scratch.js';
import { criu, NO_CRIU, snapshotTest } from './support/snapshots.js';
import { until } from './support/waiting.js';

const images = join(scratchFolder(), 'images');
const DICE = fileURLToPath(new URL('./support/dice.js', import.meta.url));

function start(command: readonly string[]): ChildProcess {
  const [program = '', ...rest] = command;
  return spawn(program, rest, {
    cwd: '/',
    stdio: ['pipe', 'ignore', 'inherit'],
    // One thread: each has a generator of its own, and which of several is asked is chance.
    env: { PATH: process.env.PATH, UV_THREADPOOL_SIZE: '1' },
  });
}

async function ask(folder: string, what: 'draw' | 'wake'): Promise<Record<string, string>> {
  let answer = '';
  await until('it answers', async () => {
    const socket = connect(join(folder, 'engine.sock'));
    try {
      await once(socket, 'connect');
      socket.write(what);
      answer = await text(socket);
      return true;
    } catch {
      // It does not listen yet.
      return false;
    }
  });
  return JSON.parse(answer);
}

/** What two processes say that are restored from one image, one after the other. */
async function twoSay(what: 'draw' | 'wake'): Promise<[Record<string, string>, Record<string, string>]> {
  const said = await Promise.all(
    [1, 2].map(async () => {
      const folder = await makePrivateRun(criu);
      const child = start(restoreCommand(criu, images, folder));
      child.stdin?.end('\n');
      const ended = once(child, 'exit');
      try {
        return await ask(folder, what);
      } finally {
        child.kill('SIGKILL');
        await ended;
        await rm(folder, { recursive: true, force: true });
      }
    }),
  );
  return said as [Record<string, string>, Record<string, string>];
}

describe('two processes that are restored from one image', () => {
  before(async () => {
    if (NO_CRIU) return;
    await mkdir(images, { mode: 0o700 });
    const folder = await makePrivateRun(criu);
    const child = start(capturableCommand(folder, [process.execPath, DICE, ENGINE_SOCKET]));
    const ended = once(child, 'exit');
    await ask(folder, 'draw');
    const pid = Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim());
    await until('the connection is closed', async () => (await openSockets(pid)) === 1);
    await dump(criu, pid, images, folder);
    await ended;
    await moveIntoMemoryFile(images, ENGINE_MEMORY);
    await rm(folder, { recursive: true, force: true });
  });
  after(() => rm(images, { recursive: true, force: true }));

  snapshotTest('would draw the same numbers, whichever generator they ask', async () => {
    const [one, other] = await twoSay('draw');
    assert.deepEqual(one, other);
  });

  snapshotTest('draw other numbers once they are woken, whichever generator they ask', async () => {
    const [one, other] = await twoSay('wake');
    const same = Object.keys(one).filter((generator) => one[generator] === other[generator]);
    assert.deepEqual(same, []);
    assert.equal(Object.keys(one).length, 9);
  });
});
