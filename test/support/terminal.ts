import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { MAIN } from './command.js';

/** Why there can be no pseudo-terminal here, or false. */
export const NO_TERMINAL: string | false =
  spawnSync('script', ['-qec', 'stty cols 80', '/dev/null'], { stdio: 'ignore' }).status === 0
    ? false
    : 'needs script and stty, of util-linux and coreutils';

export interface TerminalOptions {
  readonly cwd: string;
  readonly columns: number;
  /** Keys that are pressed once, as soon as this can be read. */
  readonly type?: { readonly after: RegExp; readonly keys: string };
}

/** Runs `temporal-diffusion` at a real pseudo-terminal. @returns its exit code, and all that the terminal was sent */
export async function atTerminal(
  argv: readonly string[],
  { cwd, columns, type }: TerminalOptions,
): Promise<{ code: number | null; output: string }> {
  const command = [process.execPath, MAIN, ...argv].map((word) => `'${word}'`).join(' ');
  const child = spawn('script', ['-qefc', `stty cols ${columns} && exec ${command}`, '/dev/null'], {
    cwd,
    env: Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('TEMPORAL_'))),
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let output = '';
  let isTyped = false;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    if (!type || isTyped || !type.after.test(output)) return;
    isTyped = true;
    child.stdin.write(type.keys);
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, output };
}

/**
 * What stands on a terminal in the end, and every state that a line of it has had.
 * Knows what our command sends: text, carriage return, line feed, and "clear to the end of the line".
 */
export function screenOf(output: string, columns: number): { lines: string[]; drawn: string[] } {
  const lines: string[][] = [[]];
  const drawn: string[] = [];
  let column = 0;
  const text = (line: readonly string[]) => line.join('').trimEnd();
  const note = () => drawn.push(text(lines.at(-1) ?? []));
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what terminals are told by
  for (const part of output.match(/\u001b\[[0-9;?]*[A-Za-z]|./gsu) ?? []) {
    const line = lines.at(-1) as string[];
    if (part === '\r') column = 0;
    else if (part === '\n') {
      lines.push([]);
    } else if (part === '\u001b[K') line.length = Math.min(line.length, column);
    else if (!part.startsWith('\u001b')) {
      if (column === columns) {
        lines.push([]);
        column = 0;
      }
      (lines.at(-1) as string[])[column++] = part;
    }
    note();
  }
  return { lines: lines.map(text), drawn };
}
