import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe } from 'node:test';
import { DeviceBusy, OutOfMemory } from '../src/contract/errors.js';
import { DUMP_LOCK, ownFolder } from '../src/gpu/snapshot/criu.js';
import { sizeOf } from '../src/gpu/snapshot/manifest.js';
import { emojiHost, foldersOf, isRunning, smallItem } from './support/engine.js';
import { processesLike } from './support/processes.js';
import { EMOJI } from './support/references.js';
import { scratchFolder } from './support/scratch.js';
import { criu, NO_CRIU, type SnapshotPlace, snapshotPlace, snapshotTest } from './support/snapshots.js';
import { until } from './support/waiting.js';

const scratch = scratchFolder();
/** Places in a file of weights that are looked for. */
const SAMPLES = 49;
/** Must be found in no image. */
const SECRET = 'sesame-open-7f3a';

describe('an engine that is restored', () => {
  let place: SnapshotPlace;
  let slot: string;
  before(async () => {
    if (NO_CRIU) return;
    process.env.AWS_SECRET_ACCESS_KEY = SECRET;
    place = snapshotPlace(join(scratch, 'cache'));
    const created = await place.starter().create();
    slot = created?.slot ?? '';
  });
  after(() => {
    delete process.env.AWS_SECRET_ACCESS_KEY;
  });

  snapshotTest(
    'it draws the same pixels, to the bit, at the size that it was warmed with and at another',
    async () => {
      await using fresh = emojiHost({ cacheFolder: place.cacheFolder, threads: 2 });
      await using restored = place.host();
      assert.equal((await fresh.ready()).start, 'fresh');
      assert.equal((await restored.ready()).start, 'restored');
      for (const size of [64, 256]) {
        const items = [smallItem({ width: size, height: size, seed: 5 })];
        const [expected] = await fresh.render({ items });
        const [picture] = await restored.render({ items });
        assert.ok(expected && picture?.pixels.equals(expected.pixels), `${size}²`);
      }
      assert.equal(restored.starts.restored, 1);
      assert.equal(restored.starts.fresh, 0);
    },
  );

  snapshotTest(
    'two of them from one image, at once, share no number, name, socket, file or random number',
    async () => {
      await using one = place.host();
      await using other = place.host();
      const hellos = await Promise.all([one.ready(), other.ready()]);
      assert.deepEqual(
        hellos.map(({ start }) => start),
        ['restored', 'restored'],
      );
      assert.notEqual(hellos[0].pid, hellos[1].pid);
      assert.notEqual(hellos[0].instance, hellos[1].instance);
      // Both are number 1, which is taken on every machine, of a namespace of their own.
      const numbers = await Promise.all(hellos.map(({ pid }) => readFile(`/proc/${pid}/status`, 'utf8')));
      for (const [place, status] of numbers.entries()) {
        assert.match(status, new RegExp(`^NSpid:\\s+${hellos[place]?.pid}\\s+\\d+\\s+1$`, 'm'));
      }
      const files = await Promise.all(hellos.map(({ pid }) => ownFiles(pid)));
      assert.deepEqual(
        files[0]?.filter((file) => files[1]?.includes(file)),
        [],
      );
      const items = [smallItem({ seed: 3 })];
      const [first, second] = await Promise.all([one.render({ items }), other.render({ items })]);
      assert.ok(first[0]?.pixels.equals(second[0]?.pixels ?? Buffer.alloc(0)));
    },
  );

  snapshotTest('it and its CRIU end with their host, and nothing is left behind', async () => {
    const before = await engineFolders();
    const host = place.host();
    const { pid } = await host.ready();
    const parent = await parentOf(pid);
    await host.close();
    assert.equal(await isRunning(pid), false);
    assert.equal(await isRunning(parent), false);
    assert.deepEqual(await engineFolders(), before);
  });

  snapshotTest(
    'one that is killed, or whose CRIU is, is replaced by another one that is restored',
    async () => {
      await using host = place.host();
      const [expected] = await host.render({ items: [smallItem()] });
      for (const victim of [(pid: number) => pid, parentOf]) {
        const { pid } = await host.ready();
        process.kill(await victim(pid), 'SIGKILL');
        await until('the engine is gone', async () => !(await isRunning(pid)));
        await until(
          'the next one is there',
          async () => host.state.name === 'idle' && (await host.ready()).pid !== pid,
        );
        const [picture] = await host.render({ items: [smallItem()] });
        assert.ok(expected && picture?.pixels.equals(expected.pixels));
      }
      assert.equal(host.starts.restored, 3);
    },
  );

  snapshotTest(
    'it dies with its host, by SIGKILL, and what it writes to its standard error reaches the host',
    async () => {
      const before = await engineFolders();
      const owner = spawn(
        process.execPath,
        ['--input-type=module', '-e', OWNER, EMOJI, place.cacheFolder, JSON.stringify(criu)],
        {
          stdio: ['ignore', 'pipe', 'pipe'],
        },
      );
      let errors = '';
      owner.stderr.setEncoding('utf8').on('data', (text: string) => {
        errors += text;
      });
      const [line] = (await once(createInterface(owner.stdout), 'line')) as [string];
      const pid = Number(line);
      assert.equal(await isRunning(pid), true);
      const parent = await parentOf(pid);
      await until('its log is heard', () => errors.includes('engine restored'));
      await until('its files are gone', async () => (await engineFolders()).length === before.length);
      owner.kill('SIGKILL');
      await until('the engine is gone', async () => !(await isRunning(pid)) && !(await isRunning(parent)));
    },
  );

  snapshotTest(
    'what a host that was killed during a capture has left is removed by the next start',
    async () => {
      const cache = join(scratch, 'killed');
      const maker = spawn(
        process.execPath,
        ['--input-type=module', '-e', MAKER, EMOJI, cache, JSON.stringify(criu)],
        { stdio: 'inherit' },
      );
      const folders = async () =>
        (await readdir('/dev/shm')).filter((name) => foldersOf(maker.pid).test(name));
      await until('the capture has begun', async () => (await folders()).length > 0);
      const ended = once(maker, 'exit');
      maker.kill('SIGKILL');
      await ended;
      // Whoever starts an engine next removes them: another test may have done so by now.
      await using host = place.host();
      assert.equal((await host.ready()).start, 'restored');
      await until('its files are gone', async () => (await folders()).length === 0);
    },
  );

  snapshotTest('it is not captured while another one of this machine is', async () => {
    const lock = join(ownFolder('/dev/shm'), DUMP_LOCK);
    await mkdir(ownFolder('/dev/shm'), { recursive: true, mode: 0o700 });
    const other = spawn('flock', ['--no-fork', lock, 'sh', '-c', 'echo locked; exec sleep 600'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(other.stdout, 'data');
    let isDone = false;
    const created = snapshotPlace(join(scratch, 'waits'))
      .starter()
      .create()
      .finally(() => {
        isDone = true;
      });
    created.catch(() => {});
    const waits = () => processesLike(new RegExp(`^flock --no-fork ${lock} nsenter`)).length > 0;
    await until('it waits, or is done', () => isDone || waits());
    assert.equal(isDone, false);
    other.kill('SIGKILL');
    assert.ok(await created);
  });

  snapshotTest('a memory limit holds for it', async () => {
    // On a busy machine one step of so large a batch takes longer than engines may be silent elsewhere.
    await using host = place.host({ memoryLimitBytes: 1_280 * 1024 * 1024, stallMs: 600_000 });
    assert.equal((await host.ready()).start, 'restored');
    const batch = (count: number) =>
      Array.from({ length: count }, (_, index) =>
        smallItem({ index, seed: index, width: 512, height: 512, steps: 1 }),
      );
    await assert.rejects(host.render({ items: batch(16) }), (error: unknown) => {
      assert.ok(error instanceof OutOfMemory, String(error));
      return true;
    });
    assert.equal((await host.render({ items: batch(1) })).length, 1);
  });

  snapshotTest('it holds its device like any other engine', async () => {
    await using first = place.host({ exclusive: true });
    const { pid, start } = await first.ready();
    assert.equal(start, 'restored');
    await using second = place.host({ exclusive: true });
    await assert.rejects(second.ready(), (error: unknown) => {
      assert.ok(error instanceof DeviceBusy, String(error));
      return true;
    });
    await first.close();
    assert.equal(await isRunning(pid), false);
    await until('the second engine has the device', () =>
      second.ready().then(
        ({ start }) => start === 'restored',
        () => false,
      ),
    );
  });

  snapshotTest(
    'it has no file open but its standard ones, no socket but those to its host, and nothing on a network',
    async () => {
      await using host = place.host();
      const { pid } = await host.ready();
      await host.render({ items: [smallItem()] });
      const open = await openFiles(pid);
      const files = open.filter((target) => target.startsWith('/') && target !== '/dev/null');
      assert.deepEqual(files, []);
      // The one that it listens on, the one to its host, and its standard error, which is one in Node's hands.
      const sockets = open.flatMap((target) => /^socket:\[(\d+)\]$/.exec(target)?.[1] ?? []);
      assert.ok(sockets.length <= 3, open.join(' '));
      const unix = await readFile(`/proc/${pid}/net/unix`, 'utf8');
      for (const inode of sockets) assert.match(unix, new RegExp(`\\s${inode}(\\s|$)`, 'm'));
    },
  );

  snapshotTest(
    'its image is no larger than its own memory by half, and the weights of the checkpoint are not in it',
    async () => {
      const { manifest } = await place.store.open(slot);
      assert.ok(sizeOf(manifest) <= 1.5 * manifest.memory.anonymousBytes, JSON.stringify(manifest.memory));
      const weights = await readFile(join(EMOJI, 'transformer', 'diffusion_pytorch_model.safetensors'));
      const samples = Array.from({ length: SAMPLES }, (_, index) => {
        const at = Math.floor(((index + 0.5) * weights.length) / SAMPLES);
        return weights.subarray(at, at + 4096);
      });
      assert.deepEqual(await imagesWith(place, slot, samples), []);
    },
  );

  snapshotTest("its memory is mapped, V8's heap too, and little of it is copied by a restore", async () => {
    const { mappedBytes, copiedBytes } = (await place.store.open(slot)).manifest.memory;
    assert.ok(copiedBytes < mappedBytes / 20, `${copiedBytes} bytes copied, ${mappedBytes} mapped`);
  });

  snapshotTest(
    'nobody else can read its images, and neither a prompt nor a credential of the host is in them',
    async () => {
      const marker = 'a marker prompt zq81vx';
      await using host = place.host({ start: 'fresh' });
      await host.render({ items: [smallItem({ prompt: marker })] });
      await place.starter().create({ replace: true });
      const { folder, images } = await place.store.open(slot);
      for (const path of [folder, images]) assert.equal((await stat(path)).mode & 0o777, 0o700, path);
      for (const name of await readdir(images)) {
        assert.equal((await stat(join(images, name))).mode & 0o777, 0o600, name);
      }
      assert.equal((await stat(join(folder, 'manifest.json'))).mode & 0o777, 0o600);
      const wanted = [marker, SECRET].flatMap((text) => [Buffer.from(text), Buffer.from(text, 'utf16le')]);
      assert.deepEqual(await imagesWith(place, slot, wanted), []);
      // What is there can be found: the search itself works.
      assert.notDeepEqual(await imagesWith(place, slot, [Buffer.from('onnxruntime')]), []);
    },
  );
});

const OWNER = `
import { createEngineHost } from '${new URL('../src/gpu/host.js', import.meta.url).href}';
import { pino } from '${new URL('../../node_modules/pino/pino.js', import.meta.url).href}';
const [checkpoint, cacheFolder, criu] = process.argv.slice(1);
const host = createEngineHost({ checkpoint, cacheFolder, model: 'emoji', device: 'cpu', threads: 2, start: 'snapshot', criu: JSON.parse(criu), log: pino({ level: 'info' }, pino.destination(2)) });
const { pid, start } = await host.ready();
if (start !== 'restored') throw new Error(start);
const item = { index: 0, prompt: 'a dog', width: 512, height: 512, steps: 100, seed: 1 };
await host.render({ items: [item], onStep: ({ step }) => { if (step === 1) console.log(pid); } });
`;

const MAKER = `
import { SnapshotStarter } from '${new URL('../src/gpu/snapshot/starter.js', import.meta.url).href}';
import { openSnapshotStore } from '${new URL('../src/gpu/snapshot/store.js', import.meta.url).href}';
import { pino } from '${new URL('../../node_modules/pino/pino.js', import.meta.url).href}';
const [checkpoint, cacheFolder, criu] = process.argv.slice(1);
const log = pino({ level: 'silent' });
const engine = { checkpoint, cacheFolder, model: 'emoji', device: 'cpu', threads: 2 };
const store = openSnapshotStore({ cacheFolder, log });
await new SnapshotStarter({ mode: 'snapshot', engine, store, criu: JSON.parse(criu), log }).create();
`;

async function parentOf(pid: number): Promise<number> {
  return Number(/^PPid:\s+(\d+)$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

async function openFiles(pid: number): Promise<string[]> {
  const descriptors = `/proc/${pid}/fd`;
  return Promise.all(
    (await readdir(descriptors)).map((name) => readlink(join(descriptors, name)).catch(() => '')),
  );
}

/** What could be shared by accident: everything open but devices and the kernel's anonymous files, whose names are the same. */
async function ownFiles(pid: number): Promise<string[]> {
  return (await openFiles(pid)).filter((target) => /^(socket|pipe):|^\/(?!dev\/)/.test(target));
}

async function engineFolders(): Promise<string[]> {
  // Those of other processes come and go.
  return (await readdir('/dev/shm')).filter((name) => foldersOf(process.pid).test(name)).sort();
}

/** The images of a snapshot that contain one of these. */
async function imagesWith(place: SnapshotPlace, slot: string, wanted: readonly Buffer[]): Promise<string[]> {
  const { images } = await place.store.open(slot);
  const found: string[] = [];
  for (const name of await readdir(images)) {
    const bytes = await readFile(join(images, name));
    if (wanted.some((text) => bytes.includes(text))) found.push(name);
  }
  return found;
}
