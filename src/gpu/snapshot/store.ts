import { createHash, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { access, constants, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { release } from 'node:os';
import { dirname, join } from 'node:path';
import type { Logger } from 'pino';
import { z } from 'zod';
import { ONCE } from '../../contract/parse-once.js';
import { syncFolder, writeAtomically } from '../../storage/atomic-write.js';
import { errorCode } from '../../storage/file-error.js';
import { makeFolder } from '../../storage/make-folder.js';
import { fileDigest } from '../checkpoint/file-digest.js';
import { IMAGES } from './capture.js';
import { FileDigests, STATE_LOCK_S, signature } from './file-digests.js';
import { differenceOf, type EngineDescription } from './identity.js';
import { withLock } from './lock.js';
import { type SnapshotIdentity, SnapshotManifest } from './manifest.js';
import { FALLBACK_REASONS, Unusable } from './unusable.js';

/** What this host has learned of a snapshot. It lies outside of it: a snapshot may be on a read-only volume. */
const Experience = z.object({
  id: z.string(),
  /** Restores that failed since the last one that did not. */
  failures: z.int().nonnegative().default(0),
  lastFailure: z.string().optional(),
  /** Why it must not be used, where it could not be set aside. */
  rejected: z.object({ reason: z.enum(FALLBACK_REASONS), message: z.string() }).optional(),
  usedAt: z.iso.datetime().optional(),
  /** From the start of a process to its first picture, in milliseconds. */
  measured: z.object({ freshMs: z.number(), restoredMs: z.number(), at: z.iso.datetime() }).optional(),
});
export type Experience = z.infer<typeof Experience>;

/** So many restores in a row must fail until nobody tries any more. */
export const MOST_FAILURES = 3;

export interface Snapshot {
  readonly slot: string;
  readonly folder: string;
  readonly images: string;
  readonly manifest: SnapshotManifest;
  readonly experience: Experience;
}

/** Where a snapshot and its images are. */
export interface SnapshotPlace {
  readonly snapshot: string;
  readonly images: string;
}

/** The snapshot that an engine was last restored from on this host, and the signatures that its images had. */
const LastGood = z.object({ slot: z.string(), images: z.record(z.string(), z.string()) });

export interface ListedSnapshot {
  readonly slot: string;
  readonly folder: string;
  readonly bytes: number;
  readonly manifest?: SnapshotManifest;
  readonly experience?: Experience;
  /** Why it is of no use, where that is plain to see. */
  readonly problem?: string;
  readonly isSetAside: boolean;
}

export interface PruneOptions {
  /** Milliseconds since it was last used, or captured. */
  readonly maxAgeMs?: number;
  /** Of all snapshots together; those that were not used for longest go first. */
  readonly maxBytes?: number;
}

export interface SnapshotStoreOptions {
  /** Where snapshots are; may be read-only, then none is made. */
  readonly folder: string;
  /** This host's own: what it has learned of them, and its locks. */
  readonly stateFolder: string;
  readonly log: Logger;
}

const MANIFEST = 'manifest.json';
const SET_ASIDE = 'set-aside';
const LOCKS = 'locks';
const LAST_GOOD = 'last-good';
/** How folders that are being made or removed begin. */
const TEMPORARY = '.tmp-';

/** Snapshots on a disk, used by many workers of a host, or of many hosts. */
export class SnapshotStore {
  readonly digests: FileDigests;

  constructor(private readonly options: SnapshotStoreOptions) {
    this.digests = new FileDigests(join(options.stateFolder, 'file-digests.json'));
  }

  /** Where a snapshot is, whether or not it is one. @throws Unusable: missing */
  placeOf(slot: string): SnapshotPlace {
    const snapshot = join(this.options.folder, slot);
    if (!existsSync(snapshot)) throw new Unusable('missing', 'there is none yet');
    return { snapshot, images: join(snapshot, IMAGES) };
  }

  /** Whether there may be a snapshot of that model: for most who have none, all that must be looked at. */
  async hasAny(model: string): Promise<boolean> {
    return (await this.#slots()).some((slot) => slot.startsWith(`${model}-`));
  }

  /**
   * The snapshot that such an engine was last restored from here, if nobody has touched its images since: a restore
   * may begin with it while it is still being checked. It is no substitute for the check.
   */
  async lastGood(
    engine: EngineDescription,
  ): Promise<(SnapshotPlace & { readonly slot: string }) | undefined> {
    try {
      const text = await readFile(this.#lastGoodFile(engine), 'utf8');
      const { slot, images } = LastGood.parse(JSON.parse(text), ONCE);
      const place = this.placeOf(slot);
      await requireOwn(place.snapshot);
      const isSame = ([name, key]: [string, string]) => signature(join(place.images, name)).key === key;
      return Object.entries(images).every(isSame) ? { slot, ...place } : undefined;
    } catch {
      return undefined;
    }
  }

  /** Never throws: it only saves time. */
  async keepLastGood(engine: EngineDescription, { slot, images, manifest }: Snapshot): Promise<void> {
    try {
      const keys = Object.keys(manifest.images).map((name) => [name, signature(join(images, name)).key]);
      const text = JSON.stringify({ slot, images: Object.fromEntries(keys) } satisfies z.infer<
        typeof LastGood
      >);
      const file = this.#lastGoodFile(engine);
      await mkdir(dirname(file), { recursive: true, mode: 0o700 });
      await writeAtomically(file, Buffer.from(text), { durable: false, mode: 0o600 });
    } catch (error) {
      this.options.log.debug({ err: error, slot }, 'the next restore begins after its check');
    }
  }

  async forgetLastGood(engine: EngineDescription): Promise<void> {
    await rm(this.#lastGoodFile(engine), { force: true }).catch(() => {});
  }

  /** @throws Unusable: missing, damaged, disabled, or rejected before */
  async open(slot: string): Promise<Snapshot> {
    const folder = join(this.options.folder, slot);
    const manifest = await this.#manifestIn(folder);
    const experience = await this.#experienceOf(slot, manifest.id);
    const { rejected, failures, lastFailure } = experience;
    if (rejected) throw new Unusable(rejected.reason, rejected.message);
    if (failures >= MOST_FAILURES) {
      throw new Unusable(
        'disabled',
        `it has failed ${failures} times, the last time: ${lastFailure ?? 'unknown'}`,
      );
    }
    return { slot, folder, images: join(folder, IMAGES), manifest, experience };
  }

  /**
   * Checks all that a restore depends on. Contents are read only where a file changed since this host last read it.
   * @throws Unusable: stale, foreign, damaged
   */
  async check({ images, manifest }: Snapshot, identity: SnapshotIdentity): Promise<void> {
    const difference = differenceOf(manifest.identity, identity);
    if (difference) throw new Unusable(difference.kind, difference.message);
    for (const [name, expected] of Object.entries(manifest.images)) {
      if (!(await this.#isStill(join(images, name), expected))) {
        throw new Unusable('damaged', `image ${name} is not what was captured`);
      }
    }
    for (const [file, expected] of Object.entries(manifest.mappedFiles)) {
      if (!(await this.#isStill(file, expected)))
        throw new Unusable('stale', `${file} is not what the engine had mapped`);
    }
    await this.digests.remember();
  }

  /** Reads everything, whatever is remembered. @throws Unusable */
  async verify(slot: string): Promise<SnapshotManifest> {
    const folder = join(this.options.folder, slot);
    const manifest = await this.#manifestIn(folder);
    for (const [name, { bytes, sha256 }] of Object.entries(manifest.images)) {
      const path = join(folder, IMAGES, name);
      const size = await stat(path).then(
        (stats) => stats.size,
        () => undefined,
      );
      if (size !== bytes) {
        throw new Unusable(
          'damaged',
          `image ${name}: expected ${bytes} bytes, ${size === undefined ? 'it is gone' : `got ${size}`}`,
        );
      }
      const actual = await fileDigest(path);
      if (actual !== sha256)
        throw new Unusable('damaged', `image ${name}: expected SHA-256 ${sha256}, got ${actual}`);
    }
    return manifest;
  }

  /**
   * Moves a snapshot out of the way, with its reason, for whoever wants to know; on a read-only volume, this host
   * only remembers not to use it.
   */
  async setAside(slot: string, { reason, message }: Unusable): Promise<void> {
    const { folder, log } = this.options;
    log.warn({ slot, reason, problem: message }, 'snapshot set aside');
    const aside = join(folder, SET_ASIDE);
    try {
      await mkdir(aside, { recursive: true, mode: 0o700 });
      // One a slot is enough to find out what happened.
      for (const other of await readdir(aside)) {
        if (other.startsWith(`${slot}.`)) await rm(join(aside, other), { recursive: true, force: true });
      }
      const target = join(aside, `${slot}.${new Date().toISOString().replaceAll(':', '')}`);
      await rename(join(folder, slot), target);
      await writeFile(join(target, 'reason.json'), JSON.stringify({ reason, message }), { mode: 0o600 });
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return;
      log.warn({ err: error, slot }, 'snapshot can not be moved, this host will not use it');
      const manifest = await this.#manifestIn(join(folder, slot)).catch(() => undefined);
      await this.learn(slot, manifest?.id ?? 'unreadable', () => ({ rejected: { reason, message } }));
    }
  }

  /**
   * Adds to what this host knows of a snapshot. Never throws.
   * @param change what is new, given what is known, which nobody else changes meanwhile
   */
  async learn(
    slot: string,
    id: string,
    change: (known: Experience) => Partial<Omit<Experience, 'id'>>,
  ): Promise<void> {
    const { stateFolder, log } = this.options;
    const learn = async () => {
      const known = await this.#experienceOf(slot, id);
      const experience = Buffer.from(JSON.stringify({ ...known, ...change(known), id }));
      await writeAtomically(this.#experienceFile(slot), experience, { durable: false, mode: 0o600 });
    };
    try {
      await mkdir(stateFolder, { recursive: true, mode: 0o700 });
      await this.#withState(slot, learn);
    } catch (error) {
      log.warn({ err: error, slot }, 'what was learned of a snapshot can not be kept');
    }
  }

  /** Removes what is known of a snapshot that is gone. Never throws. */
  async #forget(slot: string): Promise<void> {
    const forget = async () => {
      // Another process may have made the next one, and learned of it.
      if (!existsSync(join(this.options.folder, slot))) await rm(this.#experienceFile(slot), { force: true });
    };
    await this.#withState(slot, forget).catch((error: unknown) =>
      this.options.log.warn({ err: error, slot }, 'what was learned of a snapshot can not be removed'),
    );
  }

  /** Changes what this host knows of a snapshot while nobody else does. */
  async #withState(slot: string, change: () => Promise<void>): Promise<void> {
    const changed = await withLock(join(this.options.stateFolder, LOCKS, slot), change, {
      wait: STATE_LOCK_S,
    });
    if (!changed) throw new Error(`another process has held the lock of ${slot} for ${STATE_LOCK_S} s`);
  }

  /**
   * Makes a snapshot while nobody else of this host makes the same one.
   * @param build writes the images into the folder that it is given
   * @param options `wait`: for another maker, whose snapshot is then the result; without, undefined is
   */
  async make(
    slot: string,
    build: (folder: string) => Promise<SnapshotManifest>,
    options: { readonly wait?: boolean; readonly replace?: boolean; readonly signal?: AbortSignal } = {},
  ): Promise<SnapshotManifest | undefined> {
    const { folder } = this.options;
    await makeFolder(folder);
    const lock = join(folder, LOCKS, `${slot}.make`);
    const made = await withLock(
      lock,
      async () => {
        const present = await this.#manifestIn(join(folder, slot)).catch(() => undefined);
        if (present && !options.replace) return present;
        await this.#removeTemporary(slot);
        const temporary = join(folder, `${TEMPORARY}${slot}.${randomUUID()}`);
        await mkdir(temporary, { mode: 0o700 });
        try {
          const manifest = await build(temporary);
          await writeAtomically(join(temporary, MANIFEST), Buffer.from(JSON.stringify(manifest, null, 1)), {
            mode: 0o600,
          });
          await this.#discard(slot);
          await rename(temporary, join(folder, slot));
          await syncFolder(folder);
          await this.digests.remember();
          return manifest;
        } catch (error) {
          await rm(temporary, { recursive: true, force: true });
          throw error;
        }
      },
      options,
    );
    return made?.value;
  }

  async isWritable(): Promise<boolean> {
    return makeFolder(this.options.folder)
      .then(() => access(this.options.folder, constants.W_OK))
      .then(
        () => true,
        () => false,
      );
  }

  async list(): Promise<ListedSnapshot[]> {
    const { folder } = this.options;
    const listed: ListedSnapshot[] = [];
    for (const slot of await this.#slots()) {
      const path = join(folder, slot);
      const common = { slot, folder: path, bytes: await folderBytes(path), isSetAside: false };
      try {
        const manifest = await this.#manifestIn(path);
        const experience = await this.#experienceOf(slot, manifest.id);
        const problem =
          experience.rejected?.message ??
          (experience.failures >= MOST_FAILURES
            ? `disabled: ${experience.lastFailure ?? 'failed too often'}`
            : undefined);
        listed.push({ ...common, manifest, experience, ...(problem !== undefined && { problem }) });
      } catch (error) {
        listed.push({ ...common, problem: error instanceof Error ? error.message : String(error) });
      }
    }
    const aside = join(folder, SET_ASIDE);
    for (const name of await readdir(aside).catch(() => [])) {
      const path = join(aside, name);
      const text = await readFile(join(path, 'reason.json'), 'utf8').catch(() => '{}');
      const { reason, message } = z
        .object({ reason: z.string(), message: z.string() })
        .partial()
        .parse(JSON.parse(text));
      const problem = `${reason ?? 'unknown'}: ${message ?? 'no reason was kept'}`;
      listed.push({ slot: name, folder: path, bytes: await folderBytes(path), isSetAside: true, problem });
    }
    return listed;
  }

  /** Removes what is too old or too much. What a living engine was restored from stays. @returns what was removed */
  async prune({
    maxAgeMs = Number.POSITIVE_INFINITY,
    maxBytes = Number.POSITIVE_INFINITY,
  }: PruneOptions): Promise<ListedSnapshot[]> {
    const now = Date.now();
    const removed: ListedSnapshot[] = [];
    const all = await Promise.all(
      (await this.list()).map(async (snapshot) => {
        const { experience, manifest } = snapshot;
        const known = experience?.usedAt ?? manifest?.capturedAt;
        return {
          snapshot,
          usedAt: known === undefined ? await modifiedAt(snapshot.folder) : Date.parse(known),
        };
      }),
    );
    // What is of no use is the first to go, then what was not used for longest.
    all.sort(
      (a, b) =>
        Number(b.snapshot.problem !== undefined) - Number(a.snapshot.problem !== undefined) ||
        a.usedAt - b.usedAt,
    );
    let bytes = all.reduce((sum, { snapshot }) => sum + snapshot.bytes, 0);
    for (const { snapshot, usedAt } of all) {
      if (now - usedAt <= maxAgeMs && bytes <= maxBytes) continue;
      if (!(await this.#removeUnused(snapshot.folder))) continue;
      bytes -= snapshot.bytes;
      removed.push(snapshot);
      if (!snapshot.isSetAside) await this.#forget(snapshot.slot);
    }
    return removed;
  }

  /** Whoever restores from it holds it locked, shared. */
  async #removeUnused(path: string): Promise<boolean> {
    const done = await withLockOfFolder(path, async () => {
      const trash = join(this.options.folder, `${TEMPORARY}trash.${randomUUID()}`);
      await rename(path, trash);
      await rm(trash, { recursive: true, force: true });
    });
    return done;
  }

  async #slots(): Promise<string[]> {
    const entries = await readdir(this.options.folder, { withFileTypes: true }).catch(() => []);
    const own = [SET_ASIDE, LOCKS];
    return entries
      .filter(
        (entry) => entry.isDirectory() && !own.includes(entry.name) && !entry.name.startsWith(TEMPORARY),
      )
      .map(({ name }) => name)
      .sort();
  }

  /** @throws Unusable */
  async #manifestIn(folder: string): Promise<SnapshotManifest> {
    const text = await readFile(join(folder, MANIFEST), 'utf8').catch(async (error: unknown) => {
      const isThere = await stat(folder).then(
        () => true,
        () => false,
      );
      throw isThere
        ? new Unusable('damaged', `its manifest can't be read [code=${errorCode(error)}]`, { cause: error })
        : new Unusable('missing', 'there is none yet', { cause: error });
    });
    await requireOwn(folder);
    try {
      return SnapshotManifest.parse(JSON.parse(text), ONCE);
    } catch (error) {
      const reason = error instanceof z.ZodError ? z.prettifyError(error) : String(error);
      throw new Unusable('damaged', `its manifest is not one: ${reason}`, { cause: error });
    }
  }

  async #isStill(file: string, expected: { bytes: number; sha256: string }): Promise<boolean> {
    return this.digests.matches(file, expected).catch(() => false);
  }

  #lastGoodFile({ checkpoint, model, device, threads }: EngineDescription): string {
    const key = JSON.stringify([this.options.folder, checkpoint, model, device, threads, release()]);
    const name = createHash('sha256').update(key).digest('hex').slice(0, 16);
    return join(this.options.stateFolder, LAST_GOOD, `${name}.json`);
  }

  #experienceFile(slot: string): string {
    return join(this.options.stateFolder, `${slot}.json`);
  }

  /** What was learned of another snapshot in the same slot says nothing of this one. */
  async #experienceOf(slot: string, id: string): Promise<Experience> {
    try {
      const known = Experience.parse(JSON.parse(await readFile(this.#experienceFile(slot), 'utf8')), ONCE);
      if (known.id === id) return known;
    } catch {
      // Nothing is known.
    }
    return { id, failures: 0 };
  }

  /** Nobody else makes this one now, so whoever began with these has died. */
  async #removeTemporary(slot: string): Promise<void> {
    const { folder } = this.options;
    for (const name of await readdir(folder)) {
      if (name.startsWith(`${TEMPORARY}${slot}.`))
        await rm(join(folder, name), { recursive: true, force: true });
    }
  }

  /** Engines that were restored from it keep what they have mapped. */
  async #discard(slot: string): Promise<void> {
    const { folder } = this.options;
    const trash = join(folder, `${TEMPORARY}${slot}.${randomUUID()}`);
    try {
      await rename(join(folder, slot), trash);
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return;
      throw error;
    }
    await rm(trash, { recursive: true, force: true });
  }
}

/** The store of a host whose caches are in `cacheFolder`; its snapshots are there too unless `folder` says otherwise. */
export function openSnapshotStore(options: {
  readonly cacheFolder: string;
  readonly folder?: string | undefined;
  readonly log: Logger;
}): SnapshotStore {
  const { cacheFolder, folder = join(cacheFolder, 'snapshots'), log } = options;
  return new SnapshotStore({ folder, stateFolder: join(cacheFolder, 'snapshot-state'), log });
}

/** An image becomes a process of ours, with our rights: nobody else may have been able to write it. */
async function requireOwn(folder: string): Promise<void> {
  for (const path of [folder, join(folder, IMAGES)]) {
    const { uid, mode } = await stat(path).catch((error: unknown) => {
      throw new Unusable('damaged', `${path} can't be read [code=${errorCode(error)}]`, { cause: error });
    });
    if (![0, process.getuid?.()].includes(uid) || (mode & 0o022) !== 0) {
      throw new Unusable(
        'damaged',
        `${path}: expected a folder that only its owner, root or this user, can write to [uid=${uid}, mode=${(mode & 0o777).toString(8)}]`,
      );
    }
  }
}

/** @returns whether the work was done; it is not while somebody uses the folder */
async function withLockOfFolder(folder: string, work: () => Promise<void>): Promise<boolean> {
  return (await withLock(folder, work)) !== undefined;
}

async function folderBytes(folder: string): Promise<number> {
  const names = await readdir(folder, { recursive: true }).catch(() => []);
  const sizes = names.map((name) =>
    stat(join(folder, name)).then(
      (stats) => (stats.isFile() ? stats.size : 0),
      () => 0,
    ),
  );
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

function modifiedAt(path: string): Promise<number> {
  return stat(path).then(({ mtimeMs }) => mtimeMs);
}
