import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { isRecent } from '../src/gpu/snapshot/criu.js';
import { type Requirement, requirements } from '../src/gpu/snapshot/requirements.js';
import { scratchFolder } from './support/scratch.js';
import { criu, NO_CRIU } from './support/snapshots.js';

const CLI = fileURLToPath(new URL('../src/cli/main.js', import.meta.url));
const scratch = scratchFolder();

function cli(before: readonly string[], args: readonly string[]) {
  const [command = '', ...rest] = [...before, process.execPath, CLI, ...args];
  return spawnSync(command, rest, { encoding: 'utf8' });
}

test('a machine that lacks nothing is told so', { skip: NO_CRIU }, () => {
  const { status, stdout } = cli([], ['doctor']);
  assert.equal(status, 0, stdout);
  assert.match(stdout, /✔ CAP_CHECKPOINT_RESTORE: there/);
  assert.match(stdout, /✔ CRIU 4\.1: \d/);
  assert.match(stdout, /workers of this machine can start from snapshots\n$/);
});

test('what is missing is named, each thing with its remedy: the capability', { skip: NO_CRIU }, () => {
  const without = ['setpriv', '--bounding-set=-checkpoint_restore,-sys_ptrace', '--'];
  const { status, stdout } = cli(without, ['doctor', '--json']);
  assert.equal(status, 1);
  const missing = (JSON.parse(stdout) as Requirement[]).filter(({ isMet }) => !isMet);
  const names = missing.map(({ name }) => name);
  assert.deepEqual(names.slice(0, 2), ['CAP_SYS_PTRACE', 'CAP_CHECKPOINT_RESTORE']);
  assert.match(missing[1]?.remedy ?? '', /--cap-add CHECKPOINT_RESTORE/);
});

test('… the right to make namespaces', { skip: NO_CRIU }, () => {
  const { status, stdout } = cli(['setpriv', '--bounding-set=-sys_admin', '--'], ['doctor']);
  assert.equal(status, 1);
  assert.match(
    stdout,
    /✖ CAP_SYS_ADMIN: missing \[uid=0\]\n {4}→ run as root, in a container with --cap-add SYS_ADMIN/,
  );
  assert.match(stdout, /✖ private namespaces: .*Operation not permitted/);
  assert.match(stdout, /\d of \d+ are missing\. They start fresh\.\n$/);
});

test('… the package, for programs and for CRIU', async () => {
  const missing = (await requirements(scratch, '/nowhere')).filter(({ isMet }) => !isMet);
  const remedies = Object.fromEntries(missing.map(({ name, remedy }) => [name, remedy]));
  assert.match(remedies.unshare ?? '', /package util-linux/);
  assert.match(remedies.mount ?? '', /package mount/);
  assert.match(remedies['CRIU 4.1'] ?? '', /package criu of Debian 13/);
});

test('a CRIU that is too old is none', () => {
  assert.deepEqual(
    ['3.17.1', '4.0', '4.1', '4.1.1', '4.10', '5.0'].map((version) => isRecent(version)),
    [false, false, true, true, true, true],
  );
});

test('the CRIU in the cache is the release that the package names', { skip: NO_CRIU }, async () => {
  const { stdout } = spawnSync(criu.program, ['--version'], { encoding: 'utf8' });
  assert.match(stdout, new RegExp(`^Version: ${criu.version.replaceAll('.', '\\.')}$`, 'm'));
});

test('`snapshot` makes, lists, verifies and prunes', { skip: NO_CRIU }, async () => {
  const folder = join(scratch, 'snapshots');
  const options = ['--snapshots', folder, '--threads', '2'];
  const created = cli([], ['snapshot', 'create', ...options]);
  assert.equal(created.status, 0, created.stderr);
  assert.match(created.stdout, /^emoji-[0-9a-f]{16} {2}\d+ MB$/m);
  assert.match(created.stdout, /first picture \d+ ms after a restore, \d+ ms after a fresh start/);

  const listed = JSON.parse(cli([], ['snapshot', 'list', '--json', '--snapshots', folder]).stdout) as {
    slot: string;
    folder: string;
  }[];
  assert.equal(listed.length, 1);
  assert.equal(cli([], ['snapshot', 'verify', '--snapshots', folder]).status, 0);
  const image = join(listed[0]?.folder ?? '', 'images', 'memory.img');
  spawnSync('truncate', ['--size=-4096', image]);
  const verified = cli([], ['snapshot', 'verify', '--snapshots', folder]);
  assert.equal(verified.status, 1);
  assert.match(verified.stdout, /image memory\.img: expected \d+ bytes, got \d+/);

  assert.match(cli([], ['snapshot', 'prune', '--snapshots', folder]).stdout, /^0 removed/);
  assert.match(
    cli([], ['snapshot', 'prune', '--older-than', '0', '--snapshots', folder]).stdout,
    /^1 removed/,
  );
  await assert.rejects(access(image));
  assert.match(cli([], ['snapshot', 'list', '--snapshots', folder]).stdout, /no snapshots/);
});

test('a bad command line is refused in the words of what was expected', () => {
  const { status, stderr } = cli([], ['snapshot', 'dance']);
  assert.equal(status, 2);
  assert.match(stderr, /expected one of create, list, verify, prune/);
  assert.equal(cli([], ['doctor', 'please']).status, 2);
});
