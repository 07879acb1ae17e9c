import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { before, describe } from 'node:test';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { restoreCommand } from '../src/gpu/snapshot/criu.js';
import { foldersOf } from './support/engine.js';
import { EMOJI } from './support/references.js';
import { scratchFolder } from './support/scratch.js';
import { criu, NO_CRIU, type SnapshotPlace, snapshotPlace, snapshotTest } from './support/snapshots.js';
import { until } from './support/waiting.js';

const scratch = scratchFolder();
const RANDOM_DEATHS = 12;

describe('a host that is killed while it restores an engine', () => {
  let place: SnapshotPlace;
  before(async () => {
    if (NO_CRIU) return;
    place = snapshotPlace(join(scratch, 'cache'));
    await place.starter().create();
    // From now on restores begin before the snapshot is checked, as they do on every host but the first time.
    await using host = place.host();
    assert.equal((await host.ready()).start, 'restored');
  });

  /** Kills a host at that moment. @returns how long it has lived since it began, in milliseconds */
  async function killAt(
    what: string,
    moment: (host: Restoring) => Promise<unknown>,
  ): Promise<{ livedMs: number }> {
    const host = await Restoring.begin(place);
    const began = performance.now();
    await moment(host);
    const livedMs = performance.now() - began;
    await host.kill();
    await until(
      `nothing is left of a host that was killed ${what}`,
      () => host.processes().length === 0,
    ).catch((error: unknown) => {
      const left = host.processes();
      for (const { pid } of left) process.kill(pid, 'SIGKILL');
      throw new Error(`${left.map((one) => JSON.stringify(one)).join('\n')}`, { cause: error });
    });
    return { livedMs };
  }

  snapshotTest('leaves no process behind, whatever it was doing, and the next one restores', async () => {
    await killAt('when it had a folder', (host) => host.until(() => host.folder !== undefined));
    await killAt('when it had a process', (host) => host.until(() => host.processes().length > 0));
    await killAt('when CRIU began', (host) => host.until(() => host.has('restore.log')));
    await killAt('when CRIU made the engine', (host) => host.until(() => host.isInTheMaking()));
    await killAt('when the engine had its socket', (host) => host.until(() => host.has('engine.sock')));
    const { livedMs } = await killAt('when the engine was there', (host) => host.ready);

    const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
    const random = randomOf(seed);
    for (let round = 0; round < RANDOM_DEATHS; round++) {
      const afterMs = random() * livedMs;
      await killAt(
        `after ${afterMs.toFixed(1)} of ${livedMs.toFixed(0)} ms [seed=${seed}, round=${round}]`,
        () => setTimeout(afterMs),
      );
    }

    await using next = place.host();
    assert.equal((await next.ready()).start, 'restored');
    await until('the folders of the dead are gone', () =>
      readdirSync('/dev/shm').every((name) => !Restoring.isDeads(name)),
    );
  });
});

snapshotTest('nothing is restored for a host that has died before anybody could notice', async () => {
  const program = join(scratch, 'criu');
  await writeFile(program, '#!/bin/sh\n: >> "$0.ran"\n', { mode: 0o755 });
  await writeFile(join(scratch, 'memory.img'), '');
  const [unshare = '', ...rest] = restoreCommand({ program, version: '4.1' }, scratch, scratch);
  const restoreAs = async (command: string, ...args: string[]) => {
    const child = spawn(command, args, { stdio: ['pipe', 'ignore', 'inherit'] });
    child.stdin.on('error', () => {});
    child.stdin.end('\n');
    await once(child, 'close');
    return existsSync(`${program}.ran`);
  };
  assert.equal(await restoreAs('sh', '-c', '"$@"; exit', 'sh', unshare, ...rest), false, 'of somebody else');
  assert.equal(await restoreAs(unshare, ...rest), true, 'of its own host');
});

/** A host in a process of its own that restores an engine. */
class Restoring {
  static readonly #dead: RegExp[] = [];
  #isReady = false;
  /** Resolves when it has its engine. */
  readonly ready: Promise<void>;

  private constructor(
    private readonly child: ChildProcess,
    lines: AsyncIterator<string>,
  ) {
    this.ready = lines.next().then(({ value }) => {
      assert.equal(value, 'restored');
      this.#isReady = true;
    });
    this.ready.catch(() => {});
  }

  /** Resolves when it is about to restore. */
  static async begin({ cacheFolder }: SnapshotPlace): Promise<Restoring> {
    const child = spawn(
      process.execPath,
      ['--input-type=module', '-e', HOST, EMOJI, cacheFolder, JSON.stringify(criu)],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
    assert.equal((await lines.next()).value, 'begins');
    return new Restoring(child, lines);
  }

  static isDeads(folder: string): boolean {
    return Restoring.#dead.some((folders) => folders.test(folder));
  }

  async kill(): Promise<void> {
    Restoring.#dead.push(foldersOf(this.child.pid));
    const ended = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await ended;
  }

  /** Waits busily: what it waits for lasts a millisecond. A moment that was missed is over when the engine is there. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds() && !this.#isReady) await setImmediate();
  }

  /** The folder of its engine. */
  get folder(): string | undefined {
    const folders = foldersOf(this.child.pid);
    const name = readdirSync('/dev/shm').find((candidate) => folders.test(candidate));
    return name && join('/dev/shm', name);
  }

  has(file: string): boolean {
    const { folder } = this;
    return folder !== undefined && existsSync(join(folder, file));
  }

  /** Whether CRIU has begun to turn a process of its own into the engine. */
  isInTheMaking(): boolean {
    return this.processes().filter(({ command }) => command.startsWith(criu.program)).length > 1;
  }

  /**
   * All processes of its engine, CRIU's among them and those that are half an engine: they have the engine's folder in
   * their command, or as a mount.
   */
  processes(): { pid: number; command: string }[] {
    const name = `-${this.child.pid}-`;
    const isIts = (text: string) =>
      text.split(/[\s/]/).some((word) => word.includes(name) && foldersOf(this.child.pid).test(word));
    return readdirSync('/proc')
      .filter((entry) => /^\d+$/.test(entry) && Number(entry) !== this.child.pid)
      .flatMap((entry) => {
        try {
          const command = readFileSync(`/proc/${entry}/cmdline`, 'latin1').replaceAll('\0', ' ');
          // Those of zombies are empty.
          const mounts = readFileSync(`/proc/${entry}/mountinfo`, 'latin1');
          return isIts(command) || isIts(mounts) ? [{ pid: Number(entry), command }] : [];
        } catch {
          // It has just ended.
          return [];
        }
      });
  }
}

const HOST = `
import { createEngineHost } from '${new URL('../src/gpu/host.js', import.meta.url).href}';
import { pino } from '${new URL('../../node_modules/pino/pino.js', import.meta.url).href}';
const [checkpoint, cacheFolder, criu] = process.argv.slice(1);
const host = createEngineHost({ checkpoint, cacheFolder, model: 'emoji', device: 'cpu', threads: 2, start: 'snapshot', criu: JSON.parse(criu), log: pino({ level: 'silent' }) });
console.log('begins');
console.log((await host.ready()).start);
`;

/** Numbers from 0 to 1, the same for the same seed (a linear congruential generator). */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}
