import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { readdir, readFile, readlink } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Logger } from 'pino';
import { EngineStalled } from '../../contract/errors.js';
import type { EngineArguments } from '../engine/arguments.js';
import type { ParentMessage } from '../engine/protocol.js';
import { encodeFrame, readFrames } from '../frames.js';
import { EngineProcess, engineCommand, gpuEnvironment, guards } from '../host/engine-process.js';
import { dataLimit } from '../host/memory-limit.js';
import { oomKills } from '../host/oom-killer.js';
import type { Device } from '../runtime/session.js';
import {
  type Criu,
  capturableCommand,
  criuErrors,
  ENGINE_SOCKET,
  keepKernelNotes,
  makePrivateRun,
  RESTORE_ENVIRONMENT,
  removeEngineFolder,
  restoreCommand,
  type Seat,
} from './criu.js';
import { capturedEnvironment } from './identity.js';

const run = promisify(execFile);

export interface CapturableOptions {
  readonly criu: Criu;
  readonly arguments: Omit<EngineArguments, 'socket' | 'capture'>;
  /** What is run as the engine. Default: the engine. */
  readonly program?: string | undefined;
  readonly log: Logger;
}

/** An engine that is started to be captured. */
export class CapturableProcess extends EngineProcess {
  #pid: number | undefined;

  static async spawn(options: CapturableOptions): Promise<CapturableProcess> {
    const { criu, arguments: engine, program, log } = options;
    const folder = await makePrivateRun(criu);
    const command = engineCommand({ ...engine, socket: ENGINE_SOCKET, capture: true }, program);
    const child = spawnCommand(
      [...(await guards({})), ...capturableCommand(folder, command, seatOf(engine.device))],
      // LANG: no file of the user's locale has to be the same later.
      {
        ...capturedEnvironment(),
        LANG: 'C.UTF-8',
        ORT_DISABLE_TELEMETRY: '1',
        ...(engine.device !== 'cpu' && gpuEnvironment(engine.cacheFolder)),
        ...pathOnly(),
      },
      'ignore',
    );
    return new CapturableProcess(child, folder, await oomKills(), log, seatOf(engine.device));
  }

  private constructor(
    child: ChildProcess,
    folder: string,
    oomKillsBefore: number,
    log: Logger,
    private readonly seat: Seat,
  ) {
    super(child, folder, oomKillsBefore, log);
  }

  override get pid(): number | undefined {
    this.#pid ??= seated(this.child.pid, this.seat);
    return this.#pid;
  }

  protected override askToEnd(): void {
    this.child.kill('SIGKILL');
  }

  /** What it wrote went to a file: a pipe to us would be a connection that can't be captured. */
  protected override async beforeRemoval(folder: string): Promise<void> {
    // What we hold is its parent, which it outlives by a moment.
    while (this.#pid !== undefined && (await isAlive(this.#pid))) await setTimeout(ENDING_PAUSE_MS);
    const text = await readFile(join(folder, 'stderr'), 'utf8').catch(() => '');
    // util-linux 2.38 says this whenever its child has ended.
    this.hear(text.replace(/^unshare: sigprocmask unblock failed.*\n/m, ''));
  }
}

/** @param pid of the engine, as this process sees it */
export type TakeDevice = (pid: number, deadline: number) => Promise<void>;

export interface RestoreOptions {
  readonly criu: Criu;
  /** A snapshot's folder: locked, shared, while the engine lives. */
  readonly snapshot: string;
  /** Where in it the images are. */
  readonly images: string;
  /** A file that is locked while the engine lives: nobody else's engine starts on this device. */
  readonly lockFile?: string;
  readonly memoryLimitBytes?: number;
  /** A descriptor that it inherits, and with it the lock on its device. */
  readonly lock?: number | undefined;
  /** The socket of a keeper, where the engine is to get its weights from one. */
  readonly keeper?: string | undefined;
  readonly log: Logger;
}

/** An engine that CRIU restores. CRIU stays as its parent, in a namespace that ends with what we hold. */
export class RestoredProcess extends EngineProcess {
  #pid: number | undefined;
  #parent: Socket | undefined;
  #takeDevice: TakeDevice | undefined;
  readonly #startedAt = Date.now();

  private constructor(
    child: ChildProcess,
    folder: string,
    oomKillsBefore: number,
    private readonly options: RestoreOptions,
  ) {
    super(child, folder, oomKillsBefore, options.log);
  }

  /** Makes ready what a restore takes; the snapshot itself is not looked at before `begin`. */
  static async prepare(options: RestoreOptions): Promise<RestoredProcess> {
    const { criu, snapshot, images, lockFile, lock } = options;
    const folder = await makePrivateRun(criu);
    const oomKillsBefore = await oomKills();
    const child = spawnCommand(
      [
        ...(await guards({ ...(lockFile !== undefined && { lockFile }) })),
        ...['flock', '--shared', '--nonblock', '--no-fork', snapshot],
        ...restoreCommand(criu, images, folder),
      ],
      { LANG: 'C.UTF-8', ...RESTORE_ENVIRONMENT, ...pathOnly() },
      'pipe',
      // CRIU stays, and keeps it.
      lock === undefined ? [] : [lock],
    );
    return new RestoredProcess(child, folder, oomKillsBefore, options);
  }

  begin(): void {
    this.child.stdin?.end('\n');
  }

  override get pid(): number | undefined {
    // unshare's child is a shell, whose child is CRIU.
    this.#pid ??= onlyChildOf(onlyChildOf(onlyChildOf(this.child.pid)));
    return this.#pid;
  }

  /** @param take gives a GPU's engine its device back; called before it is woken, and not before it runs */
  takesDevice(take: TakeDevice): void {
    this.#takeDevice = take;
  }

  /** The engine answers as soon as CRIU lets it go on: its socket is there before. */
  override async connect(deadline: number): Promise<Socket> {
    if (this.#takeDevice) {
      await this.#running(deadline);
      const { pid } = this;
      if (pid === undefined) throw await this.obituary('before it had its device');
      await this.#takeDevice(pid, deadline);
    }
    const socket = await super.connect(deadline);
    this.#parent = socket;
    const { keeper } = this.options;
    const wake: ParentMessage = {
      type: 'wake',
      startedAt: this.#startedAt,
      logLevel: this.options.log.level,
      ...(keeper !== undefined && { keeper }),
    };
    for (const part of encodeFrame(wake)) socket.write(part);
    const { memoryLimitBytes } = this.options;
    if (memoryLimitBytes !== undefined && this.pid !== undefined) {
      await run('prlimit', ['--pid', String(this.pid), dataLimit(memoryLimitBytes)]);
    }
    return socket;
  }

  /** Resolves when the engine runs, by a question that takes no device to answer. */
  async #running(deadline: number): Promise<void> {
    const socket = await super.connect(deadline);
    const late = globalThis.setTimeout(() => socket.destroy(), Math.max(0, deadline - performance.now()));
    try {
      for (const part of encodeFrame({ type: 'stats', id: 0 } satisfies ParentMessage)) socket.write(part);
      const frame = await readFrames(socket)
        .next()
        .catch(() => undefined);
      if (frame && !frame.done) return;
    } finally {
      clearTimeout(late);
      socket.destroy();
    }
    if (performance.now() >= deadline) {
      throw new EngineStalled(`the restored engine did not run in time [engine=${this.pid}]`);
    }
    await this.kill();
    throw await this.obituary('while it was restored');
  }

  /** Once it has answered nobody needs its files any more: a host that is killed later leaves none behind. */
  async removeFiles(): Promise<void> {
    await keepKernelNotes(this.options.criu, this.folder);
    await removeEngineFolder(this.folder);
  }

  /** It ends with the connection that woke it. */
  protected override askToEnd(): void {
    this.#parent?.end();
  }

  /** CRIU does not tell how its child ended. */
  protected override get mayBeKilled(): boolean {
    return true;
  }

  protected override async beforeRemoval(folder: string): Promise<void> {
    this.hear(await criuErrors(join(folder, 'restore.log')));
  }
}

function spawnCommand(
  [command = '', ...rest]: readonly string[],
  env: NodeJS.ProcessEnv,
  stdio: 'ignore' | 'pipe',
  inherited: readonly number[] = [],
): ChildProcess {
  return spawn(command, rest, { cwd: '/', stdio: [stdio, 'ignore', stdio, ...inherited], env });
}

/** The programs before the engine are found by it; the engine itself uses none. */
function pathOnly(): NodeJS.ProcessEnv {
  return { PATH: process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin' };
}

/** How an engine on that device is captured and restored. */
export function seatOf(device: Device): Seat {
  return device === 'cpu' ? 'first' : 'with own proc';
}

/** The engine's number, under the process that we hold; undefined where there is none yet. */
function seated(pid: number | undefined, seat: Seat): number | undefined {
  const child = onlyChildOf(pid);
  return seat === 'first' ? child : onlyChildOf(child);
}

function onlyChildOf(pid: number | undefined): number | undefined {
  if (pid === undefined) return undefined;
  try {
    const [child] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ');
    return child ? Number(child) : undefined;
  } catch {
    return undefined;
  }
}

const ENDING_PAUSE_MS = 5;

/** Whether a process is there, and more than a zombie. */
async function isAlive(pid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return status !== '' && !/^State:\s+[ZX]/m.test(status);
}

/** How many sockets a process has open. */
export async function openSockets(pid: number): Promise<number> {
  const descriptors = `/proc/${pid}/fd`;
  const targets = (await readdir(descriptors)).map((name) =>
    readlink(join(descriptors, name)).catch(() => ''),
  );
  return (await Promise.all(targets)).filter((target) => target.startsWith('socket:')).length;
}

/** The files that a process has mapped; devices are none, nor is what has no name any more, which CRIU takes along. */
export async function mappedFilesOf(pid: number): Promise<string[]> {
  const maps = await readFile(`/proc/${pid}/maps`, 'utf8');
  const paths = maps.split('\n').flatMap((line) => /^(?:\S+\s+){5}(\/.*)$/.exec(line)?.[1] ?? []);
  const isFile = (path: string) => !path.endsWith(' (deleted)') && !/^\/dev\/(?!shm\/)/.test(path);
  return [...new Set(paths)].filter(isFile).sort();
}

/** Bytes of a process's memory that are no file's. */
export async function anonymousBytes(pid: number): Promise<number> {
  const kilobytes = /^RssAnon:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kilobytes ?? 0) * 1024;
}
