import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, closeSync, existsSync, openSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { DeviceLost, type RenderError, StorageRefused } from '../src/contract/errors.js';
import { encodeFrame, readFrames } from '../src/gpu/frames.js';
import { ensureKeeper } from '../src/gpu/host/keeper-process.js';
import { Residents } from '../src/gpu/host/residents.js';
import { createEngineHost, type EngineHost } from '../src/gpu/host.js';
import { keeperPlace } from '../src/gpu/keeper/place.js';
import { KEEPER_PROTOCOL } from '../src/gpu/keeper/protocol.js';
import { tryLock } from '../src/gpu/runtime/cuda/file-lock.js';
import { isRunning } from './support/engine.js';
import { MemoryEngine } from './support/memory-engine.js';
import { damage, deviceFilesOf, MemoryKeeper, programOn } from './support/memory-keeper.js';
import { processesLike } from './support/processes.js';
import { TINY_KLEIN, TINY_QWEN } from './support/references.js';
import { scratchFolder } from './support/scratch.js';
import { until } from './support/waiting.js';

/*
 * Keepers and engines in processes of their own, over files in memory in the place of a GPU's: descriptors are passed,
 * mapped and left behind for real.
 */

const scratch = scratchFolder();
const cacheFolder = scratch;
let places = 0;

const item = { index: 0, seed: 3, prompt: 'a red tree', width: 40, height: 64, steps: 2 };

/** A place for keepers that is empty again afterwards. */
async function withKeeper(work: (keeper: MemoryKeeper) => Promise<void>): Promise<void> {
  const keeper = await MemoryKeeper.at(join(scratch, `place-${places++}`));
  try {
    await work(keeper);
  } finally {
    await keeper.kill();
  }
}

async function drawnBy(engine: MemoryEngine): Promise<Buffer> {
  const connection = await engine.greet();
  const [image] = await connection.render({ items: [item] });
  return image?.pixels as Buffer;
}

/** An engine's picture, after which it is killed as a crash would. */
async function drawOnce(keeper: MemoryKeeper | undefined, checkpoint = TINY_KLEIN): Promise<Buffer> {
  const engine = await MemoryEngine.spawn(checkpoint, cacheFolder, keeper && { keeper: keeper.socket });
  try {
    return await drawnBy(engine);
  } finally {
    await engine.kill();
  }
}

let expected: Buffer;
before(async () => {
  expected = await drawOnce(undefined);
});

describe('an engine with a keeper', () => {
  test('draws the same, over weights that only the keeper has read; so does the next one, after it was killed', () =>
    withKeeper(async (keeper) => {
      assert.equal(await keeper.ensure({ checkpoint: TINY_KLEIN, cacheFolder }), 'started');
      const engine = await MemoryEngine.spawn(TINY_KLEIN, cacheFolder, { keeper: keeper.socket });
      try {
        assert.deepEqual(await drawnBy(engine), expected);
        assert.ok(deviceFilesOf(engine.pid as number) > 0);
        const stats = await keeper.asked((asked) => asked.stats());
        assert.deepEqual(
          stats.holdings.map(({ component, state, lentTo }) => [component, state, lentTo]),
          [
            ['text_encoder', 'loaded', 1],
            ['transformer', 'loaded', 1],
            ['vae', 'loaded', 1],
          ],
        );
      } finally {
        await engine.kill();
      }
      const stats = () => keeper.asked((asked) => asked.stats());
      await until('the dead engine has given all back', async () =>
        (await stats()).holdings.every(({ lentTo }) => lentTo === 0),
      );
      const before = await stats();
      assert.equal(await keeper.ensure({ checkpoint: TINY_KLEIN, cacheFolder }), 'found');
      assert.deepEqual(await drawOnce(keeper), expected);
      const streamed = ({ holdings }: typeof before) =>
        holdings.map(({ key, streamedBytes }) => [key, streamedBytes]);
      assert.deepEqual(streamed(await stats()), streamed(before));
    }));
});

describe('while the keeper streams', () => {
  test('an engine maps the memory, makes its sessions and waits; then it draws', () =>
    withKeeper(async (keeper) => {
      await keeper.ensure({ checkpoint: TINY_KLEIN, cacheFolder, isHeld: true });
      const engine = await MemoryEngine.spawn(TINY_KLEIN, cacheFolder, { keeper: keeper.socket });
      try {
        const connection = await engine.greet();
        assert.ok(deviceFilesOf(engine.pid as number) > 0);
        const drawing = connection.render({ items: [item] });
        const { holdings } = await keeper.asked((asked) => asked.stats());
        assert.ok(holdings.every(({ state, lentTo }) => state === 'streaming' && lentTo === 1));
        keeper.signal('SIGUSR2');
        const [image] = await drawing;
        assert.deepEqual(image?.pixels, expected);
      } finally {
        await engine.kill();
      }
    }));

  test('its death makes engines stream by themselves', () =>
    withKeeper(async (keeper) => {
      await keeper.ensure({ checkpoint: TINY_KLEIN, cacheFolder, isHeld: true });
      const engine = await MemoryEngine.spawn(TINY_KLEIN, cacheFolder, { keeper: keeper.socket });
      try {
        const said = engine.says('weights are streamed without the keeper');
        const connection = await engine.greet();
        const drawing = connection.render({ items: [item] });
        await keeper.kill();
        const [image] = await drawing;
        assert.deepEqual(image?.pixels, expected);
        await said;
      } finally {
        await engine.kill();
      }
    }));
});

describe('engines live without a keeper', () => {
  test('that dies when their weights are there', () =>
    withKeeper(async (keeper) => {
      await keeper.ensure({ checkpoint: TINY_KLEIN, cacheFolder });
      await keeper.loaded();
      const engine = await MemoryEngine.spawn(TINY_KLEIN, cacheFolder, { keeper: keeper.socket });
      try {
        const connection = await engine.greet();
        await connection.render({ items: [item] });
        await keeper.kill();
        const [image] = await connection.render({ items: [item] });
        assert.deepEqual(image?.pixels, expected);
        // The next one is another's; this one's memory stays its own.
        await keeper.ensure({ checkpoint: TINY_KLEIN, cacheFolder });
        assert.deepEqual(await drawOnce(keeper), expected);
      } finally {
        await engine.kill();
      }
    }));

  test('that never comes', () =>
    withKeeper(async (keeper) => assert.deepEqual(await drawOnce(keeper), expected)));

  test('that has no room, and says so', () =>
    withKeeper(async (keeper) => {
      await keeper.ensure({ checkpoint: TINY_KLEIN, cacheFolder, totalBytes: 2 * 2 ** 20 });
      const engine = await MemoryEngine.spawn(TINY_KLEIN, cacheFolder, { keeper: keeper.socket });
      try {
        const said = engine.says('2097152');
        assert.deepEqual(await drawnBy(engine), expected);
        await said;
        assert.match(keeper.log(), /device memory.*nothing is lent/);
      } finally {
        await engine.kill();
      }
    }));
});

describe('other weights, and damaged ones', () => {
  test('a keeper holds several models, and lets go the one that was not used for longest', () =>
    withKeeper(async (keeper) => {
      // Each component of these takes one unit of the device's memory: there is room for one model and a spare quarter.
      const totalBytes = 7 * 2 * 2 ** 20;
      await keeper.ensure({ checkpoint: TINY_QWEN, cacheFolder, totalBytes });
      await keeper.loaded();
      const before = await keeper.asked((asked) => asked.stats());
      assert.deepEqual(await drawOnce(keeper), expected);
      const { holdings } = await keeper.asked((asked) => asked.stats());
      const old = new Set(before.holdings.map(({ key }) => key));
      assert.equal(holdings.filter(({ key }) => !old.has(key)).length, 3);
      assert.deepEqual(
        holdings.filter(({ key }) => old.has(key)).map(({ component }) => component),
        ['transformer', 'vae'],
      );
    }));

  test('what is lent and is not what it should be is refused, and not lent again', () =>
    withKeeper(async (keeper) => {
      await keeper.ensure({ checkpoint: TINY_KLEIN, cacheFolder });
      await keeper.loaded();
      damage(await keeper.pid());
      const engine = await MemoryEngine.spawn(TINY_KLEIN, cacheFolder, { keeper: keeper.socket });
      try {
        const said = engine.says('is not what its digest says');
        assert.deepEqual(await drawnBy(engine), expected);
        await said;
      } finally {
        await engine.kill();
      }
      assert.deepEqual(await drawOnce(keeper), expected);
      await keeper.loaded();
    }));

  test('a verification finds one byte, and ends the engine that draws with it', () =>
    withKeeper(async (keeper) => {
      await keeper.ensure({ checkpoint: TINY_KLEIN, cacheFolder });
      await keeper.loaded();
      const engine = await MemoryEngine.spawn(TINY_KLEIN, cacheFolder, { keeper: keeper.socket });
      try {
        const reasons: RenderError[] = [];
        const connection = await engine.greet((reason) => reasons.push(reason));
        await connection.render({ items: [item] });
        const { holdings } = await keeper.asked((asked) => asked.stats());
        const verified = () =>
          keeper.asked((asked) => Promise.all(holdings.map(({ key }) => asked.verify(key))));
        assert.ok((await verified()).every(({ isGood }) => isGood));
        damage(await keeper.pid(), { bytes: 1 });
        assert.ok((await verified()).every(({ isGood }) => !isGood));
        await engine.ended;
        await until('the end is told', () => reasons.length > 0);
        assert.ok(reasons[0] instanceof DeviceLost, String(reasons[0]));
        assert.match(reasons[0].message, /are not what its files have/);
        assert.equal(engine.exitCode, 1);
      } finally {
        await engine.kill();
      }
      assert.deepEqual(await drawOnce(keeper), expected);
    }));
});

describe('what is held', () => {
  test('is compared with its files unasked, and an engine that draws with what is damaged ends', () =>
    withKeeper(async (keeper) => {
      await keeper.ensure({ checkpoint: TINY_KLEIN, cacheFolder, verifySeconds: 0.2 });
      await keeper.loaded();
      const engine = await MemoryEngine.spawn(TINY_KLEIN, cacheFolder, { keeper: keeper.socket });
      try {
        const connection = await engine.greet();
        await connection.render({ items: [item] });
        damage(await keeper.pid(), { bytes: 1 });
        await engine.ended;
        assert.equal(engine.exitCode, 1);
      } finally {
        await engine.kill();
      }
      // One component after the other.
      await until('all three are told', () => {
        return keeper.log().split('weights are not what their files have').length === 1 + 3;
      });
      assert.deepEqual(await drawOnce(keeper), expected);
    }));
});

describe('models that take turns', () => {
  test('give their weights back to the keeper, which lets them go when the other ones need the room', () =>
    withKeeper(async (keeper) => {
      // Each model takes three units of five.
      const device = { totalBytes: 5 * 2 * 2 ** 20, sharedFolder: join(keeper.place.folder, 'device') };
      const residents = new Residents(1);
      const hostOf = (checkpoint: string) =>
        createEngineHost({
          ...{ checkpoint, cacheFolder, residents },
          model: 'tested',
          device: 'cuda:0',
          exclusive: false,
          threads: 1,
          log: pino({ level: 'silent' }),
          keeperFolder: dirname(keeper.place.folder),
          spawn: (options) => MemoryEngine.spawnAs(options, device),
          startKeeper: (options) =>
            ensureKeeper({ ...options, place: keeper.place, program: programOn(device) }),
        });
      await using klein = hostOf(TINY_KLEIN);
      await using qwen = hostOf(TINY_QWEN);
      const drawn = async (host: EngineHost) => (await host.render({ items: [item] }))[0]?.pixels;
      const first = await drawn(qwen);
      for (let turn = 0; turn < 2; turn++) {
        assert.deepEqual(await drawn(klein), expected);
        assert.deepEqual(await drawn(qwen), first);
        const { holdings } = await keeper.asked((asked) => asked.stats());
        assert.deepEqual(
          holdings.map(({ state, lentTo }) => [state, lentTo]),
          Array(3).fill(['loaded', 1]),
        );
      }
      assert.equal(qwen.starts.fresh + klein.starts.fresh, 2);
    }));
});

describe('one keeper takes the place of another', () => {
  test('of another version: it is told to retire, and engines do without it', () =>
    withKeeper(async (keeper) => {
      const { lockFile, socket } = keeper.place;
      const lock = openSync(lockFile, 'a', 0o600);
      assert.ok(tryLock(lock));
      const heard: unknown[] = [];
      const other = createServer(async (connection) => {
        connection.on('error', () => {});
        for await (const { header } of readFrames(connection)) {
          heard.push(header);
          const { type } = header as { type: string };
          const hello = { type: 'hello', protocol: 999, somethingNew: true };
          if (type === 'greet') for (const part of encodeFrame(hello)) connection.write(part);
          if (type !== 'retire') continue;
          rmSync(socket);
          closeSync(lock);
        }
      });
      await once(other.listen(socket), 'listening');
      try {
        assert.deepEqual(await drawOnce(keeper), expected);
        assert.deepEqual(heard, [{ type: 'greet', protocol: KEEPER_PROTOCOL }]);
        assert.equal(await keeper.ensure({ checkpoint: TINY_KLEIN, cacheFolder }), 'replaced');
        await until('the other one was told', () => !existsSync(socket) || heard.length > 2);
        assert.deepEqual(heard.slice(2), [{ type: 'retire' }]);
        await keeper.loaded();
        assert.deepEqual(await drawOnce(keeper), expected);
      } finally {
        other.close();
      }
    }));

  test('while an engine draws: the old one stays until that engine is gone', () =>
    withKeeper(async (keeper) => {
      await keeper.ensure({ checkpoint: TINY_KLEIN, cacheFolder });
      const engine = await MemoryEngine.spawn(TINY_KLEIN, cacheFolder, { keeper: keeper.socket });
      try {
        const connection = await engine.greet();
        await connection.render({ items: [item] });
        const [old = 0] = keeper.pids();
        await keeper.asked(async (asked) => asked.tell({ type: 'retire' }));
        await until('it listens no more', () => !existsSync(keeper.socket));
        assert.equal(await keeper.ensure({ checkpoint: TINY_KLEIN, cacheFolder }), 'started');
        await keeper.loaded();
        assert.ok(await isRunning(old));
        assert.equal(keeper.pids().length, 2);
        const [image] = await connection.render({ items: [item] });
        assert.deepEqual(image?.pixels, expected);
        await engine.kill();
        await until('the old keeper is gone', async () => !(await isRunning(old)));
        assert.deepEqual(await drawOnce(keeper), expected);
      } finally {
        await engine.kill();
      }
    }));

  test('two that start at the same time: one of them stays', () =>
    withKeeper(async (keeper) => {
      const start = () => keeper.ensure({ checkpoint: TINY_KLEIN, cacheFolder });
      await Promise.all([start(), start(), start()]);
      await keeper.loaded();
      await until('one is left', () => keeper.pids().length === 1);
      assert.deepEqual(await drawOnce(keeper), expected);
    }));
});

test('a keeper that nobody needs for long enough ends, and leaves nothing', () =>
  withKeeper(async (keeper) => {
    await keeper.ensure({ checkpoint: TINY_KLEIN, cacheFolder, keepSeconds: 0.5 });
    const connection = await keeper.connect();
    const { pid } = await connection.stats();
    await sleep(1_000);
    assert.ok(await isRunning(pid), 'somebody is connected');
    connection.close();
    await until('it has ended', async () => !(await isRunning(pid)));
    assert.equal(existsSync(keeper.socket), false);
    assert.match(keeper.log(), /nobody was connected for 0.5 s/);
  }));

test('a folder that others may enter is no place for a keeper', async () => {
  const keeper = await MemoryKeeper.at(join(scratch, 'open'));
  chmodSync(keeper.place.folder, 0o755);
  const again = () => keeperPlace('cuda:0', { folder: join(scratch, 'open'), environment: {} });
  assert.throws(again, (error) => error instanceof StorageRefused && /mode 755/.test(error.message));
});

describe('deaths in every order', () => {
  const HOST = fileURLToPath(new URL('./support/memory-host-process.js', import.meta.url));
  const digest = (pixels: Buffer) => createHash('sha256').update(pixels).digest('hex');

  test('at random times leave the same pictures, and nothing else', async () => {
    const seed = Number(process.env.TEST_SEED ?? randomInt(2 ** 31));
    console.log(`seed ${seed} (TEST_SEED)`);
    let state = seed;
    const random = (below: number) => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    const folder = join(scratch, 'deaths');
    const keeper = await MemoryKeeper.at(folder);
    const engines = () => processesLike(new RegExp(`memory-engine-process.js .*${keeper.place.folder}`));
    const hosts: ChildProcess[] = [];
    const startHost = () => {
      const args = [HOST, folder, TINY_KLEIN, cacheFolder, JSON.stringify(item)];
      const host = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] });
      hosts.push(host);
      let said = '';
      host.stdout.setEncoding('utf8').on('data', (text: string) => {
        said += text;
      });
      return { host, ended: once(host, 'close'), said: () => said };
    };
    const killAll = (pids: readonly number[]) => {
      for (const pid of pids) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // It has just ended.
        }
      }
    };
    try {
      for (let round = 0; round < 4; round++) {
        const { host, ended, said } = startHost();
        for (let death = random(3); death >= 0; death--) {
          await sleep(random(700));
          const victim = (['keeper', 'engine', 'host', 'keeper'] as const)[random(4)];
          if (victim === 'keeper') killAll(keeper.pids());
          if (victim === 'engine') killAll(engines());
          if (victim === 'host') host.kill('SIGKILL');
        }
        const isOver = () => host.exitCode !== null || host.signalCode !== null;
        await until('it has drawn, or died', () => said() !== '' || isOver());
        if (said() !== '') assert.equal(said(), digest(expected), `round ${round}`);
        host.kill('SIGKILL');
        await ended;
        await until('engines end with their host', () => engines().length === 0);
      }
      const { host, said } = startHost();
      await until('the last one has drawn', () => said() !== '');
      assert.equal(said(), digest(expected));
      host.kill('SIGKILL');
    } finally {
      for (const host of hosts) host.kill('SIGKILL');
      await until('engines are gone', () => engines().length === 0);
      await keeper.kill();
    }
    assert.deepEqual(processesLike(new RegExp(`memory-\\w+-process.js .*${folder}`)), []);
  });
});
