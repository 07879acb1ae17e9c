import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { processesLike } from './processes.js';
import { until } from './waiting.js';

/** The one that was compiled with this file. */
export const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

export interface CommandOptions {
  /** Where it runs. */
  readonly cwd: string;
  /** Beside this process's, less what would lead it to another Temporal server. */
  readonly env?: Readonly<Record<string, string>>;
}

/** `temporal-diffusion` as a process of its own. */
export class Command {
  readonly child: ChildProcess;
  /** Resolves with the exit code, or the name of the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals | null>;
  stdout = '';
  stderr = '';
  /** Stands in the environment of every process that descends from it, however it got away. */
  readonly #mark = randomUUID();

  constructor(argv: readonly string[], { cwd, env = {} }: CommandOptions) {
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('TEMPORAL_'));
    this.child = spawn(process.execPath, [MAIN, ...argv], {
      cwd,
      env: {
        ...Object.fromEntries(inherited),
        TEMPORAL_CONFIG_FILE: join(cwd, 'no-such-file.toml'),
        ...env,
        TDIFF_MARK: this.#mark,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.ended = once(this.child, 'close').then(([code, signal]) => code ?? signal);
  }

  /** Waits until it has written this to stderr. */
  async says(text: string | RegExp): Promise<void> {
    let ended = false;
    void this.ended.then(() => {
      ended = true;
    });
    const said = () => (typeof text === 'string' ? this.stderr.includes(text) : text.test(this.stderr));
    await until(`the command says ${text}`, () => said() || ended);
    if (!said()) throw new Error(`expected the command to say ${text}, but it ended: ${this.stderr}`);
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Numbers of the living processes that it started, and of those that they started; those whose command line fits. */
  descendants(commandLine: RegExp = /./): number[] {
    return processesLike(commandLine, `TDIFF_MARK=${this.#mark}`).filter((pid) => pid !== this.child.pid);
  }

  async leavesNothingBehind(): Promise<void> {
    await until('no process of the command is left', () => this.descendants().length === 0, 20_000);
  }
}

/** Runs a command to its end. */
export async function runCommand(argv: readonly string[], options: CommandOptions) {
  const command = new Command(argv, options);
  const code = await command.ended;
  return { code, stdout: command.stdout, stderr: command.stderr, command };
}
