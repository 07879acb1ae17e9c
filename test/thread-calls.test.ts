import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

const PROGRAM = `
import { Worker } from 'node:worker_threads';
import { ThreadCalls } from '${new URL('../src/gpu/thread-calls.js', import.meta.url).href}';
const worker = new Worker("setInterval(() => {}, 1000); require('node:worker_threads').parentPort.on('message', () => {})", { eval: true });
const calls = new ThreadCalls(worker);
void calls.call({});
const closed = calls.close();
calls.answered(0, 'late');
await closed;
console.log('closed');
`;

test('a thread that is being ended is waited for, though it answers meanwhile', () => {
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', PROGRAM], {
    encoding: 'utf8',
  });
  assert.equal(stdout, 'closed\n', stderr);
});
