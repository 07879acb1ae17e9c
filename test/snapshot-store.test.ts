import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import {
  access,
  appendFile,
  chmod,
  cp,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { FileDigests } from '../src/gpu/snapshot/file-digests.js';
import { withLock } from '../src/gpu/snapshot/lock.js';
import { type SnapshotManifest, sizeOf } from '../src/gpu/snapshot/manifest.js';
import { RestoredProcess } from '../src/gpu/snapshot/processes.js';
import { MOST_FAILURES, openSnapshotStore } from '../src/gpu/snapshot/store.js';
import { type FallbackReason, Unusable } from '../src/gpu/snapshot/unusable.js';
import { foldersOf, smallItem } from './support/engine.js';
import { processesLike } from './support/processes.js';
import { TINY_KLEIN } from './support/references.js';
import { scratchFolder } from './support/scratch.js';
import { NO_SMALL_DISK } from './support/small-disk.js';
import {
  copyOfPlace,
  criu,
  NO_CRIU,
  type SnapshotPlace,
  silent,
  snapshotPlace,
  snapshotTest,
} from './support/snapshots.js';
import { until } from './support/waiting.js';

const scratch = scratchFolder();
let copies = 0;

/** The reason in the message that a host starts fresh with. */
async function startsFresh(place: SnapshotPlace, reason: FallbackReason, options = {}): Promise<void> {
  const host = place.host(options);
  try {
    assert.equal((await host.ready()).start, 'fresh');
    assert.equal(host.starts.fallbacks[reason], 1, JSON.stringify(host.starts));
    assert.equal((await host.render({ items: [smallItem()] })).length, 1);
  } finally {
    await host.close();
  }
}

/** After this its snapshot is known to be good. */
async function restoreOnce(place: SnapshotPlace): Promise<void> {
  await using host = place.host();
  assert.equal((await host.ready()).start, 'restored');
  await until('the next restore may begin early', async () => {
    return (await place.store.lastGood(place.engine)) !== undefined;
  });
}

/** Why a snapshot was set aside. */
async function setAside(place: SnapshotPlace): Promise<string[]> {
  return (await place.store.list())
    .filter(({ isSetAside }) => isSetAside)
    .map(({ problem }) => problem ?? '');
}

describe('snapshots', () => {
  let original: SnapshotPlace;
  let slot: string;
  let manifest: SnapshotManifest;
  const copy = (checkpoint = TINY_KLEIN) =>
    copyOfPlace(original, join(scratch, `copy-${copies++}`), checkpoint);
  const image = (place: SnapshotPlace, name: string) => join(place.folder, slot, 'images', name);
  const manifestOf = (place: SnapshotPlace) => join(place.folder, slot, 'manifest.json');
  async function changeManifest(
    place: SnapshotPlace,
    change: (manifest: SnapshotManifest) => void,
  ): Promise<void> {
    const changed = structuredClone(manifest);
    change(changed);
    await writeFile(manifestOf(place), JSON.stringify(changed));
  }

  before(async () => {
    if (NO_CRIU) return;
    original = snapshotPlace(join(scratch, 'original'), TINY_KLEIN);
    const created = await original.starter().create();
    assert.ok(created);
    ({ slot, manifest } = created);
  });

  snapshotTest('a manifest says what a snapshot is made of', () => {
    const { identity, mappedFiles, images } = manifest;
    assert.equal(identity.versions.node, process.versions.node);
    assert.match(identity.versions.onnxruntime, /^1\./);
    assert.ok(Object.keys(mappedFiles).some((file) => file.endsWith('libonnxruntime.so.1')));
    assert.ok(
      Object.keys(mappedFiles).some((file) => file.startsWith(TINY_KLEIN)) || manifest.memory.copiedBytes > 0,
    );
    assert.ok(Object.keys(images).includes('memory.img'));
    assert.ok(sizeOf(manifest) > 1e6);
  });

  snapshotTest(
    'where there is none yet, the engine starts fresh, and the next one is restored from what it left',
    async () => {
      const place = snapshotPlace(join(scratch, 'first'), TINY_KLEIN);
      const host = place.host();
      assert.equal((await host.ready()).start, 'fresh');
      assert.equal(host.starts.fallbacks.missing, 1);
      await until('a snapshot is there', async () => (await place.store.list()).length === 1);
      await host.close();
      await using next = place.host();
      assert.equal((await next.ready()).start, 'restored');
    },
  );

  const damages: [string, FallbackReason, RegExp, (place: SnapshotPlace) => Promise<void>][] = [
    [
      'a truncated image',
      'damaged',
      /image memory\.img is not/,
      (place) => truncate(image(place, 'memory.img'), 100_000),
    ],
    [
      'an image with one flipped byte',
      'damaged',
      /image pages-1\.img is not/,
      (place) => flipByte(image(place, 'pages-1.img')),
    ],
    [
      'a corrupted map of its memory',
      'damaged',
      /image mm-1\.img is not/,
      (place) => flipByte(image(place, 'mm-1.img')),
    ],
    ['a missing image', 'damaged', /image files\.img is not/, (place) => rm(image(place, 'files.img'))],
    [
      'no images',
      'damaged',
      /can't be read/,
      (place) => rm(join(place.folder, slot, 'images'), { recursive: true }),
    ],
    ['half a manifest', 'damaged', /manifest is not one/, (place) => truncate(manifestOf(place), 700)],
    ['no manifest', 'damaged', /manifest can't be read/, (place) => rm(manifestOf(place))],
    [
      'a manifest of another format',
      'damaged',
      /manifest is not one/,
      (place) => changeManifest(place, (m) => Object.assign(m, { format: 2 })),
    ],
    [
      'images that others may write to',
      'damaged',
      /only its owner/,
      (place) => chmod(join(place.folder, slot, 'images'), 0o777),
    ],
    [
      "another machine's CPU",
      'foreign',
      /cpu was/,
      (place) => changeManifest(place, (m) => Object.assign(m.identity.cpu, { flags: 'fpu sse2' })),
    ],
    [
      'another kernel',
      'foreign',
      /kernel was 2\.6/,
      (place) => changeManifest(place, (m) => Object.assign(m.identity, { kernel: '2.6.32' })),
    ],
    [
      'another version of Node',
      'stale',
      /versions was/,
      (place) => changeManifest(place, (m) => Object.assign(m.identity.versions, { node: '18.0.0' })),
    ],
    [
      'other code',
      'stale',
      /codeDigest was/,
      (place) => changeManifest(place, (m) => Object.assign(m.identity, { codeDigest: '0'.repeat(64) })),
    ],
    [
      'an environment that is different now',
      'stale',
      /environment was/,
      (place) =>
        changeManifest(place, (m) => Object.assign(m.identity.environment, { CUDA_VISIBLE_DEVICES: '1' })),
    ],
    [
      'a library that was replaced',
      'stale',
      /not what the engine had mapped/,
      (place) =>
        changeManifest(place, (m) =>
          Object.assign(m.mappedFiles[Object.keys(m.mappedFiles)[0] ?? ''] ?? {}, { sha256: 'f'.repeat(64) }),
        ),
    ],
  ];
  for (const [what, reason, problem, damage] of damages) {
    for (const [when, isUsed] of [
      ['', false],
      [', though it was good the last time', true],
    ] as const) {
      snapshotTest(
        `one with ${what} is set aside as ${reason}, and the engine starts fresh${when}`,
        async () => {
          const place = await copy();
          if (isUsed) await restoreOnce(place);
          await damage(place);
          await startsFresh(place, reason);
          assert.equal(await place.store.lastGood(place.engine), undefined);
          const problems = await setAside(place);
          assert.equal(problems.length, 1, problems.join());
          assert.match(problems[0] ?? '', problem);
          assert.ok(problems[0]?.startsWith(reason));
        },
      );
    }
  }

  snapshotTest('what was good the last time is restored while it is checked', async () => {
    const place = await copy();
    assert.equal(await place.store.lastGood(place.engine), undefined);
    await restoreOnce(place);
    assert.equal((await place.store.lastGood(place.engine))?.slot, slot);
    const lines: string[] = [];
    const log = pino({ level: 'debug' }, { write: (line) => lines.push(line) });
    const restored = await place.starter({ log }).restore();
    await restored.process.kill();
    assert.ok(
      lines.some((line) => /"isEarly":true/.test(line)),
      lines.join(''),
    );
  });

  snapshotTest('one that is given up while it is restored leaves no process behind', async () => {
    const place = await copy();
    for (let pauseMs = 0; pauseMs < 60; pauseMs += 3) {
      const process = await RestoredProcess.prepare({ criu, ...place.store.placeOf(slot), log: silent });
      process.begin();
      await sleep(pauseMs);
      await process.kill();
      // CRIU has its folder in its command, and an engine its caches.
      const isLeft = (command: string) =>
        command.includes(process.folder) || command.includes(original.cacheFolder);
      await until(
        `nothing is left of a restore that was given up after ${pauseMs} ms`,
        async () => !(await commands()).some(isLeft),
        10_000,
      );
    }
  });

  snapshotTest('images that were touched since are checked before they are restored', async () => {
    const place = await copy();
    await restoreOnce(place);
    await flipByte(image(place, 'pages-1.img'));
    assert.equal(await place.store.lastGood(place.engine), undefined);
  });

  snapshotTest('of another kind of engine nothing is known', async () => {
    const place = await copy();
    await restoreOnce(place);
    assert.equal(await place.store.lastGood({ ...place.engine, threads: 1 }), undefined);
  });

  snapshotTest('a restore that begins early and fails is not begun early again', async () => {
    const place = await copy();
    await restoreOnce(place);
    const failing = join(scratch, 'early-failing-criu');
    await writeFile(failing, '#!/bin/sh\nexit 3\n', { mode: 0o755 });
    await startsFresh(place, 'failed', { criu: { program: failing, version: '4.1' } });
    assert.equal(await place.store.lastGood(place.engine), undefined);
    await restoreOnce(place);
  });

  snapshotTest('one of a model that has changed since is stale', async () => {
    const checkpoint = join(scratch, 'changing');
    await cp(TINY_KLEIN, checkpoint, { recursive: true });
    const place = snapshotPlace(join(scratch, 'changing-cache'), checkpoint);
    assert.ok(await place.starter().create());
    await restoreOnce(place);
    await appendFile(join(checkpoint, 'generation.json'), '\n');
    await startsFresh(place, 'stale');
    assert.match((await setAside(place))[0] ?? '', /modelDigest was/);
  });

  snapshotTest('verify reads everything, and says what is damaged', async () => {
    const place = await copy();
    await flipByte(image(place, 'memory.img'));
    await assert.rejects(place.store.verify(slot), (error: unknown) => {
      assert.ok(error instanceof Unusable && error.reason === 'damaged');
      assert.match(error.message, /image memory\.img: expected SHA-256/);
      return true;
    });
    assert.ok(await original.store.verify(slot));
  });

  snapshotTest(
    'a restore that does not answer within its deadline is killed, and the engine starts fresh',
    async () => {
      const place = await copy();
      const slow = join(scratch, 'slow-criu');
      await writeFile(slow, '#!/bin/sh\n: > "$0.ran"\nsleep 600\nexit\n', { mode: 0o755 });
      await startsFresh(place, 'timeout', { criu: { program: slow, version: '4.1' }, restoreTimeoutMs: 700 });
      await access(`${slow}.ran`);
      assert.deepEqual(processesLike(new RegExp(slow)), []);
    },
  );

  snapshotTest('an engine that is restored but never answers is killed too', async () => {
    const place = await copy();
    const stopping = join(scratch, 'stopping-criu');
    // The engine stands still from its first moment on.
    await writeFile(stopping, `#!/bin/sh\nexec '${criu.program}' "$@" --leave-stopped\n`, { mode: 0o755 });
    await startsFresh(place, 'timeout', {
      criu: { program: stopping, version: criu.version },
      restoreTimeoutMs: 1500,
    });
  });

  snapshotTest(
    `after ${MOST_FAILURES} restores that failed it is disabled until it is made anew`,
    async () => {
      const place = await copy();
      const failing = join(scratch, 'failing-criu');
      await writeFile(failing, '#!/bin/sh\necho "no luck today" >&2\nexit 3\n', { mode: 0o755 });
      const broken = { criu: { program: failing, version: '4.1' } };
      for (let attempt = 0; attempt < MOST_FAILURES; attempt++) await startsFresh(place, 'failed', broken);
      await startsFresh(place, 'disabled');
      const [listed] = await place.store.list();
      assert.match(listed?.problem ?? '', /disabled: .*no luck today/s);

      assert.ok(await place.starter().create({ replace: true }));
      await using host = place.host();
      assert.equal((await host.ready()).start, 'restored');
    },
  );

  snapshotTest('a restore that succeeds makes earlier failures forgotten', async () => {
    const place = await copy();
    await place.store.learn(slot, manifest.id, () => ({
      failures: MOST_FAILURES - 1,
      lastFailure: 'bad luck',
    }));
    const host = place.host();
    assert.equal((await host.ready()).start, 'restored');
    await until('it is forgotten', async () => (await place.store.open(slot)).experience.failures === 0);
    await host.close();
  });

  snapshotTest('what workers learn of one at the same time is all kept', async () => {
    const place = await copy();
    const stores = Array.from({ length: 12 }, () =>
      openSnapshotStore({ cacheFolder: place.cacheFolder, log: silent }),
    );
    await Promise.all(
      stores.map((store, number) =>
        store.learn(slot, manifest.id, ({ failures }) => ({
          failures: failures + 1,
          ...(number === 5 && { usedAt: '2026-11-25T00:00:00.000Z' }),
        })),
      ),
    );
    const [listed] = await place.store.list();
    assert.equal(listed?.experience?.failures, stores.length);
    assert.equal(listed?.experience?.usedAt, '2026-11-25T00:00:00.000Z');
  });

  snapshotTest('digests that workers learn at the same time are all kept', async () => {
    const folder = join(scratch, 'digests');
    await mkdir(folder);
    const names = Array.from({ length: 8 }, (_, number) => join(folder, `file-${number}`));
    for (const name of names) await writeFile(name, name);
    const memory = join(folder, 'state', 'file-digests.json');
    await Promise.all(
      names.map(async (name) => {
        const digests = new FileDigests(memory);
        await digests.facts(name);
        await digests.remember();
      }),
    );
    assert.equal(Object.keys(JSON.parse(await readFile(memory, 'utf8'))).length, names.length);
  });

  snapshotTest('a worker that stands still while it keeps digests stops no other one', async () => {
    const folder = join(scratch, 'stuck');
    const memory = join(folder, 'state', 'file-digests.json');
    await mkdir(folder);
    await writeFile(join(folder, 'file'), 'of any kind');
    const digests = new FileDigests(memory);
    await digests.facts(join(folder, 'file'));
    await withLock(join(folder, 'state', 'locks', 'file-digests.json'), () => digests.remember());
    await assert.rejects(readFile(memory), { code: 'ENOENT' });
  });

  snapshotTest('two that make it at the same time make one', async () => {
    const place = snapshotPlace(join(scratch, 'two'), TINY_KLEIN);
    const [one, other] = await Promise.all([
      place.starter().create({ wait: true }),
      place.starter().create({ wait: true }),
    ]);
    assert.ok(one && other);
    assert.equal(one.manifest.id, other.manifest.id);
    assert.equal((await place.store.list()).length, 1);

    // Who would have to wait, and must not, makes none.
    const [third, fourth] = await Promise.all([
      place.starter().create({ replace: true }),
      place.starter().create({ replace: true }),
    ]);
    assert.equal([third, fourth].filter((made) => made === undefined).length, 1);
  });

  snapshotTest(
    'what a maker that was killed has left is no snapshot, and the next one removes it',
    async () => {
      const place = await copy();
      await rename(join(place.folder, slot), join(place.folder, `.tmp-${slot}.dead`));
      assert.deepEqual(await place.store.list(), []);
      assert.ok(await place.starter().create());
      assert.deepEqual((await readdir(place.folder)).sort(), [slot, 'locks'].sort());
    },
  );

  snapshotTest('a capture that is given up ends its engine and leaves nothing', async () => {
    const place = snapshotPlace(join(scratch, 'given-up'), TINY_KLEIN);
    const abort = new AbortController();
    const making = place.starter().create({ signal: abort.signal });
    const engines = async () =>
      (await engineProcesses()).filter((command) => command.includes(place.cacheFolder));
    await until('the engine runs', async () => (await engines()).length === 1);
    abort.abort(new Error('enough'));
    await assert.rejects(making, /enough/);
    assert.deepEqual(await readdir(place.folder), ['locks']);
    assert.deepEqual(await engines(), []);
  });

  snapshotTest(
    'what CRIU writes after it has ended the engine holds nothing up, and stays nowhere',
    async () => {
      const place = snapshotPlace(join(scratch, 'late'), TINY_KLEIN);
      const late = join(scratch, 'late-criu');
      const script = [
        `'${criu.program}' "$@"; code=$?`,
        'while [ "$1" != --work-dir ]; do shift; done',
        // Where its statistics go.
        'mkdir -p "$2" && cd "$2" && for i in $(seq 2000); do : >stats-dump; done',
        'exit $code',
      ];
      await writeFile(late, `#!/bin/sh\n${script.join('\n')}\n`, { mode: 0o755 });
      assert.ok(await place.starter({ criu: { program: late, version: criu.version } }).create());
      assert.deepEqual(
        (await readdir('/dev/shm')).filter((name) => foldersOf(process.pid).test(name)),
        [],
      );
      const images = await readdir(join(place.folder, (await place.store.list())[0]?.slot ?? '', 'images'));
      assert.deepEqual(
        images.filter((name) => !name.endsWith('.img')),
        [],
      );
      await restoreOnce(place);
    },
  );

  const needs = { skip: NO_CRIU || NO_SMALL_DISK };
  test(
    'a snapshot on a read-only volume is used, and where it is of no use this host remembers why',
    needs,
    async () => {
      const place = await copy();
      const volume = join(scratch, 'volume');
      await mkdir(volume);
      await cp(place.folder, volume, { recursive: true });
      assert.equal(spawnSync('mount', ['--bind', volume, volume]).status, 0);
      try {
        assert.equal(spawnSync('mount', ['-o', 'remount,bind,ro', volume]).status, 0);
        const host = place.host({ snapshotFolder: volume });
        assert.equal((await host.ready()).start, 'restored');
        await host.close();

        spawnSync('mount', ['-o', 'remount,bind,rw', volume]);
        await flipByte(join(volume, slot, 'images', 'memory.img'));
        spawnSync('mount', ['-o', 'remount,bind,ro', volume]);
        await startsFresh(place, 'damaged', { snapshotFolder: volume });
        await startsFresh(place, 'damaged', { snapshotFolder: volume });
      } finally {
        spawnSync('umount', ['-l', volume]);
      }
    },
  );

  snapshotTest(
    'old ones and those that are too much are pruned, but not one that a living engine came from',
    async () => {
      const place = await copy();
      await using host = place.host();
      assert.equal((await host.ready()).start, 'restored');
      assert.deepEqual(await place.store.prune({ maxBytes: 0 }), []);
      assert.deepEqual(await place.store.prune({ maxAgeMs: 3_600_000, maxBytes: 1e12 }), []);
      await host.close();
      // Not before the kernel has taken its lock back.
      await until('it is removed', async () => (await place.store.prune({ maxAgeMs: 0 })).length === 1);
      assert.deepEqual(await place.store.list(), []);
    },
  );

  snapshotTest('pruning forgets what was learned of a snapshot, but nothing of the next one', async () => {
    const place = await copy();
    const known = join(place.cacheFolder, 'snapshot-state', `${slot}.json`);
    await place.store.learn(slot, manifest.id, () => ({ failures: 1 }));
    await cp(join(place.folder, slot), join(scratch, 'next'), { recursive: true });
    let pruned: Promise<unknown> | undefined;
    await withLock(join(place.cacheFolder, 'snapshot-state', 'locks', slot), async () => {
      pruned = place.store.prune({ maxBytes: 0 });
      await until('it is gone', () => !existsSync(join(place.folder, slot)));
      // As another process would, that has made one and learned of it.
      await rename(join(scratch, 'next'), join(place.folder, slot));
    });
    await pruned;
    await access(known);
    await place.store.prune({ maxBytes: 0 });
    await assert.rejects(access(known), { code: 'ENOENT' });
  });

  snapshotTest('what is set aside is the first to be pruned for size', async () => {
    const place = await copy();
    await cp(join(place.folder, slot), join(scratch, 'spare'), { recursive: true });
    await place.store.setAside(slot, new Unusable('damaged', 'for a test'));
    await rename(join(scratch, 'spare'), join(place.folder, slot));
    const removed = await place.store.prune({ maxBytes: sizeOf(manifest) + 100_000 });
    assert.deepEqual(
      removed.map(({ isSetAside }) => isSetAside),
      [true],
    );
    assert.equal((await place.store.open(slot)).manifest.id, manifest.id);
  });

  snapshotTest('auto restores only what it has measured to be faster', async () => {
    const place = await copy();
    const host = place.host({ start: 'auto' });
    assert.equal((await host.ready()).start, 'fresh');
    assert.equal(host.starts.fallbacks.unmeasured, 1);
    await until(
      'both are measured',
      async () => (await place.store.open(slot)).experience.measured !== undefined,
    );
    await host.close();

    const at = new Date().toISOString();
    await place.store.learn(slot, manifest.id, () => ({ measured: { freshMs: 900, restoredMs: 300, at } }));
    await using faster = place.host({ start: 'auto' });
    assert.equal((await faster.ready()).start, 'restored');
    await until(
      'its use is noted',
      async () => (await place.store.open(slot)).experience.usedAt !== undefined,
    );
    await place.store.learn(slot, manifest.id, () => ({ measured: { freshMs: 300, restoredMs: 900, at } }));
    await startsFresh(place, 'slower', { start: 'auto' });
  });

  snapshotTest('where CRIU is gone since it was found, the engine starts fresh', async () => {
    const place = await copy();
    const nowhere = { program: join(scratch, 'no-such-criu'), version: '4.1' };
    await startsFresh(place, 'failed', { criu: nowhere });
  });

  snapshotTest('a machine without CRIU starts fresh and says so', async () => {
    const place = await copy();
    const path = process.env.PATH;
    const host = snapshotPlace(place.cacheFolder, TINY_KLEIN).starter({ criu: undefined as never });
    process.env.PATH = '/nowhere';
    try {
      await assert.rejects(host.restore(), (error: unknown) => {
        assert.ok(error instanceof Unusable && error.reason === 'unsupported', String(error));
        assert.match(error.message, /doctor/);
        return true;
      });
    } finally {
      process.env.PATH = path;
    }
  });

  snapshotTest('a pruner that dies leaves its lock to the kernel', async () => {
    const place = await copy();
    const lock = join(place.folder, 'locks', `${slot}.make`);
    await mkdir(join(place.folder, 'locks'), { recursive: true });
    const holder = spawn(
      'flock',
      ['--exclusive', '--no-fork', lock, 'sh', '-c', 'echo locked; exec sleep 600'],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    await once(holder.stdout, 'data');
    assert.equal(await place.starter().create({ replace: true }), undefined);
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    assert.ok(await place.starter().create({ replace: true, wait: true }));
  });
});

/** Of all processes. */
async function commands(): Promise<string[]> {
  const numbers = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  return Promise.all(numbers.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')));
}

/** The commands of all engines that are to be captured. */
async function engineProcesses(): Promise<string[]> {
  return (await commands()).filter(
    (command) => command.startsWith(process.execPath) && command.includes('"capture":true'),
  );
}

async function flipByte(path: string): Promise<void> {
  const file = await open(path, 'r+');
  try {
    const { size } = await file.stat();
    const byte = Buffer.alloc(1);
    const at = size >> 1;
    await file.read(byte, 0, 1, at);
    byte[0] = (byte[0] as number) ^ 0xff;
    await file.write(byte, 0, 1, at);
  } finally {
    await file.close();
  }
}
