import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import sharp from 'sharp';
import { readProvenance } from '../src/activities/provenance.js';
import { packageVersion } from '../src/package-root.js';
import { Command, runCommand } from './support/command.js';
import { TINY_KLEIN } from './support/references.js';
import { scratchFolder } from './support/scratch.js';
import { NO_SMALL_DISK, smallDisk } from './support/small-disk.js';
import { startTestServer, type TestServer } from './support/temporal.js';
import { until } from './support/waiting.js';

const scratch = scratchFolder();
let folders = 0;
function newFolder(): string {
  const folder = join(scratch, String(folders++));
  mkdirSync(folder);
  return folder;
}

/** A picture that takes long enough to be interrupted. */
const LONG = ['render', 'a red heart', '--size', '512x512', '--steps', '100'];
const SMALL = ['render', 'a red heart', '--size', '64x64', '--steps', '2'];

async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name);
}

describe('render', () => {
  test('draws a picture, step by step, and says where it lies and how it was made', async () => {
    const cwd = newFolder();
    const { code, stdout, stderr, command } = await runCommand([...SMALL, '--seed', '7', '--count', '2'], {
      cwd,
    });
    assert.equal(code, 0, stderr);
    for (const image of ['image 1 of 2, seed 7', 'image 2 of 2, seed 8']) {
      for (const step of ['started', 'step 1 of 2', 'step 2 of 2'])
        assert.ok(stderr.includes(`${image}: ${step}\n`));
    }
    const lines = stdout.split('\n');
    const [first = ''] = lines;
    assert.match(first, /^out\/a-red-heart-7-[0-9a-f]{8}\.png$/);
    assert.match(stdout, /seed 7 · 64×64 · 2 steps of emoji on cpu/);
    assert.match(
      stdout,
      /queue .* s · engine .* s · text .* s · denoise .* s · decode .* s · encode .* s · store .* s/,
    );
    assert.match(
      stdout,
      /server start .* s · engine start .* s · job .* s · total .* s\nworkflow generate-image\/.*\nrun /,
    );
    const { seed, workflowId } = await readProvenance(join(cwd, first));
    assert.equal(seed, 7);
    assert.ok(stdout.includes(`workflow ${workflowId}\n`));
    await command.leavesNothingBehind();
  });

  test('with --json prints one document and nothing else', async () => {
    const cwd = newFolder();
    const argv = [...SMALL, '--json', '--format', 'webp', '--quality', '50', '--out', 'deep/er'];
    const { code, stdout } = await runCommand(argv, { cwd });
    assert.equal(code, 0);
    const { ok, workflowId, images, timings } = JSON.parse(stdout);
    assert.equal(ok, true);
    assert.match(workflowId, /^generate-image\//);
    assert.equal((await sharp(images[0].path).metadata()).format, 'webp');
    assert.ok(images[0].path.startsWith(join(cwd, 'deep/er')));
    assert.ok(timings.totalMs >= timings.jobMs);
  });

  test('goes on when its engine is killed', async () => {
    const command = new Command([...LONG.slice(0, 2), '--size', '256x256', '--steps', '20', '--json'], {
      cwd: newFolder(),
    });
    await command.says('step 2 of 20');
    for (const pid of command.descendants(/engine\/main\.js/)) process.kill(pid, 'SIGKILL');
    assert.equal(await command.ended, 0, command.stderr);
    assert.equal(JSON.parse(command.stdout).ok, true);
  });

  test('ends with one clear message when its server is killed', async () => {
    const command = new Command(LONG, { cwd: newFolder() });
    await command.says('step 1 of 100');
    for (const pid of command.descendants(/^\S*temporal server/)) process.kill(pid, 'SIGKILL');
    assert.equal(await command.ended, 1);
    assert.match(command.stderr, /✖ the embedded Temporal server ended by itself/);
    await command.leavesNothingBehind();
  });
});

describe('bad input gets one clear message', () => {
  const bad: [name: string, argv: string[], code: number, message: RegExp][] = [
    ['an unknown command', ['paint'], 2, /^✖ expected a command \(render, .*\bworker\b.*\), got "paint"\n$/],
    ['an unknown option', ['render', 'x', '--sied', '4'], 2, /^✖ Unknown option '--sied'/],
    ['no prompt', ['render'], 2, /^✖ expected a prompt, such as/],
    [
      'an empty prompt',
      ['render', ' '],
      2,
      /^✖ expected a prompt of 1 to 2000 characters, got an empty one\n {2}→ at prompt\n$/,
    ],
    [
      'a huge prompt',
      ['render', 'x'.repeat(100_000)],
      2,
      /^✖ expected at most 2000 characters\n {2}→ at prompt\n$/,
    ],
    ['two prompts', ['render', 'a', 'b'], 2, /^✖ expected one prompt, got 2: put it in quotes\n$/],
    ['a size of 0', ['render', 'x', '--size', '0x0'], 2, /^✖ .*\n {2}→ at width\n✖ .*\n {2}→ at height\n$/],
    [
      'a size of a million',
      ['render', 'x', '--size', '1000000x1000000'],
      2,
      /→ at width\n✖ .*\n {2}→ at height\n$/,
    ],
    [
      'no size',
      ['render', 'x', '--size', 'big'],
      2,
      /^✖ expected WIDTHxHEIGHT in pixels, such as 256x256\n {2}→ at size\n$/,
    ],
    ['a NaN', ['render', 'x', '--steps', 'NaN'], 2, /^✖ .*received NaN\n {2}→ at steps\n$/],
    ['a word for a number', ['render', 'x', '--steps', 'four'], 2, /^✖ .*received string\n {2}→ at steps\n$/],
    ['a seed of −1', ['render', 'x', '--seed', '-1'], 2, /^✖ .*>=0\n {2}→ at seed\n$/],
    [
      'an unknown model',
      ['render', 'x', '--model', 'dali'],
      2,
      /^✖ expected one of the models that come with this package \(emoji\), got "dali"\n$/,
    ],
    ['an unknown format', ['render', 'x', '--format', 'gif'], 2, /→ at output\.format\n$/],
    [
      'a worker without storage',
      ['worker'],
      2,
      /^✖ expected --storage with a folder, a file: URL or an s3: URL/,
    ],
    [
      'a host cache for the CPU',
      ['worker', '--storage', 'pictures', '--host-cache', '20'],
      2,
      /^✖ expected a GPU with it \(--device cuda:0\), got the CPU, .*\n {2}→ at \["host-cache"\]\n$/,
    ],
    [
      'a keeper for the CPU',
      ['worker', '--storage', 'pictures', '--keeper', 'on', '--keep', '60'],
      2,
      /^✖ expected a GPU with it \(--device cuda:0\), got the CPU, .*\n {2}→ at keeper\n✖.*\n {2}→ at keep\n$/,
    ],
    [
      'a stream buffer for the CPU',
      ['worker', '--storage', 'pictures', '--device', 'cpu', '--stream-buffer', '128'],
      2,
      /^✖ expected a GPU with it .*\n {2}→ at \["stream-buffer"\]\n$/,
    ],
    [
      'a host cache of no size',
      ['worker', '--storage', 'pictures', '--device', 'cuda:0', '--host-cache', 'on'],
      2,
      /^✖ expected off, or GiB, more than 0\n {2}→ at \["host-cache"\]\n$/,
    ],
    [
      'one model and several',
      ['worker', '--storage', 'pictures', '--models', 'emoji,klein=/m', '--model', 'emoji'],
      2,
      /^✖ expected either --models or this, got both\n {2}→ at model\n$/,
    ],
    [
      'a model twice',
      ['worker', '--storage', 'pictures', '--models', 'emoji,emoji=/m'],
      2,
      /^✖ expected different names\n {2}→ at models\n$/,
    ],
    [
      'a model without a folder',
      ['worker', '--storage', 'pictures', '--models', 'emoji,klein='],
      2,
      /→ at models\[1\]\.checkpoint\n$/,
    ],
    [
      'a name that no model has',
      ['worker', '--storage', 'pictures', '--models', 'emoji,Klein=/m'],
      2,
      /^✖ expected lower-case letters, digits, .*\n {2}→ at models\[1\]\.model\n$/,
    ],
    [
      'residents of one model',
      ['worker', '--storage', 'pictures', '--resident', '2'],
      2,
      /^✖ expected --models with it\n {2}→ at resident\n$/,
    ],
    [
      'a worker with an unknown storage',
      ['worker', '--storage', 'ftp://x'],
      2,
      /^✖ Expected a folder, .* for the store but received ftp:\/\/x\n$/,
    ],
    [
      'an out folder that can not be',
      ['render', 'x', '--out', '/dev/null/out'],
      1,
      /^✖ can't write to \/dev\/null\/out: .*\n$/,
    ],
  ];
  for (const [name, argv, code, message] of bad) {
    test(`${name}, with exit code ${code}`, async () => {
      const cwd = newFolder();
      const run = await runCommand(argv, { cwd });
      assert.match(run.stderr, message);
      assert.deepEqual([run.code, run.stdout], [code, '']);
      assert.deepEqual(await readdir(cwd), []);
    });
  }

  test('as a JSON document with --json', async () => {
    const { code, stdout } = await runCommand(['render', 'x', '--seed', '-1', '--json'], {
      cwd: newFolder(),
    });
    assert.equal(code, 2);
    const { ok, error } = JSON.parse(stdout);
    assert.deepEqual([ok, error.type], [false, 'InvalidRequest']);
    assert.match(error.message, /→ at seed/);
  });

  test('also where only the model knows that it is bad', async () => {
    const { code, stdout, stderr } = await runCommand(['render', 'x', '--size', '1024x64', '--json'], {
      cwd: newFolder(),
    });
    assert.equal(code, 2);
    assert.match(
      stderr,
      /^✖ expected a multiple of 16 from 64 to 512 for emoji, got 1024\n {2}→ at width\n$/,
    );
    const { error, workflowId } = JSON.parse(stdout);
    assert.equal(error.type, 'InvalidRequest');
    assert.match(workflowId, /^generate-image\//);
  });

  test('and a stack trace only for those who ask', async () => {
    const { code, stderr } = await runCommand(['render', 'x', '--seed', '-1', '--verbose'], {
      cwd: newFolder(),
    });
    assert.equal(code, 2);
    assert.match(stderr, /→ at seed\n(.*\n)* {4}at .*parse/);
  });

  test('a read-only out folder, before anything starts', { skip: NO_SMALL_DISK }, async () => {
    const { code, stderr } = await runCommand([...SMALL, '--out', smallDisk('ro')], { cwd: newFolder() });
    assert.equal(code, 1);
    assert.match(
      stderr,
      /^✖ can't write to .*: its file system is read-only: mount it writable, or choose another folder .*\n$/,
    );
  });

  test('a full disk, with nothing half-written', { skip: NO_SMALL_DISK }, async () => {
    const disk = smallDisk('size=20k');
    const argv = ['render', 'a slice of pizza', '--size', '256x256', '--steps', '2', '--out', disk];
    const { code, stdout, stderr, command } = await runCommand(argv, { cwd: newFolder() });
    assert.deepEqual([code, stdout], [1, '']);
    assert.match(stderr.split('\n').at(-2) ?? '', /^✖ can't write .*: the disk is full: free some space/);
    assert.deepEqual(await filesIn(disk), []);
    await command.leavesNothingBehind();
  });
});

describe('an interrupted render', () => {
  test('cancels its job, ends with 130 and leaves neither process nor picture', async () => {
    const cwd = newFolder();
    const command = new Command([...LONG, '--json'], { cwd });
    await command.says('step 1 of 100');
    command.kill('SIGINT');
    assert.equal(await command.ended, 130);
    assert.match(command.stderr, /cancelling the job/);
    const { ok, error, workflowId } = JSON.parse(command.stdout);
    assert.deepEqual([ok, error.type], [false, 'Interrupted']);
    assert.match(workflowId, /^generate-image\//);
    assert.deepEqual(await filesIn(cwd), []);
    await command.leavesNothingBehind();
  });

  test('ends at once at the second Ctrl-C', async () => {
    const command = new Command(LONG, { cwd: newFolder() });
    await command.says('step 1 of 100');
    // An engine that does not answer can't be cancelled.
    for (const pid of command.descendants(/engine\/main\.js/)) process.kill(pid, 'SIGSTOP');
    command.kill('SIGINT');
    await command.says('cancelling the job');
    command.kill('SIGINT');
    assert.equal(await command.ended, 130);
    for (const pid of command.descendants(/engine\/main\.js/)) process.kill(pid, 'SIGCONT');
    await command.leavesNothingBehind();
  });

  test('also while it starts', async () => {
    const command = new Command(LONG, { cwd: newFolder() });
    await until('the server starts', () => command.descendants(/temporal server/).length > 0);
    command.kill('SIGTERM');
    assert.equal(await command.ended, 143);
    await command.leavesNothingBehind();
  });

  test('that is killed outright leaves no process either', async () => {
    const command = new Command(LONG, { cwd: newFolder() });
    await command.says('step 1 of 100');
    assert.ok(command.descendants(/^\S*temporal server/).length === 1);
    command.kill('SIGKILL');
    assert.equal(await command.ended, 'SIGKILL');
    await command.leavesNothingBehind();
  });
});

describe('with TEMPORAL_ADDRESS', () => {
  let server: TestServer;
  let env: Record<string, string>;
  before(async () => {
    server = await startTestServer();
    env = { TEMPORAL_ADDRESS: server.address, TEMPORAL_NAMESPACE: server.namespace };
  });
  after(() => server.close());

  // First, since the server remembers for minutes who has polled.
  test('render says which workers are missing, and cancels at Ctrl-C', async () => {
    const command = new Command(SMALL, { cwd: newFolder(), env });
    await command.says('waiting: no worker polls the queue diffusion: ');
    await command.says('waiting: no worker polls the queue diffusion-gpu.emoji: ');
    command.kill('SIGINT');
    assert.equal(await command.ended, 130);
  });

  test('render uses that server and the workers there, and starts none of its own', async () => {
    const storage = newFolder();
    const worker = new Command(['worker', '--storage', storage], { cwd: newFolder(), env });
    await worker.says('worker started');
    const cwd = newFolder();
    const command = new Command([...SMALL, '--json', '--out', 'pictures'], { cwd, env });
    assert.equal(await command.ended, 0, command.stderr);
    assert.deepEqual(command.descendants(), []);
    const { images, workflowId } = JSON.parse(command.stdout);
    assert.ok(images[0].path.startsWith(join(cwd, 'pictures')));
    assert.equal((await readProvenance(images[0].path)).workflowId, workflowId);
    assert.equal((await filesIn(storage)).length, 2);
    assert.equal((await server.client.workflow.getHandle(workflowId).describe()).status.name, 'COMPLETED');

    worker.kill('SIGTERM');
    assert.equal(await worker.ended, 0, worker.stderr);
    await worker.leavesNothingBehind();
    for (const line of worker.stderr.trim().split('\n')) assert.ok(JSON.parse(line).level >= 30, line);
  });

  test('a worker takes nothing while its disk has less free than --min-free', async () => {
    const models = ['--models', `emoji,klein=${TINY_KLEIN}`, '--resident', '2'];
    const disk = ['--storage', newFolder(), '--min-free', '1000000000'];
    const argv = ['worker', ...disk, ...models, '--health-port', '0'];
    const worker = new Command(argv, { cwd: newFolder(), env });
    await worker.says('worker started');
    const port = /"port":(\d+)/.exec(worker.stderr)?.[1];
    const response = await fetch(`http://127.0.0.1:${port}/readyz`);
    assert.equal(response.status, 503);
    assert.match(
      await response.text(),
      /^the disk of \S+ is nearly full: \d+ MiB free, 1000000000 MiB needed\nemoji: \w+\nklein: \w+$/m,
    );
    worker.kill('SIGTERM');
    assert.equal(await worker.ended, 0, worker.stderr);
  });

  test('a server that does not answer is named', async () => {
    const { code, stderr } = await runCommand(SMALL, {
      cwd: newFolder(),
      env: { TEMPORAL_ADDRESS: '127.0.0.1:1' },
    });
    assert.equal(code, 1);
    assert.match(
      stderr,
      /^✖ expected a Temporal server at 127\.0\.0\.1:1, but it can't be reached: Connection refused\. .*\n$/,
    );
  });

  test('a configuration that can not be read is named', async () => {
    const config = { TEMPORAL_CONFIG_FILE: '/dev/null' };
    const { code, stderr } = await runCommand(SMALL, { cwd: newFolder(), env: config });
    assert.equal(code, 1);
    assert.match(stderr, /^✖ can't read Temporal's configuration .*\n$/);
  });

  test('a namespace that is not there is named', async () => {
    const { code, stderr } = await runCommand(SMALL, {
      cwd: newFolder(),
      env: { ...env, TEMPORAL_NAMESPACE: 'none' },
    });
    assert.equal(code, 1);
    assert.match(stderr, /^✖ the Temporal server at .* refuses the namespace none: .*\n$/);
  });
});

test('--help and --version answer without starting anything', async () => {
  const cwd = newFolder();
  assert.equal((await runCommand(['--version'], { cwd })).stdout, `${packageVersion()}\n`);
  for (const argv of [['--help'], ['render', '--help'], ['worker', '--help']]) {
    const { code, stdout } = await runCommand(argv, { cwd });
    assert.equal(code, 0);
    assert.match(stdout, /temporal-diffusion/);
  }
  const manifest = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'));
  assert.equal(manifest.version, packageVersion());
});
