import { type ChildProcess, spawn } from 'node:child_process';
import { on } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import type { RenderError } from '../../src/contract/errors.js';
import { EngineConnection } from '../../src/gpu/host/engine-connection.js';
import {
  EngineProcess,
  type EngineProcessOptions,
  makeEngineFolder,
} from '../../src/gpu/host/engine-process.js';

const PROGRAM = fileURLToPath(new URL('./memory-engine-process.js', import.meta.url));

/** What happens to the device when the test says so (`upset`). */
export type Upset =
  | 'falls off'
  | 'lets copies go'
  | 'holds copies back, or lets them go'
  | 'never returns from a call';

export interface DeviceOptions {
  readonly upset?: Upset | undefined;
  readonly totalBytes?: number | undefined;
  /** Where the processes that share the device write down what they have of it. Default: it is one engine's alone. */
  readonly sharedFolder?: string;
  /** Of a host cache. Default: there is none. */
  readonly cacheFolder?: string;
}

/** An engine over the in-memory device, in a process of its own. */
export class MemoryEngine extends EngineProcess {
  private constructor(child: ChildProcess, folder: string) {
    super(child, folder, 0, pino({ level: 'silent' }));
  }

  static async spawn(
    checkpoint: string,
    cacheFolder: string,
    { keeper, ...device }: DeviceOptions & { /** A keeper's socket. */ readonly keeper?: string } = {},
  ): Promise<MemoryEngine> {
    const engine = { checkpoint, model: 'tested', device: 'cuda:0', threads: 1, cacheFolder } as const;
    const source = keeper === undefined ? {} : { keeper };
    return MemoryEngine.spawnAs({ arguments: { ...engine, logLevel: 'info', ...source } }, device);
  }

  /** As a host starts its engines. */
  static async spawnAs(
    { arguments: engine, lock }: Pick<EngineProcessOptions, 'arguments' | 'lock'>,
    device: DeviceOptions,
  ): Promise<MemoryEngine> {
    const folder = await makeEngineFolder(tmpdir());
    const socket = join(folder, 'engine.sock');
    const child = spawn(
      process.execPath,
      [PROGRAM, JSON.stringify({ ...engine, socket }), JSON.stringify(device)],
      { stdio: ['pipe', 'ignore', 'pipe', ...(lock === undefined ? [] : [lock])] },
    );
    return new MemoryEngine(child, folder);
  }

  override get pid(): number | undefined {
    return this.child.pid;
  }

  get exitCode(): number | null {
    return this.child.exitCode;
  }

  upset(): void {
    this.child.kill('SIGUSR2');
  }

  /** Resolves when the engine has said so. */
  async upsetAnd(words: string): Promise<void> {
    const said = this.says(words);
    this.upset();
    await said;
  }

  /** @param onLost hears why the conversation is over */
  greet(onLost: (reason: RenderError) => void = () => {}): Promise<EngineConnection> {
    return EngineConnection.greet(this, performance.now() + 120_000, {
      stallMs: 120_000,
      cancelGraceMs: 120_000,
      onLost: (_connection, reason) => onLost(reason),
    });
  }

  /** Resolves when the engine has written that. */
  async says(words: string): Promise<void> {
    for await (const [text] of on(this.child.stderr as Readable, 'data')) if (text.includes(words)) return;
  }

  /** What an engine sees of its parent's end. */
  override askToEnd(): void {
    this.child.stdin?.end();
  }
}
