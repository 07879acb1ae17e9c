import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { DeviceBusy, EngineCrashed, EngineStalled } from '../src/contract/errors.js';
import { EngineMessage, type ParentMessage } from '../src/gpu/engine/protocol.js';
import { encodeFrame, readFrames } from '../src/gpu/frames.js';
import { DeviceLock } from '../src/gpu/host/device-lock.js';
import { EngineConnection } from '../src/gpu/host/engine-connection.js';
import { FreshProcess } from '../src/gpu/host/engine-process.js';
import { createEngineHost } from '../src/gpu/host.js';
import { uuidBytes, uuidText } from '../src/gpu/runtime/cuda/checkpoint.js';
import { commonGpuKind } from '../src/gpu/runtime/cuda/gpu-kind.js';
import { HostCache } from '../src/gpu/runtime/cuda/host-cache.js';
import { checkpointRequirement } from '../src/gpu/runtime/cuda/requirements.js';
import { CheckpointHelper, DriverRefusal } from '../src/gpu/snapshot/checkpoint-helper.js';
import type { SnapshotManifest } from '../src/gpu/snapshot/manifest.js';
import { type RestoredEngine, SnapshotStarter } from '../src/gpu/snapshot/starter.js';
import { openSnapshotStore } from '../src/gpu/snapshot/store.js';
import { type FallbackReason, Unusable } from '../src/gpu/snapshot/unusable.js';
import { type CheckpointProcess, checkpointProcess } from './support/checkpoint-process-options.js';
import { diskFolder } from './support/disk-folder.js';
import { isRunning } from './support/engine.js';
import { MemoryEngine } from './support/memory-engine.js';
import { MemoryKeeper } from './support/memory-keeper.js';
import { TINY_KLEIN } from './support/references.js';
import { scratchFolder } from './support/scratch.js';
import { criu, NO_CRIU, silent, snapshotTest } from './support/snapshots.js';
import { until } from './support/waiting.js';

const scratch = scratchFolder();
const ENGINE = fileURLToPath(new URL('./support/memory-engine-process.js', import.meta.url));

/** With a helper that does that; it is closed after the work. */
async function withHelper(
  command: readonly string[],
  work: (helper: CheckpointHelper) => Promise<void>,
): Promise<void> {
  const helper = await CheckpointHelper.start(command);
  try {
    await work(helper);
  } finally {
    await helper.close();
  }
}

describe('the helper that makes the driver’s checkpoint calls', () => {
  test('one call after the other, and facts of the GPU', () =>
    withHelper(checkpointProcess({ freeBytes: 5e9, ownBytes: 2e9, name: 'a GPU' }), async (helper) => {
      const facts = await helper.device(1);
      assert.equal(facts.name, 'a GPU');
      assert.equal(facts.index, 1);
      assert.equal(await helper.state(7), 'running');
      await Promise.all([helper.lock(7), helper.checkpoint(7, 60_000)]);
      assert.equal(await helper.state(7), 'checkpointed');
      assert.equal((await helper.device(1)).freeBytes, 7e9);
    }));

  test('a call that the driver never returns from ends the helper, and all that wait for it', () =>
    withHelper(checkpointProcess({ hangsAt: 'restore' }), async (helper) => {
      await helper.device(0);
      const stuck = assert.rejects(helper.restore(7, 300), (error: unknown) => {
        assert.ok(error instanceof EngineStalled, String(error));
        assert.match(error.message, /driver has not answered for 300 ms \[call=restore, engine=7\]/);
        return true;
      });
      await assert.rejects(helper.state(7), EngineStalled);
      await stuck;
      await assert.rejects(helper.device(0), EngineStalled);
    }));

  test('what the driver refuses is told, and what of it is lack of memory', async () => {
    const refusal = (kind: string, words: RegExp) => (error: unknown) => {
      assert.ok(error instanceof DriverRefusal, String(error));
      assert.equal(error.kind, kind);
      assert.match(error.message, words);
      return true;
    };
    await withHelper(checkpointProcess({ failsAt: 'lock', code: 1 }), (helper) =>
      assert.rejects(helper.lock(7), refusal('refused', /CUDA_ERROR_INVALID_VALUE \(1\)/)),
    );
    await withHelper(checkpointProcess({ failsAt: 'restore', code: 2 }), (helper) =>
      assert.rejects(helper.restore(7, 60_000), refusal('no-room', /CUDA_ERROR_OUT_OF_MEMORY/)),
    );
    await withHelper(checkpointProcess({ isUnsupported: true }), async (helper) => {
      for (const call of [helper.device(0), helper.state(7)]) {
        await assert.rejects(call, refusal('unsupported', /without checkpoint support/));
      }
    });
  });

  test('one that ends by itself says its last words', () =>
    withHelper(['sh', '-c', 'echo oh dear >&2; exit 3'], (helper) =>
      assert.rejects(helper.device(0), (error: unknown) => {
        assert.ok(error instanceof EngineCrashed);
        assert.match(error.message, /exit=3\]; its last lines:\noh dear/);
        return true;
      }),
    ));

  const disk = diskFolder();
  test(
    'it has the kernel read files that will be needed, without a driver',
    {
      skip: disk === undefined && 'there is no disk here',
    },
    () =>
      withHelper(checkpointProcess({ isUnsupported: true }), async (helper) => {
        const file = join(disk ?? '', 'image');
        await writeFile(file, Buffer.alloc(8 << 20, 1));
        const cached = () => {
          const facts = execFileSync('fincore', ['--bytes', '--noheadings', '--output', 'RES', file]);
          return Number(facts.toString());
        };
        execFileSync('sync', [file]);
        execFileSync('dd', [`if=${file}`, 'iflag=nocache', 'count=0'], { stdio: 'ignore' });
        assert.ok(cached() < 8 << 20);
        await helper.readAhead([file]);
        await until('all of it is in memory', () => cached() === 8 << 20);
        await assert.rejects(helper.readAhead([`${file}-that-is-not-there`]), DriverRefusal);
      }),
  );

  test('it ends with its host, also in a call that never returns', async () => {
    const program = new URL('../src/gpu/snapshot/checkpoint-helper.js', import.meta.url).href;
    const owner = spawn(
      process.execPath,
      [
        ...['--input-type=module', '-e'],
        `import { CheckpointHelper } from '${program}';
         const helper = await CheckpointHelper.start(JSON.parse(process.argv[1]));
         await helper.device(0);
         console.log(helper.pid);
         await helper.restore(7, 600000);`,
        JSON.stringify(checkpointProcess({ hangsAt: 'restore' })),
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const [line] = (await once(owner.stdout, 'data')) as [Buffer];
    const pid = Number(line.toString());
    assert.equal(await isRunning(pid), true);
    owner.kill('SIGKILL');
    await until('the helper is gone', async () => !(await isRunning(pid)));
  });

  test('the real one tells that there is no driver', {
    skip: existsSync('/dev/nvidiactl') && 'there is one here',
  }, async () => {
    const helper = await CheckpointHelper.start();
    try {
      await assert.rejects(helper.device(0), (error: unknown) => {
        assert.ok(error instanceof DriverRefusal);
        assert.equal(error.kind, 'unsupported');
        assert.match(error.message, /libcuda\.so\.1/);
        return true;
      });
    } finally {
      await helper.close();
    }
  });
});

test('UUIDs are written as NVIDIA’s tools write them, and read back', () => {
  const text = 'GPU-00112233-4455-6677-8899-aabbccddeeff';
  assert.equal(uuidText(uuidBytes(text)), text);
  assert.deepEqual([...uuidBytes(text).subarray(0, 3)], [0, 0x11, 0x22]);
  assert.throws(() => uuidBytes('GPU-0011'), /expected the UUID of a GPU/);
});

test('the kind of a machine’s GPUs is known without CUDA where all are of one', async () => {
  const root = join(scratch, 'root');
  assert.equal(await commonGpuKind(root), undefined);
  const describe = async (gpu: string, model: string) => {
    const folder = join(root, 'proc/driver/nvidia/gpus', gpu);
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'information'), `Model: \t\t ${model}\nIRQ:   \t\t 11\n`);
  };
  await mkdir(join(root, 'sys/module/nvidia'), { recursive: true });
  await writeFile(join(root, 'sys/module/nvidia/version'), '580.159.04\n');
  await describe('0000:01:00.0', 'NVIDIA H100 80GB HBM3');
  await describe('0000:02:00.0', 'NVIDIA H100 80GB HBM3');
  assert.deepEqual(await commonGpuKind(root), { name: 'NVIDIA H100 80GB HBM3', driver: '580.159.04' });
  await describe('0000:03:00.0', 'NVIDIA L4');
  assert.equal(await commonGpuKind(root), undefined);
});

test('a driver without checkpoints is no reason not to draw, and is told with its remedy', () => {
  const { isMet, isOptional, found, remedy } = checkpointRequirement('missing', '550.1');
  assert.equal(isMet, false);
  assert.equal(isOptional, true);
  assert.match(found, /550\.1/);
  assert.match(remedy, /driver without checkpoint support: needs R570 or newer/);
});

describe('an engine on a GPU that is captured', () => {
  const cacheFolder = join(scratch, 'cache');
  const engine = {
    checkpoint: TINY_KLEIN,
    ...({ model: 'tested', device: 'cuda:0', threads: 1, cacheFolder } as const),
  };
  const store = openSnapshotStore({ cacheFolder, log: silent });
  let slot = '';
  let manifest: SnapshotManifest;

  /** With the driver's calls made by such a helper. */
  function starter(
    helper: CheckpointProcess = {},
    options: Partial<ConstructorParameters<typeof SnapshotStarter>[0]> = {},
  ): SnapshotStarter {
    return new SnapshotStarter({
      ...{ mode: 'snapshot', engine, store, criu, log: silent },
      programs: { engine: ENGINE, helper: checkpointProcess(helper) },
      ...options,
    });
  }

  function greet(restored: RestoredEngine): Promise<EngineConnection> {
    return EngineConnection.greet(restored.process, restored.deadline, {
      ...{ stallMs: 120_000, cancelGraceMs: 120_000 },
      onLost: () => {},
    });
  }

  /** What an engine on such a device can't be restored for, which it then is not. */
  async function failsAs(
    reason: FallbackReason,
    helper: CheckpointProcess,
    restoreTimeoutMs = 60_000,
  ): Promise<string> {
    const restored = await starter(helper, { restoreTimeoutMs }).restore();
    const error = await greet(restored).then(
      () => assert.fail('expected no engine'),
      (thrown: unknown) => thrown,
    );
    const { pid } = restored.process;
    assert.ok(pid !== undefined);
    await restored.process.kill();
    const unusable = await restored.failed(error);
    assert.equal(unusable.reason, reason);
    await until('the engine is gone', async () => !(await isRunning(pid)));
    return unusable.message;
  }

  async function failures(): Promise<number> {
    return (await store.open(slot)).experience.failures;
  }

  before(async () => {
    if (NO_CRIU) return;
    const created = await starter().create({ measure: true });
    assert.ok(created);
    ({ slot, manifest } = created);
    // Both ways were measured, and `auto` has something to choose by.
    assert.ok(created.experience.measured);
  });

  snapshotTest('its manifest says what GPU it was on, and what it had there', () => {
    assert.deepEqual(manifest.identity.gpu, { name: 'memory of this process', driver: '600.1' });
    assert.deepEqual(manifest.gpu, { uuid: 'GPU-00000000-0000-0000-0000-000000000000', ownBytes: 2 ** 20 });
  });

  snapshotTest('no weight is in the image', async () => {
    const folder = join(TINY_KLEIN, 'transformer');
    const [shard = ''] = (await readdir(folder)).filter((name) => name.endsWith('.safetensors'));
    const weights = await readFile(join(folder, shard));
    const header = Number(weights.readBigUInt64LE(0));
    const pieces = [0.2, 0.4, 0.6, 0.8].map((part) => {
      const at = 8 + header + Math.floor((weights.length - 8 - header) * part);
      return weights.subarray(at, at + 64);
    });
    const images = join(cacheFolder, 'snapshots', slot, 'images');
    for (const name of ['memory.img', ...Object.keys(manifest.images).filter((each) => /pages/.test(each))]) {
      const bytes = await readFile(join(images, name));
      for (const piece of pieces) assert.equal(bytes.indexOf(piece), -1, `a piece of the weights in ${name}`);
    }
  });

  const items = [{ index: 0, prompt: 'a red tree', width: 40, height: 64, steps: 2, seed: 3 }];
  let expected: Buffer;

  snapshotTest('restored, it streams its weights again and draws the same pixels', async () => {
    const fresh = await FreshProcess.spawn({
      arguments: { ...engine, logLevel: 'silent' },
      program: ENGINE,
      log: silent,
    });
    try {
      const connection = await EngineConnection.greet(fresh, performance.now() + 120_000, {
        ...{ stallMs: 120_000, cancelGraceMs: 120_000 },
        onLost: () => {},
      });
      const [picture] = await connection.render({ items });
      assert.ok(picture);
      expected = picture.pixels;
    } finally {
      await fresh.kill();
    }
    await store.learn(slot, manifest.id, () => ({
      measured: { at: new Date().toISOString(), freshMs: 2, restoredMs: 1 },
    }));
    // The second one begins while its snapshot is checked.
    for (const mode of ['snapshot', 'auto'] as const) {
      const restored = await starter({}, { mode }).restore();
      try {
        const connection = await greet(restored);
        assert.equal(connection.hello.start, 'restored');
        await restored.greeted(connection.hello);
        const [picture] = await connection.render({ items });
        assert.ok(picture?.pixels.equals(expected));
        const { deviceMemory } = await connection.stats();
        assert.ok(deviceMemory && deviceMemory.freeBytes < deviceMemory.totalBytes);
      } finally {
        await restored.process.kill();
      }
      await until('it is remembered', async () => (await store.lastGood(engine)) !== undefined);
    }
  });

  snapshotTest('restored again, it finds the helper of the last restore, while that lives', async () => {
    const started = join(scratch, 'helpers');
    await writeFile(started, '');
    const pids = async () => (await readFile(started, 'utf8')).split('\n').filter(Boolean).map(Number);
    const command = ['sh', '-c', `echo $$ >>'${started}' && exec "$@"`, 'sh', ...checkpointProcess()];
    const made = starter({}, { programs: { engine: ENGINE, helper: command } });
    const restore = async () => {
      const restored = await made.restore();
      try {
        const connection = await greet(restored);
        await restored.greeted(connection.hello);
        const [picture] = await connection.render({ items });
        assert.ok(picture?.pixels.equals(expected));
      } finally {
        await restored.process.kill();
      }
      return pids();
    };
    const [first] = await restore();
    assert.ok(first !== undefined && (await isRunning(first)));
    assert.deepEqual(await restore(), [first]);

    process.kill(first, 'SIGKILL');
    await until('the helper is gone, and its parent knows', async () => !existsSync(`/proc/${first}`));
    const [, second] = await restore();
    assert.ok(second !== undefined && (await isRunning(second)));

    await made.close();
    assert.equal(await isRunning(second), false);
    // One that is closed restores, and keeps nothing.
    const [, , third] = await restore();
    assert.ok(third !== undefined);
    await until('the last helper is gone', async () => !(await isRunning(third)));
  });

  snapshotTest('restored beside a keeper, it draws with what that one has in memory', async () => {
    const keeper = await MemoryKeeper.at(join(scratch, 'keepers'));
    await keeper.ensure({ checkpoint: TINY_KLEIN, cacheFolder });
    try {
      const restored = await starter().restore({ keeper: keeper.socket });
      try {
        const connection = await greet(restored);
        const [picture] = await connection.render({ items });
        assert.ok(picture?.pixels.equals(expected));
        const { holdings } = await keeper.asked((asked) => asked.stats());
        assert.deepEqual(
          holdings.map(({ state, lentTo }) => [state, lentTo]),
          new Array(3).fill(['loaded', 1]),
        );
      } finally {
        await restored.process.kill();
      }
    } finally {
      await keeper.kill();
    }
  });

  snapshotTest(
    'a driver that does not know it by the number that it has here is asked from within',
    async () => {
      // Where the engine's own number is that one.
      const restored = await starter({ knowsOnly: 1001 }).restore();
      try {
        assert.equal((await greet(restored)).hello.start, 'restored');
        const { pid } = restored.process;
        assert.ok(pid !== undefined && pid !== 1001);
        assert.match(await readFile(`/proc/${pid}/status`, 'utf8'), /^NSpid:\s+\d+\s+1001$/m);
      } finally {
        await restored.process.kill();
      }
    },
  );

  snapshotTest('a lock that it inherits is held as long as it lives', async () => {
    const lock = new DeviceLock(join(scratch, 'inherited.lock'));
    const restored = await starter().restore({ lock: await lock.hold() });
    try {
      await greet(restored);
      await lock.close();
      await assert.rejects(new DeviceLock(join(scratch, 'inherited.lock')).hold(), DeviceBusy);
    } finally {
      await restored.process.kill();
    }
    await using next = new DeviceLock(join(scratch, 'inherited.lock'));
    await next.hold();
  });

  snapshotTest('on another GPU of the same kind the driver is told which one it was on', async () => {
    const uuid = 'GPU-00000000-0000-0000-0000-000000000001';
    const from = 'GPU-00000000-0000-0000-0000-000000000000';
    const restored = await starter({ uuid, expectsMove: { from, to: uuid } }).restore();
    try {
      assert.equal((await greet(restored)).hello.start, 'restored');
    } finally {
      await restored.process.kill();
    }
  });

  snapshotTest(
    'where the GPU has too little memory left it is not restored, which is no fault of its image',
    async () => {
      const message = await failsAs('no-room', { freeBytes: 1000 });
      assert.match(
        message,
        /needs 1 MB of device memory beside its weights, .* \[needed=1048576, free=1000\]/,
      );
      await failsAs('no-room', { failsAt: 'restore', code: 2 });
      assert.equal(await failures(), 0);
    },
  );

  snapshotTest('a restore that the driver never returns from is given up at its deadline', async () => {
    const message = await failsAs('timeout', { hangsAt: 'restore' }, 3_000);
    assert.match(message, /driver has not answered .*call=restore/);
    assert.equal(await failures(), 1);
  });

  snapshotTest('what else the driver says no to counts as a failure', async () => {
    assert.match(await failsAs('failed', { failsAt: 'unlock', code: 1 }), /CUDA_ERROR_INVALID_VALUE/);
    assert.equal(await failures(), 2);
    await store.learn(slot, manifest.id, () => ({ failures: 0 }));
  });

  snapshotTest('both ways to start are measured beside a keeper, where the worker has one', async () => {
    const keeper = await MemoryKeeper.at(join(scratch, 'measured'));
    let asked = 0;
    const seeTo = () => {
      asked++;
      void keeper.ensure({ checkpoint: TINY_KLEIN, cacheFolder });
      return keeper.socket;
    };
    try {
      const created = await starter({}, { keeper: seeTo }).create({ replace: true, measure: true });
      assert.ok(created?.experience.measured);
      ({ slot, manifest } = created);
      // Two of each.
      assert.equal(asked, 4);
      const { holdings } = await keeper.asked((connection) => connection.stats());
      assert.deepEqual(
        holdings.map(({ state }) => state),
        ['loaded', 'loaded', 'loaded'],
      );
    } finally {
      await keeper.kill();
    }
  });

  snapshotTest('a host takes the next slower way, and counts why', async () => {
    const ways = [
      [{}, 'restored', undefined],
      [{ freeBytes: 1000 }, 'fresh', 'no-room'],
      [{ hangsAt: 'restore' }, 'fresh', 'timeout'],
      [{ isUnsupported: true }, 'fresh', 'unsupported'],
    ] as const;
    for (const [helper, start, reason] of ways) {
      await using host = createEngineHost({
        ...{ ...engine, criu, log: silent, start: 'snapshot', restoreTimeoutMs: 3_000 },
        snapshotPrograms: { engine: ENGINE, helper: checkpointProcess(helper) },
        spawn: (options) => MemoryEngine.spawnAs(options, {}),
      });
      const [picture] = await host.render({ items });
      assert.ok(picture?.pixels.equals(expected));
      assert.equal((await host.ready()).start, start);
      const counted = Object.entries(host.starts.fallbacks).filter(([, count]) => count > 0);
      assert.deepEqual(counted, reason === undefined ? [] : [[reason, 1]]);
    }
    await store.learn(slot, manifest.id, () => ({ failures: 0 }));
  });

  const refused = async (made: SnapshotStarter, reason: FallbackReason) =>
    assert.rejects(made.restore(), (error: unknown) => {
      assert.ok(error instanceof Unusable, String(error));
      assert.equal(error.reason, reason);
      return true;
    });

  snapshotTest('a driver without checkpoints, and a helper that fails, leave it unused', async () => {
    await refused(starter({ isUnsupported: true }), 'unsupported');
    await refused(starter({ failsAt: 'device', code: 1 }), 'failed');
    await refused(starter({}, { programs: { engine: ENGINE, helper: ['sh', '-c', 'exit 3'] } }), 'failed');
    assert.equal(await failures(), 0);
  });

  snapshotTest('none is made while somebody’s engine has the device', async () => {
    const lockFile = join(scratch, 'device.lock');
    const holder = spawn('flock', ['--no-fork', lockFile, 'sh', '-c', 'echo locked; exec sleep 600'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(holder.stdout, 'data');
    await assert.rejects(starter({}, { lockFile }).create({ replace: true }), DeviceBusy);
    holder.kill('SIGKILL');
    await once(holder, 'exit');
  });

  snapshotTest('where the driver does not give the device back nothing is kept', async () => {
    const names = () => readdir(join(cacheFolder, 'snapshots'));
    const kept = await names();
    const capture = { timeoutMs: 20_000 };
    await assert.rejects(
      starter({ failsAt: 'checkpoint', code: 1 }, { capture }).create({ replace: true }),
      /CUDA_ERROR_INVALID_VALUE/,
    );
    assert.deepEqual(await names(), kept);
  });

  snapshotTest('another kind of GPU has none yet; another driver sets it aside', async () => {
    await refused(starter({ name: 'another GPU' }), 'missing');
    await refused(starter({ driver: '601.2' }), 'foreign');
    await refused(starter(), 'missing');
  });
});

test('an engine that is woken fills the host cache, though it had done so before', async (t) => {
  const disk = diskFolder();
  if (disk === undefined) return t.skip('this machine has no disk for temporary files');
  const model = join(disk, 'model');
  await cp(TINY_KLEIN, model, { recursive: true });
  const weights = join(disk, 'weights');
  HostCache.open({ folder: weights });
  const kept = async () => (await readdir(weights)).filter((name) => name.endsWith('.weights'));
  const files = (await readdir(model, { recursive: true })).filter((name) => name.endsWith('.safetensors'));
  const isFull = async () => (await kept()).length === files.length;
  const engine = await MemoryEngine.spawn(model, scratch, { cacheFolder: weights });
  try {
    const socket = await engine.connect(performance.now() + 120_000);
    const say = (message: ParentMessage) => {
      for (const part of encodeFrame(message)) socket.write(part);
    };
    for await (const { header } of readFrames(socket)) {
      const message = EngineMessage.parse(header);
      if (message.type === 'hello' && message.start === 'restored') {
        await until('the host cache is full again', isFull);
        break;
      }
      if (message.type === 'hello') {
        await until('the host cache is full', isFull);
        say({ type: 'prepare' });
      }
      if (message.type === 'prepared') {
        for (const name of await kept()) await rm(join(weights, name));
        say({ type: 'wake', startedAt: Date.now(), logLevel: 'info' });
      }
    }
  } finally {
    await engine.kill();
  }
});

test('an engine that can’t be woken says why', { timeout: 120_000 }, async () => {
  const engine = await MemoryEngine.spawn(TINY_KLEIN, scratch, { upset: 'falls off' });
  try {
    const socket = await engine.connect(performance.now() + 120_000);
    const say = (message: ParentMessage) => {
      for (const part of encodeFrame(message)) socket.write(part);
    };
    const heard: EngineMessage[] = [];
    for await (const { header } of readFrames(socket)) {
      const message = EngineMessage.parse(header);
      heard.push(message);
      if (message.type === 'hello') say({ type: 'prepare' });
      if (message.type === 'prepared') {
        // Asleep, it tells that it lives, and asks its device nothing.
        engine.upset();
        say({ type: 'stats', id: 1 });
      }
      if (message.type === 'stats') {
        assert.equal(message.deviceMemory, undefined);
        say({ type: 'wake', startedAt: Date.now(), logLevel: 'info' });
      }
    }
    const last = heard.at(-1);
    assert.ok(last?.type === 'failed' && last.id === undefined, JSON.stringify(last));
    assert.equal(last.code, 'DeviceLost');
    await engine.ended;
  } finally {
    await engine.kill();
  }
});
