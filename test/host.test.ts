import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import {
  DeviceBusy,
  DeviceLost,
  EngineCrashed,
  EngineStalled,
  InvalidRequest,
  OutOfMemory,
} from '../src/contract/errors.js';
import { createBatchCeilings, renderInBatches } from '../src/gpu/batches.js';
import { FreshProcess } from '../src/gpu/host/engine-process.js';
import { capturedEnvironment } from '../src/gpu/snapshot/identity.js';
import { emojiHost, foldersOf, isRunning, smallItem } from './support/engine.js';
import { levelDifference } from './support/references.js';
import { NO_SMALL_DISK } from './support/small-disk.js';
import { until } from './support/waiting.js';

let scratch: string;
before(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'tdiff-host-'));
});
after(() => rm(scratch, { recursive: true, force: true }));

test('an engine that stalls in mid-work is killed, and the next render gets a new one', async () => {
  await using host = emojiHost({ stallMs: 8000 });
  const { pid } = await host.ready();
  const rendered = host.render({
    items: [smallItem({ steps: 50 })],
    onStep: ({ step }) => {
      if (step === 2) process.kill(pid, 'SIGSTOP');
    },
  });
  await assert.rejects(rendered, (error: unknown) => {
    assert.ok(error instanceof EngineStalled, String(error));
    assert.match(error.message, new RegExp(`said nothing for 8000 ms \\[engine=${pid}\\]`));
    return true;
  });
  assert.equal(await isRunning(pid), false);
  assert.equal((await host.render({ items: [smallItem()] })).length, 1);
});

test('an engine that does not stop a cancelled render is killed, and the caller gets its own reason', async () => {
  await using host = emojiHost({ cancelGraceMs: 200 });
  const { pid } = await host.ready();
  const cancel = new AbortController();
  const rendered = host.render({
    items: [smallItem({ steps: 50 })],
    signal: cancel.signal,
    onStep: ({ step }) => {
      if (step !== 1) return;
      process.kill(pid, 'SIGSTOP');
      cancel.abort(new Error('the job was cancelled'));
    },
  });
  await assert.rejects(rendered, /the job was cancelled/);
  assert.equal(await isRunning(pid), false);
});

test('an engine that is lost is replaced unasked', async () => {
  await using host = emojiHost();
  const { pid } = await host.ready();
  assert.equal(host.state.name, 'idle');
  process.kill(pid, 'SIGKILL');
  await until('the engine is lost', () => host.state.name !== 'idle');
  await until('another one is loaded', () => host.state.name === 'idle');
  assert.notEqual((await host.ready()).pid, pid);
});

test('an engine whose folder can not be removed has ended all the same', {
  skip: NO_SMALL_DISK,
}, async () => {
  const folders = async () => {
    const names = await readdir(tmpdir());
    return names.filter((name) => foldersOf(process.pid).test(name));
  };
  const others = new Set(await folders());
  const host = emojiHost();
  await host.ready();
  const [own = ''] = (await folders()).filter((name) => !others.has(name));
  const inUse = join(tmpdir(), own, 'in-use');
  await mkdir(inUse);
  assert.equal(spawnSync('mount', ['-t', 'tmpfs', 'tmpfs', inUse]).status, 0);
  try {
    await host.close();
    assert.equal(host.state.name, 'closed');
    assert.equal(existsSync(inUse), true);
  } finally {
    spawnSync('umount', [inUse]);
    await rm(join(tmpdir(), own), { recursive: true, force: true });
  }
});

test('closing a host while its engine loads ends both at once', async () => {
  const host = emojiHost();
  const ready = host.ready();
  await until('the engine starts', () => host.state.name === 'starting');
  await host.close();
  await assert.rejects(ready, /engine/);
  assert.equal(host.state.name, 'closed');
});

test('two engines never share a device; when the first one dies, however it dies, the device is free', async () => {
  const shared = { exclusive: true, cacheFolder: join(scratch, 'one-device') };
  await using first = emojiHost(shared);
  const { pid } = await first.ready();
  await using second = emojiHost(shared);
  await assert.rejects(second.ready(), (error: unknown) => {
    assert.ok(error instanceof DeviceBusy, String(error));
    assert.match(error.message, /another engine already runs on this device/);
    return true;
  });
  process.kill(pid, 'SIGKILL');
  await first.close();
  await until('the second engine has the device', async () => {
    return second.ready().then(
      () => true,
      () => false,
    );
  });
});

const OWNER = `
import { createEngineHost } from '${new URL('../src/gpu/host.js', import.meta.url).href}';
import { pino } from '${new URL('../../node_modules/pino/pino.js', import.meta.url).href}';
const [checkpoint, cacheFolder] = process.argv.slice(1);
const host = createEngineHost({ checkpoint, cacheFolder, model: 'emoji', device: 'cpu', log: pino({ level: 'silent' }) });
const { pid } = await host.ready();
const item = { index: 0, prompt: 'a dog', width: 512, height: 512, steps: 100, seed: 1 };
await host.render({ items: [item], onStep: ({ step }) => { if (step === 1) console.log(pid); } });
`;

test('an engine dies with its parent, by SIGKILL, in mid-work, and the next host removes its folder', async () => {
  const models = fileURLToPath(new URL('../../models/emoji', import.meta.url));
  const owner = spawn(
    process.execPath,
    ['--input-type=module', '-e', OWNER, models, join(scratch, 'orphan')],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const [line] = (await once(createInterface(owner.stdout), 'line')) as [string];
  const pid = Number(line);
  assert.equal(await isRunning(pid), true);
  const folders = async () => (await readdir(tmpdir())).filter((name) => foldersOf(owner.pid).test(name));
  assert.equal((await folders()).length, 1);
  const ended = once(owner, 'exit');
  owner.kill('SIGKILL');
  // Its engine may be gone before it is, and a folder of the living is left alone.
  await ended;
  await until('the engine is gone', async () => !(await isRunning(pid)));
  // Whoever starts an engine next removes it: another test may have done so by now.
  await using host = emojiHost();
  const own = async () => (await readdir(tmpdir())).filter((name) => foldersOf(process.pid).test(name));
  await host.ready();
  await until('its folder is gone', async () => (await folders()).length === 0);
  assert.equal((await own()).length, 1);
});

describe('with little memory', () => {
  const limited = () =>
    emojiHost({ memoryLimitBytes: 700 * 1024 * 1024, cacheFolder: join(scratch, 'little') });
  const batch = (count: number) =>
    Array.from({ length: count }, (_, index) =>
      smallItem({ index, seed: index, width: 256, height: 256, steps: 1 }),
    );

  test('a batch that does not fit is OutOfMemory, and a smaller one is drawn by a new engine', async () => {
    await using host = limited();
    await assert.rejects(host.render({ items: batch(24) }), (error: unknown) => {
      assert.ok(error instanceof OutOfMemory, String(error));
      return true;
    });
    assert.equal((await host.render({ items: batch(1) })).length, 1);
  });

  test('an engine that says so before a long stack trace has run out of memory; one that says something else has not', async () => {
    const program = join(scratch, 'last-words.cjs');
    await writeFile(
      program,
      "const { model } = JSON.parse(process.argv[2]); console.error(model); for (let at = 0; at < 40; at++) console.error(at + ': 0xee8300 [node]'); process.abort();",
    );
    const endOf = async (model: string) => {
      const options = { checkpoint: scratch, device: 'cpu', threads: 1, cacheFolder: scratch } as const;
      const engine = await FreshProcess.spawn({
        arguments: { ...options, model, logLevel: 'silent' },
        program,
        log: pino({ level: 'silent' }),
      });
      await engine.ended;
      return engine.obituary('in mid-work');
    };
    assert.ok((await endOf('FATAL ERROR: JavaScript heap out of memory')) instanceof OutOfMemory);
    assert.ok((await endOf('Segmentation fault')) instanceof EngineCrashed);
  });

  test('a batch that does not fit is halved until it does; what fits is remembered', async () => {
    const file = join(scratch, 'ceilings.json');
    const warnings: string[] = [];
    const log = pino({ level: 'warn' }, { write: (line: string) => void warnings.push(line) });
    const items = batch(24);
    {
      await using host = limited();
      const images = await renderInBatches({ host, ceilings: createBatchCeilings(file), log }, { items });
      assert.deepEqual(
        images.map(({ index }) => index),
        items.map(({ index }) => index),
      );
      assert.ok(warnings.length >= 1);
      const [alone] = await host.render({ items: batch(1) });
      assert.ok(levelDifference(images[0]?.pixels ?? Buffer.alloc(0), alone?.pixels ?? Buffer.alloc(0)) <= 2);
    }
    warnings.length = 0;
    await using another = limited();
    await renderInBatches({ host: another, ceilings: createBatchCeilings(file), log }, { items: batch(3) });
    assert.deepEqual(warnings, []);
  });
});

test('cuBLAS takes little of a GPU, or what the worker’s environment says', async () => {
  const program = join(scratch, 'environment.cjs');
  await writeFile(program, "console.error('cuBLAS: ' + process.env.CUBLAS_WORKSPACE_CONFIG);");
  const seenOn = async (device: 'cpu' | 'cuda:0') => {
    const options = { checkpoint: scratch, threads: 1, cacheFolder: scratch } as const;
    const engine = await FreshProcess.spawn({
      arguments: { ...options, device, model: 'any', logLevel: 'silent' },
      program,
      log: pino({ level: 'silent' }),
    });
    await engine.ended;
    return /cuBLAS: (.*)/.exec((await engine.obituary('at once')).message)?.[1];
  };
  assert.equal(await seenOn('cpu'), 'undefined');
  assert.equal(await seenOn('cuda:0'), ':4096:1');
  process.env.CUBLAS_WORKSPACE_CONFIG = ':32768:1';
  try {
    assert.equal(await seenOn('cuda:0'), ':32768:1');
    // Restored engines have what they were captured with.
    assert.equal(capturedEnvironment().CUBLAS_WORKSPACE_CONFIG, ':32768:1');
  } finally {
    delete process.env.CUBLAS_WORKSPACE_CONFIG;
  }
});

describe('how weights get to a GPU', () => {
  test('is refused for the CPU, and where it makes no sense, before anything starts', () => {
    for (const [device, weights, message] of [
      ['cpu', { hostCacheBytes: 2 ** 30 }, /expected a GPU with hostCacheBytes, got device cpu/],
      ['cuda:0', { streamBufferBytes: 2 ** 20 + 1 }, /→ at streamBufferBytes/],
      ['cuda:0', { hostCacheBytes: 0 }, /→ at hostCacheBytes/],
    ] as const) {
      assert.throws(
        () => emojiHost({ device, weights }),
        (error) => error instanceof InvalidRequest && message.test(error.message),
      );
    }
  });

  test('reaches the engine, which is told of what its machine lacks', async (t) => {
    const weights = { streamBufferBytes: 2 ** 21, hostCacheBytes: 2 ** 30 };
    await using host = emojiHost({ device: 'cuda:0', exclusive: false, weights });
    const failure = await host.ready().then(
      () => undefined,
      (error: unknown) => error,
    );
    if (failure === undefined) return t.skip('this machine has a GPU');
    assert.ok(failure instanceof DeviceLost, String(failure));
    assert.match(failure.message, /libcuda\.so\.1/);
  });
});
