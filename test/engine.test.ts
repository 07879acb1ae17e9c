import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readdir, readFile, readlink, rm, truncate } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { CheckpointInvalid, EngineCrashed } from '../src/contract/errors.js';
import type { StepProgress } from '../src/contract/job.js';
import type { EngineArguments } from '../src/gpu/engine/arguments.js';
import type { Preview } from '../src/gpu/engine/preview.js';
import { EngineMessage } from '../src/gpu/engine/protocol.js';
import { encodeFrame, readFrames } from '../src/gpu/frames.js';
import type { EngineHost } from '../src/gpu/host.js';
import { programFile } from '../src/gpu/programs/places.js';
import { ENGINE_CACHE, emojiHost, isRunning, smallItem } from './support/engine.js';
import { EMOJI } from './support/references.js';
import { until } from './support/waiting.js';

let scratch: string;
before(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'tdiff-engine-'));
});
after(() => rm(scratch, { recursive: true, force: true }));

describe('an engine and its host', () => {
  let host: EngineHost;
  before(() => {
    host = emojiHost();
  });
  after(() => host.close());

  test('the engine says what it is', async () => {
    const hello = await host.ready();
    assert.equal(hello.model.name, 'emoji');
    assert.equal(hello.device, 'cpu');
    assert.equal(hello.versions.node, process.versions.node);
    assert.match(hello.versions.onnxruntime, /^1\.\d+\.\d+$/);
    assert.notEqual(hello.pid, process.pid);
  });

  test('every step is told once, in order, and the pictures come in the order of the items', async () => {
    const steps: StepProgress[] = [];
    const items = [smallItem({ index: 4, seed: 9 }), smallItem({ index: 7, seed: 10, prompt: 'an owl' })];
    const images = await host.render({ items, onStep: (step) => steps.push(step) });
    assert.deepEqual(
      images.map(({ index, seed, width, height, pixels }) => [index, seed, width, height, pixels.length]),
      [
        [4, 9, 64, 64, 64 * 64 * 3],
        [7, 10, 64, 64, 64 * 64 * 3],
      ],
    );
    const expected = [0, 1, 2, 3, 4].flatMap((step) => [
      { index: 4, seed: 9, step, of: 4 },
      { index: 7, seed: 10, step, of: 4 },
    ]);
    assert.deepEqual(steps, expected);
  });

  test('the same request gives the same pixels, to the bit', async () => {
    const [first] = await host.render({ items: [smallItem()] });
    const [again] = await host.render({ items: [smallItem()] });
    const [other] = await host.render({ items: [smallItem({ seed: 2 })] });
    assert.ok(first && again && other);
    assert.ok(first.pixels.equals(again.pixels));
    assert.ok(!first.pixels.equals(other.pixels));
  });

  test('between two pictures it takes no processor from anybody', async () => {
    const { pid } = await host.ready();
    const taken: number[] = [];
    for (let round = 0; round < 5; round++) {
      await host.render({ items: [smallItem()] });
      const before = await processorTime(pid);
      await setTimeout(100);
      taken.push((await processorTime(pid)) - before);
    }
    // Threads that wait busily take 30 ms; what else an engine does now and then, collecting garbage, not every time.
    assert.ok(Math.min(...taken) < 5, `${taken.join(', ')} ms`);
  });

  test('a cancelled render stops before its next step, and the engine goes on', async () => {
    const { pid } = await host.ready();
    const cancel = new AbortController();
    const reason = new Error('enough');
    let last = 0;
    const rendered = host.render({
      items: [smallItem({ steps: 50 })],
      signal: cancel.signal,
      onStep: ({ step }) => {
        last = step;
        if (step === 2) cancel.abort(reason);
      },
    });
    await assert.rejects(rendered, (error) => error === reason);
    assert.ok(last < 50, `stopped at step ${last}`);
    assert.equal((await host.render({ items: [smallItem()] })).length, 1);
    assert.equal((await host.ready()).pid, pid);
  });

  test('a render that is cancelled before its turn never begins', async () => {
    const cancel = new AbortController();
    const first = host.render({ items: [smallItem()] });
    const second = host.render({
      items: [smallItem()],
      signal: cancel.signal,
      onStep: () => assert.fail('it began'),
    });
    cancel.abort(new Error('never mind'));
    await assert.rejects(second, /never mind/);
    await first;
  });

  test('a batch whose items differ in size is refused, and the engine goes on', async () => {
    const items = [smallItem(), smallItem({ index: 1, width: 128 })];
    await assert.rejects(host.render({ items }), /share width, height and steps/);
    assert.equal((await host.render({ items: [smallItem()] })).length, 1);
  });

  test('an engine that is killed between two steps fails that render; the next one gets a new engine and the same picture', async () => {
    const [expected] = await host.render({ items: [smallItem({ seed: 77 })] });
    const { pid } = await host.ready();
    const rendered = host.render({
      items: [smallItem({ seed: 77, steps: 50 })],
      onStep: ({ step }) => {
        if (step === 2) process.kill(pid, 'SIGKILL');
      },
    });
    await assert.rejects(rendered, (error: unknown) => {
      assert.ok(error instanceof EngineCrashed);
      assert.match(error.message, new RegExp(`engine=${pid}, signal=SIGKILL`));
      return true;
    });
    const [picture] = await host.render({ items: [smallItem({ seed: 77 })] });
    assert.ok(expected && picture?.pixels.equals(expected.pixels));
    assert.notEqual((await host.ready()).pid, pid);
  });
});

test('an engine that can not load its model says why, and its host can be asked again', async () => {
  const checkpoint = join(scratch, 'damaged');
  await cp(EMOJI, checkpoint, { recursive: true });
  await truncate(join(checkpoint, 'vae', 'diffusion_pytorch_model.safetensors'), 1_000_000);
  await using host = emojiHost({ checkpoint });
  for (const _ of [1, 2]) {
    await assert.rejects(host.ready(), (error: unknown) => {
      assert.ok(error instanceof CheckpointInvalid, String(error));
      assert.match(error.message, /diffusion_pytorch_model\.safetensors: expected \d+ bytes/);
      return true;
    });
  }
});

test('closing a host ends its engine, also while it renders', async () => {
  const host = emojiHost();
  const { pid } = await host.ready();
  const rendered = host.render({
    items: [smallItem({ steps: 100 })],
    onStep: ({ step }) => {
      if (step === 1) void host.close();
    },
  });
  await assert.rejects(rendered, EngineCrashed);
  await host.close();
  assert.equal(await isRunning(pid), false);
  await assert.rejects(host.ready(), /closed/);
});

/** An engine without a host: started by hand, spoken to over its socket. */
async function bareEngine(env: NodeJS.ProcessEnv = {}): Promise<{ child: ChildProcess; socket: string }> {
  const folder = await mkdtemp(join(scratch, 'bare-'));
  const socket = join(folder, 'engine.sock');
  const engineArguments: EngineArguments = {
    checkpoint: EMOJI,
    model: 'emoji',
    device: 'cpu',
    threads: 2,
    cacheFolder: ENGINE_CACHE,
    socket,
    logLevel: 'silent',
  };
  const main = programFile('engine');
  const child = spawn(process.execPath, [main, JSON.stringify(engineArguments)], {
    stdio: ['pipe', 'ignore', 'inherit'],
    env: { ...process.env, ORT_DISABLE_TELEMETRY: '1', ...env },
  });
  await until('the engine listens', async () => (await readdir(folder)).includes('engine.sock'));
  return { child, socket };
}

async function converse(path: string) {
  const socket = connect(path);
  await once(socket, 'connect');
  const frames = readFrames(socket);
  return {
    socket,
    async next() {
      const { value, done } = await frames.next();
      return done ? undefined : EngineMessage.parse(value.header);
    },
    say(message: object) {
      for (const part of encodeFrame(message)) socket.write(part);
    },
  };
}

test('an engine outlives a parent that talks nonsense, and takes the next one', async () => {
  const { child, socket } = await bareEngine();
  try {
    for (const nonsense of [
      Buffer.from('GET / HTTP/1.1\r\n\r\n'),
      Buffer.concat(encodeFrame({ type: 'dance' })),
    ]) {
      const parent = await converse(socket);
      assert.equal((await parent.next())?.type, 'hello');
      parent.socket.write(nonsense);
      assert.equal(await parent.next().catch(() => undefined), undefined);
    }
    const parent = await converse(socket);
    assert.equal((await parent.next())?.type, 'hello');
    parent.say({ type: 'render', id: 1, items: [smallItem()], previews: false });
    const types: (string | undefined)[] = [];
    while (types.at(-1) !== 'done') types.push((await parent.next())?.type);
    assert.deepEqual(types, ['step', 'step', 'step', 'step', 'step', 'image', 'done']);
    parent.socket.destroy();
  } finally {
    child.kill('SIGKILL');
  }
});

test('an engine ends with its standard input: a parent that dies takes it along', async () => {
  const { child, socket } = await bareEngine();
  const parent = await converse(socket);
  await parent.next();
  child.stdin?.destroy();
  const [code] = await once(child, 'exit');
  assert.equal(code, 0);
});

test('an engine sends no telemetry: nothing is opened or left in the home or temporary folders, no network', async () => {
  const home = join(scratch, 'home');
  const temporary = join(scratch, 'tmp');
  await mkdir(home);
  await mkdir(temporary);
  const { child, socket } = await bareEngine({
    HOME: home,
    TMPDIR: temporary,
    XDG_CACHE_HOME: join(home, '.cache'),
  });
  try {
    const parent = await converse(socket);
    await parent.next();
    parent.say({ type: 'render', id: 1, items: [smallItem()], previews: false });
    while ((await parent.next())?.type !== 'done');

    const fds = `/proc/${child.pid}/fd`;
    const open = await Promise.all((await readdir(fds)).map((fd) => readlink(join(fds, fd)).catch(() => '')));
    const files = open.filter((target) => target.startsWith('/') && !target.startsWith('/dev/'));
    const allowed = [EMOJI, fileURLToPath(new URL('..', import.meta.url)), '/proc/', '/sys/'];
    const others = files.filter((file) => !allowed.some((folder) => file.startsWith(folder)));
    assert.deepEqual(others, []);
    assert.deepEqual(await readdir(home), []);
    assert.deepEqual(await readdir(temporary), []);
    // Every line after the header of these tables is a socket of the process's network namespace; ours must have none.
    const inodes = open.flatMap((target) => /^socket:\[(\d+)\]$/.exec(target)?.[1] ?? []);
    for (const table of ['tcp', 'tcp6', 'udp', 'udp6']) {
      const rows = (await readFile(`/proc/${child.pid}/net/${table}`, 'utf8')).split('\n').slice(1);
      const ours = rows.filter((row) => inodes.includes(row.trim().split(/\s+/)[9] ?? ''));
      assert.deepEqual(ours, [], table);
    }
    parent.socket.destroy();
  } finally {
    child.kill('SIGKILL');
  }
});

test('previews show what the image will be, and cost nothing where nobody asks', async () => {
  await using host = emojiHost();
  const item = smallItem({ prompt: 'a green heart on a yellow background', width: 128, height: 64 });
  const previews: Preview[] = [];
  const [image] = await host.render({
    items: [item],
    previews: true,
    onStep: (_progress, preview) => {
      if (preview) previews.push(preview);
    },
  });
  assert.deepEqual(
    previews.map(({ width, height, pixels }) => [width, height, pixels.length]),
    new Array(4).fill([16, 8, 16 * 8 * 3]),
  );
  const small = await sharp(image?.pixels, { raw: { width: 128, height: 64, channels: 3 } })
    .resize(16, 8, { kernel: 'cubic' })
    .raw()
    .toBuffer();
  const last = previews.at(-1)?.pixels ?? new Uint8Array();
  const difference =
    small.reduce((sum, level, place) => sum + Math.abs(level - (last[place] ?? 255)), 0) / small.length;
  assert.ok(difference < 20, `the last preview is ${difference} levels off on average`);

  await host.render({ items: [item], onStep: (_progress, preview) => assert.equal(preview, undefined) });
});

/** Milliseconds that the threads of a process have run. */
async function processorTime(pid: number): Promise<number> {
  const tasks = `/proc/${pid}/task`;
  const times = (await readdir(tasks)).map(async (thread) => {
    const [nanoseconds] = (await readFile(join(tasks, thread, 'schedstat'), 'utf8')).split(' ');
    return Number(nanoseconds) / 1e6;
  });
  return (await Promise.all(times)).reduce((sum, time) => sum + time, 0);
}
