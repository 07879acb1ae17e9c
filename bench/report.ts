import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { packageRoot, packageVersion } from '../src/package-root.js';

const RESULTS = join(packageRoot(), 'bench', 'RESULTS.md');

export interface Timing {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly runs: number;
}

/** @param values in any unit, at least one */
export function timing(values: readonly number[]): Timing {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (place: number) => sorted[place] as number;
  return { median: at(sorted.length >> 1), min: at(0), max: at(sorted.length - 1), runs: sorted.length };
}

/** The machine and the versions that a figure is true of. */
export function machine(): string {
  const [cpu] = cpus();
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${cpu?.model.trim() ?? 'unknown CPU'}, ${availableParallelism()} cores, ${memory} GiB; Node ${process.versions.node}, temporal-diffusion ${packageVersion()}`;
}

export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(header), line(header.map(() => '---')), ...rows.map(line)].join('\n');
}

/** Prints a section and puts it into RESULTS.md in the place of the one with the same title. */
export async function publishSection(title: string, command: string, body: string): Promise<void> {
  const date = new Date().toISOString().slice(0, 10);
  const section = `## ${title}\n\n${date}, ${machine()}\n\n\`${command}\`\n\n${body}\n`;
  process.stdout.write(`\n${section}`);
  const known = await readFile(RESULTS, 'utf8').catch(
    () => '# Results\n\nMeasured by the scripts beside this file; each section names its command.\n',
  );
  const [head = '', ...sections] = known.split(/^(?=## )/m);
  const others = sections
    .filter((other) => !other.startsWith(`## ${title}\n`))
    .map((other) => other.trimEnd());
  await mkdir(dirname(RESULTS), { recursive: true });
  await writeFile(RESULTS, `${[head.trimEnd(), ...others, section.trimEnd()].join('\n\n')}\n`);
}
