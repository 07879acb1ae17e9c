import { readFileSync } from 'node:fs';
import { cp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import { z } from 'zod';
import { EngineConnection } from '../../src/gpu/host/engine-connection.js';
import { FreshProcess } from '../../src/gpu/host/engine-process.js';
import { ensureKeeper } from '../../src/gpu/host/keeper-process.js';
import { programUrl } from '../../src/gpu/programs/places.js';
import { gpuIndexOf } from '../../src/gpu/runtime/gpu-index.js';
import type { Criu } from '../../src/gpu/snapshot/criu.js';
import type { EngineDescription } from '../../src/gpu/snapshot/identity.js';
import { SnapshotStarter } from '../../src/gpu/snapshot/starter.js';
import { openSnapshotStore } from '../../src/gpu/snapshot/store.js';
import { DRY_PROGRAMS, dryKeeper, type Engines } from './engines.js';
import { itemsOf } from './lab.js';
import type { Start } from './results.js';
import { TRACED_FILE, type Traced, type TracedSpan, WRITE_MS } from './traced.js';

const PROGRAM = fileURLToPath(new URL('traced-process.js', import.meta.url));
const PATIENCE_MS = 60_000;

const TracedLine: z.ZodType<TracedSpan> = z.object({
  who: z.enum(['engine', 'keeper']),
  name: z.string(),
  from: z.number(),
  to: z.number(),
  bytes: z.number().exactOptional(),
});

export interface TracedStartOptions {
  readonly engine: EngineDescription;
  readonly size: number;
  readonly log: Logger;
  /** Whose keeper starts too. Default: there is none. */
  readonly engines?: Engines;
  /** What the engine is restored with. Default: it starts fresh. */
  readonly criu?: Criu | undefined;
  /** Default: false. */
  readonly isDry?: boolean;
}

/**
 * One start as a worker's, of an engine, and of a keeper beside it, each telling what it does when. It has a cache
 * folder of its own, so that nobody else is restored from engines that write things down.
 */
export async function tracedStart(options: TracedStartOptions): Promise<Start> {
  const { engines, criu, size, isDry = false, log } = options;
  const cacheFolder = await cacheCopy(options.engine.cacheFolder, 'traced');
  const engine = { ...options.engine, cacheFolder };
  const file = join(cacheFolder, 'spans.jsonl');
  const traced: Traced = {
    file,
    engine: isDry ? new URL(`file://${DRY_PROGRAMS.engine}`).href : programUrl('engine').href,
    keeper: isDry ? new URL(`file://${dryKeeper().file}`).href : programUrl('keeper').href,
  };
  await writeFile(join(cacheFolder, TRACED_FILE), JSON.stringify(traced));
  const restoring: Start['spans'] = [];
  const programs = { engine: PROGRAM, ...(isDry && { helper: DRY_PROGRAMS.helper }) };
  let last = Date.now();
  const stage = (name: string) => {
    const now = Date.now();
    restoring.push({ name: `restore ${name}`, from: last, to: now });
    last = now;
  };
  const starter =
    criu &&
    new SnapshotStarter({
      ...{ mode: 'snapshot', engine, criu, programs, log, restoreTimeoutMs: PATIENCE_MS },
      store: openSnapshotStore({ cacheFolder, log }),
      capture: { warmUps: () => itemsOf(size, 1) },
      onStage: (name) => stage(name === 'running' ? 'CRIU' : name),
    });
  await starter?.create({ replace: true });

  const start = async (): Promise<{ began: number; ended: number }> => {
    await engines?.endKeeper();
    await writeFile(file, '');
    restoring.length = 0;
    const began = Date.now();
    last = began;
    const place = engines?.place;
    const index = gpuIndexOf(engine.device) ?? 0;
    const { checkpoint, model } = engine;
    const keeper =
      place &&
      ensureKeeper({
        ...{ place, index, logLevel: 'info', prepare: { checkpoint, model, cacheFolder } },
        program: { file: PROGRAM, rest: isDry ? dryKeeper().rest : [] },
      });
    const atKeeper = place && { keeper: place.socket };
    const process = starter
      ? (await starter.restore({ ...atKeeper })).process
      : await FreshProcess.spawn({
          arguments: { ...engine, ...atKeeper, logLevel: 'warn' },
          program: PROGRAM,
          log,
        });
    try {
      const connection = await EngineConnection.greet(process, performance.now() + PATIENCE_MS, {
        ...{ stallMs: PATIENCE_MS, cancelGraceMs: PATIENCE_MS, onLost: () => {} },
      });
      if (starter) stage('greeting');
      await connection.render({ items: itemsOf(size, 1) });
      const ended = Date.now();
      await keeper;
      await sleep(2 * WRITE_MS);
      return { began, ended };
    } finally {
      await process.kill();
      await engines?.endKeeper();
    }
  };
  // The first restore reads and checks what later ones know.
  if (starter) await start();
  const { began, ended } = await start();
  const told = readFileSync(file, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => TracedLine.parse(JSON.parse(line)));
  const spans = told
    .map(({ who, ...span }) => ({ ...span, name: rowedName({ who, ...span }) }))
    .concat(restoring)
    .filter(({ to }) => to >= began)
    .map((span) => ({ ...span, from: Math.max(0, span.from - began), to: span.to - began }));
  return { size, firstPictureMs: ended - began, spans };
}

/** Rows of their own in the picture. */
function rowedName({ who, name }: TracedSpan): string {
  if (who === 'engine') return name === 'keeper' ? 'keeper lends' : name;
  const [kind, component] = name.split(' ');
  return kind === 'read' || kind === 'copy' ? `keeper-${kind} ${component}` : `keeper-process ${name}`;
}

/** What is known of the checkpoint, without snapshots, for engines whose snapshots are others'. */
export async function cacheCopy(folder: string, name: string): Promise<string> {
  const copy = `${folder}-${name}`;
  await rm(copy, { recursive: true, force: true });
  await cp(folder, copy, {
    recursive: true,
    filter: (path) => !/\/(snapshots|snapshot-state|locks)$/.test(path),
  });
  return copy;
}
