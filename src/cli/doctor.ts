import { type Requirement, requirements } from '../gpu/snapshot/requirements.js';
import { parseArguments } from './arguments.js';
import { cacheFolder } from './cache-folder.js';
import { installCriu } from './install-criu.js';
import { onInterrupt } from './interrupt.js';
import { UsageError } from './usage-error.js';

export const DOCTOR_HELP = `temporal-diffusion doctor [--install] [--json]

Tells whether workers of this machine can start from snapshots, and where not, what is missing: the capability, the
package, the kernel option. Exit code 1 where something is.

  --install            puts CRIU into this package's cache folder first, where there is none that is recent enough
  --json               for programs
`;

/** `temporal-diffusion doctor`: what this machine lacks. */
export async function doctor(argv: readonly string[]): Promise<void> {
  const { flags, positionals } = parseArguments(argv, [], ['install', 'json', 'verbose']);
  if (positionals.length > 0) throw new UsageError(`expected options only, got ${positionals.join(' ')}`);
  if (flags.has('install')) {
    const interruption = onInterrupt();
    const notify = (message: string) => process.stderr.write(`${message}\n`);
    try {
      await installCriu({ cacheFolder: cacheFolder(), notify, signal: interruption.signal });
    } finally {
      interruption.dispose();
    }
  }
  const found = await requirements(cacheFolder());
  process.stdout.write(flags.has('json') ? `${JSON.stringify(found, null, 2)}\n` : diagnosis(found));
  if (found.some(({ isMet }) => !isMet)) process.exitCode = 1;
}

export function diagnosis(found: readonly Requirement[]): string {
  const lines = found.map(({ name, isMet, found, remedy }) =>
    isMet ? `✔ ${name}: ${found}\n` : `✖ ${name}: ${found}\n    → ${remedy}\n`,
  );
  const missing = found.filter(({ isMet }) => !isMet).length;
  lines.push(
    missing === 0
      ? 'workers of this machine can start from snapshots\n'
      : `workers of this machine can't start from snapshots: ${missing} of ${found.length} are missing. They start fresh.\n`,
  );
  return lines.join('');
}
