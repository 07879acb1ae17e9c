import { type ChildProcess, spawn } from 'node:child_process';
import { on } from 'node:events';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import type { RenderError } from '../../src/contract/errors.js';
import { EngineConnection } from '../../src/gpu/host/engine-connection.js';
import { EngineProcess, makeEngineFolder } from '../../src/gpu/host/engine-process.js';

const PROGRAM = fileURLToPath(new URL('./memory-engine-process.js', import.meta.url));

/** What happens to the device when the test says so (`upset`). */
export type Upset = 'falls off' | 'lets copies go' | 'never returns from a call';

/** An engine over the in-memory device, in a process of its own. */
export class MemoryEngine extends EngineProcess {
  private constructor(child: ChildProcess, folder: string) {
    super(child, folder, 0, pino({ level: 'silent' }));
  }

  static async spawn(
    checkpoint: string,
    cacheFolder: string,
    { upset, totalBytes }: { readonly upset?: Upset; readonly totalBytes?: number } = {},
  ): Promise<MemoryEngine> {
    const folder = await makeEngineFolder(cacheFolder);
    const engine = {
      checkpoint,
      model: 'tested',
      device: 'cuda:0',
      threads: 1,
      cacheFolder,
      socket: join(folder, 'engine.sock'),
      logLevel: 'info',
    };
    const child = spawn(
      process.execPath,
      [PROGRAM, JSON.stringify(engine), JSON.stringify({ upset, totalBytes })],
      { stdio: ['pipe', 'ignore', 'pipe'] },
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
