import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import type { Logger } from 'pino';
import {
  DeviceBusy,
  EngineCrashed,
  EngineStalled,
  OutOfMemory,
  type RenderError,
} from '../../contract/errors.js';
import { processFolderName, sweepProcessFolders } from '../../storage/process-folder.js';
import type { EngineArguments } from '../engine/arguments.js';
import { programFile } from '../programs/places.js';
import { dataLimit } from './memory-limit.js';
import { oomKills } from './oom-killer.js';

const ENGINE_MAIN = programFile('engine');
/** An engine that was asked to end has nothing to save: it gets this long, then SIGKILL. */
const STOP_GRACE_MS = 2_000;
const CONNECT_PAUSE_MS = 3;
/** With pauses between them that grow by 0.1 s each. */
const REMOVAL_RETRIES = 3;
const LAST_LINES = 20;
/** As C++ and V8 say it. */
const OUT_OF_MEMORY = /out of memory|bad_alloc|allocation failed|FatalProcessOutOfMemory/i;
/** `flock`'s exit code when somebody else has the lock. */
const LOCKED = 75;

/** All that an engine sees of its parent's environment: nothing secret, and nothing that must not be in a snapshot. */
const ENVIRONMENT = /^(PATH|LANG|LC_ALL|TZ|LD_LIBRARY_PATH|(CUDA|CUBLAS|NVIDIA)_\w+)$/;

export interface EngineProcessOptions {
  readonly arguments: Omit<EngineArguments, 'socket'>;
  /** What is run as the engine, for tests. Default: the engine. */
  readonly program?: string | undefined;
  /** A file that the engine keeps locked while it lives: nobody else's engine starts on this device. */
  readonly lockFile?: string;
  /** A descriptor that it inherits, and with it the lock on its device. */
  readonly lock?: number;
  /** Bytes of data that the process may have (RLIMIT_DATA). */
  readonly memoryLimitBytes?: number;
  readonly log: Logger;
}

/** One engine process: whether it lives, what it said last, how it ended. */
export abstract class EngineProcess {
  /** Resolves when the process is gone and its last words are read. */
  readonly ended: Promise<void>;
  #lines: string[] = [];
  /** Whether a library has said that there is too little memory: a stack trace may follow, longer than what is kept. */
  #isOutOfMemory = false;
  #isOver = false;
  #isKilledByUs = false;

  /**
   * @param child  the engine, or a process that lives and dies with it; it writes to its standard error
   * @param folder the engine's own, with its socket; removed when it has ended
   */
  protected constructor(
    protected readonly child: ChildProcess,
    readonly folder: string,
    private readonly oomKillsBefore: number,
    private readonly log: Logger,
  ) {
    this.ended = new Promise((resolve) => {
      const end = () => {
        this.#isOver = true;
        void this.#leave().then(resolve);
      };
      child.once('close', end);
      child.once('error', (error) => {
        this.#lines.push(String(error));
        end();
      });
    });
    child.stdin?.on('error', () => {});
    child.stderr?.setEncoding('utf8').on('data', (text: string) => this.hear(text));
  }

  /** The engine's number here; undefined where there is none yet. */
  abstract get pid(): number | undefined;

  /** Asks the engine to end. */
  protected abstract askToEnd(): void;

  /** An engine has ended also where its folder can't go: a later start sweeps it. */
  async #leave(): Promise<void> {
    try {
      await this.beforeRemoval(this.folder);
      // Who dies with the process that we hold may still write there for a moment.
      await rm(this.folder, { recursive: true, force: true, maxRetries: REMOVAL_RETRIES });
    } catch (err) {
      this.log.warn({ err, folder: this.folder }, 'the folder of an engine that has ended is left');
    }
  }

  /** What to keep of the folder before it is removed. */
  protected async beforeRemoval(_folder: string): Promise<void> {}

  /**
   * Opens a connection as soon as the engine listens.
   * @param deadline in `performance.now()`'s milliseconds
   * @throws how the engine ended; EngineStalled
   */
  async connect(deadline: number): Promise<Socket> {
    for (;;) {
      const socket = connect(socketIn(this.folder));
      try {
        await once(socket, 'connect');
        return socket;
      } catch {
        socket.destroy();
      }
      if (this.#isOver) throw await this.obituary('while it started');
      if (performance.now() > deadline) {
        throw new EngineStalled(`the engine did not open its socket in time [engine=${this.pid}]`);
      }
      await setTimeout(CONNECT_PAUSE_MS);
    }
  }

  /** Its end as an error: call it when it is over. */
  async obituary(when: string, cause?: unknown): Promise<RenderError> {
    const { pid } = this;
    const { exitCode, signalCode } = this.child;
    const how = signalCode ? `signal=${signalCode}` : `exit=${exitCode}`;
    const words = this.#lines.length > 0 ? `; its last lines:\n${this.#lines.join('\n')}` : '';
    const facts = `[engine=${pid}, ${how}]${words}`;
    if (exitCode === LOCKED && this.child.pid !== undefined) {
      return new DeviceBusy(
        `another engine already runs on this device; end it, or choose another one ${facts}`,
      );
    }
    const killedForMemory =
      this.mayBeKilled && !this.#isKilledByUs && (await oomKills()) > this.oomKillsBefore;
    if (killedForMemory || this.#isOutOfMemory || this.#lines.some((line) => OUT_OF_MEMORY.test(line))) {
      return new OutOfMemory(`the engine ran out of memory ${when} ${facts}`, { cause });
    }
    return new EngineCrashed(`the engine ended ${when} ${facts}`, { cause });
  }

  /** Whether its end, as far as it is known, can be one by SIGKILL. */
  protected get mayBeKilled(): boolean {
    return this.child.signalCode === 'SIGKILL';
  }

  /** The engine ends when it is asked to; one that does not is killed. */
  async stop(): Promise<void> {
    this.askToEnd();
    const patience = new AbortController();
    await Promise.race([
      this.ended,
      setTimeout(STOP_GRACE_MS, undefined, { signal: patience.signal }).catch(() => {}),
    ]);
    patience.abort();
    await this.kill();
  }

  async kill(): Promise<void> {
    if (!this.#isOver) {
      this.#isKilledByUs = true;
      this.child.kill('SIGKILL');
    }
    await this.ended;
  }

  /** What an engine writes are pino's lines; they go where the host's go. */
  protected hear(text: string): void {
    if (this.log.level !== 'silent') process.stderr.write(text);
    const lines = text.split('\n').filter((line) => line.trim() !== '');
    // What the engine itself tells of a render that did not fit is JSON, and it goes on.
    this.#isOutOfMemory ||= lines.some((line) => !line.startsWith('{') && OUT_OF_MEMORY.test(line));
    this.#lines = [...this.#lines, ...lines].slice(-LAST_LINES);
  }
}

/** An engine that loads its model. It ends with its standard input. */
export class FreshProcess extends EngineProcess {
  static async spawn(options: EngineProcessOptions): Promise<FreshProcess> {
    // A socket's path has at most 107 bytes, so it can't lie in a folder of the user's choice.
    const folder = await makeEngineFolder(tmpdir());
    const engineArguments: EngineArguments = { ...options.arguments, socket: socketIn(folder) };
    const [command = process.execPath, ...rest] = [
      ...(await guards(options)),
      ...engineCommand(engineArguments, options.program),
    ];
    const oomKillsBefore = await oomKills();
    const child = spawn(command, rest, {
      stdio: ['pipe', 'ignore', 'pipe', ...(options.lock === undefined ? [] : [options.lock])],
      // ONNX Runtime reads its opt-out from telemetry when it is loaded, before any code of ours runs.
      env: {
        ...ownEnvironment(),
        ORT_DISABLE_TELEMETRY: '1',
        ...(options.arguments.device !== 'cpu' && gpuEnvironment(options.arguments.cacheFolder)),
      },
    });
    return new FreshProcess(child, folder, oomKillsBefore, options.log);
  }

  override get pid(): number | undefined {
    return this.child.pid;
  }

  protected override askToEnd(): void {
    this.child.stdin?.end();
  }
}

const FOLDER_PREFIX = 'tdiff-';

/** A folder for one engine of this process. Those of hosts that were killed, and could not remove theirs, go meanwhile. */
export async function makeEngineFolder(parent: string): Promise<string> {
  void sweepProcessFolders(parent, FOLDER_PREFIX).catch(() => {});
  const folder = join(parent, processFolderName(FOLDER_PREFIX, randomBytes(4).toString('hex')));
  await mkdir(folder, { mode: 0o700 });
  return folder;
}

/** What of this process's environment engines and keepers see. */
export function ownEnvironment(): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => ENVIRONMENT.test(name)));
}

/** What an engine on a GPU is given beside what it sees of its parent's environment. */
export function gpuEnvironment(cacheFolder: string): Record<string, string> {
  return {
    // Weights are read by so many threads at a time: more take the processor from what is made ready meanwhile.
    UV_THREADPOOL_SIZE: '12',
    // Kernels that are compiled for this GPU are kept: an engine has no home, where CUDA looks for them otherwise.
    CUDA_CACHE_PATH: process.env.CUDA_CACHE_PATH ?? join(cacheFolder, 'cuda'),
    // A workspace of 4 MiB a session. By itself cuBLAS takes 0.25 GB for each on Hopper, also in standby and in images.
    CUBLAS_WORKSPACE_CONFIG: process.env.CUBLAS_WORKSPACE_CONFIG ?? ':4096:1',
  };
}

/** The command that starts an engine. @param program what is run as one, for tests. Default: the engine */
export function engineCommand(engine: EngineArguments, program = ENGINE_MAIN): string[] {
  return [process.execPath, program, JSON.stringify(engine)];
}

function socketIn(folder: string): string {
  return join(folder, 'engine.sock');
}

/**
 * What stands before the engine's own command. These programs of util-linux replace themselves by the next one, so
 * the process that we hold is the engine: the lock and the parent's death signal are its own, and a crash of
 * whomever can't leave them behind. Where they are missing the engine still ends with its standard input, which it
 * sees between two steps.
 */
export async function guards({
  lockFile,
  memoryLimitBytes,
}: Pick<EngineProcessOptions, 'lockFile' | 'memoryLimitBytes'>): Promise<string[]> {
  const command: string[] = [];
  if (lockFile !== undefined) {
    await mkdir(join(lockFile, '..'), { recursive: true });
    command.push('flock', '--nonblock', '--no-fork', '--conflict-exit-code', String(LOCKED), lockFile);
  }
  if (memoryLimitBytes !== undefined) command.push('prlimit', dataLimit(memoryLimitBytes), '--');
  if (onPath('setpriv')) command.push('setpriv', '--pdeathsig', 'KILL', '--');
  return command;
}

function onPath(program: string): boolean {
  return (process.env.PATH ?? '').split(':').some((folder) => existsSync(join(folder, program)));
}
