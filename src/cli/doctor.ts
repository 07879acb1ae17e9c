import { cpus } from 'node:os';
import { z } from 'zod';
import { parse } from '../contract/parse.js';
import { DeviceName } from '../gpu/engine/device-name.js';
import { gpuIndexOf } from '../gpu/runtime/gpu-index.js';
import type { Device } from '../gpu/runtime/session.js';
import { type Requirement, requirements } from '../gpu/snapshot/requirements.js';
import { parseArguments } from './arguments.js';
import { cacheFolder } from './cache-folder.js';
import { installCriu } from './install-criu.js';
import { onInterrupt } from './interrupt.js';
import { UsageError } from './usage-error.js';

export const DOCTOR_HELP = `temporal-diffusion doctor [--install] [--json]
temporal-diffusion doctor --device DEVICE [--json]

Tells whether workers of this machine can start from snapshots, or draw on a device, and where not, what is missing and
how to get it: the capability, the package, the kernel option, the driver, the library. Exit code 1 where something is.

  --device DEVICE      cuda:0, or the GPU of another number; see docs/gpu.md
  --install            puts CRIU into this package's cache folder first, where there is none that is recent enough
  --json               for programs
`;

const Options = z.object({ device: DeviceName.optional() });

/** Of a machine; `isOptional`: it works without, with less. */
interface Finding extends Requirement {
  readonly isOptional?: boolean;
}

/** `temporal-diffusion doctor`: what this machine lacks. */
export async function doctor(argv: readonly string[]): Promise<void> {
  const { texts, flags, positionals } = parseArguments(argv, ['device'], ['install', 'json', 'verbose']);
  if (positionals.length > 0) throw new UsageError(`expected options only, got ${positionals.join(' ')}`);
  const { device } = parse(Options, texts);
  if (device !== undefined && flags.has('install')) {
    throw new UsageError('expected --install without --device: CRIU, which it installs, is for snapshots');
  }
  if (flags.has('install')) await install();
  const found = device === undefined ? await requirements(cacheFolder()) : await findingsOf(device);
  const purpose = device === undefined ? SNAPSHOTS : purposeOf(device);
  process.stdout.write(flags.has('json') ? `${JSON.stringify(found, null, 2)}\n` : diagnosis(found, purpose));
  if (lackingIn(found) > 0) process.exitCode = 1;
}

async function install(): Promise<void> {
  const interruption = onInterrupt();
  const notify = (message: string) => process.stderr.write(`${message}\n`);
  try {
    await installCriu({ cacheFolder: cacheFolder(), notify, signal: interruption.signal });
  } finally {
    interruption.dispose();
  }
}

async function findingsOf(device: Device): Promise<readonly Finding[]> {
  if (device === 'cpu') {
    const model = cpus()[0]?.model ?? process.arch;
    return [{ name: 'CPU', isMet: true, found: model, remedy: 'nothing: it needs no other library' }];
  }
  const { gpuRequirements } = await import('../gpu/runtime/cuda/requirements.js');
  const [gpu, snapshots] = await Promise.all([
    gpuRequirements(gpuIndexOf(device)),
    requirements(cacheFolder()),
  ]);
  // Pictures are drawn without them too.
  const missing = snapshots.filter(({ isMet }) => !isMet);
  return [
    ...gpu,
    ...missing.map((found) => ({ ...found, name: `${found.name}, for snapshots`, isOptional: true })),
  ];
}

/** How a diagnosis ends. */
interface Purpose {
  readonly can: string;
  readonly cannot: string;
  readonly instead: string;
}

const SNAPSHOTS: Purpose = {
  can: 'workers of this machine can start from snapshots',
  cannot: "workers of this machine can't start from snapshots",
  instead: 'They start fresh.',
};

function purposeOf(device: Device): Purpose {
  return {
    can: `workers of this machine can draw on ${device}`,
    cannot: `workers of this machine can't draw on ${device}`,
    instead: 'They can on --device cpu.',
  };
}

function lackingIn(found: readonly Finding[]): number {
  return found.filter(({ isMet, isOptional }) => !isMet && !isOptional).length;
}

export function diagnosis(found: readonly Finding[], { can, cannot, instead }: Purpose): string {
  const lines = found.map(({ name, isMet, found, remedy, isOptional }) =>
    isMet ? `✔ ${name}: ${found}\n` : `${isOptional ? '–' : '✖'} ${name}: ${found}\n    → ${remedy}\n`,
  );
  const missing = lackingIn(found);
  lines.push(
    missing === 0 ? `${can}\n` : `${cannot}: ${missing} of ${found.length} are missing. ${instead}\n`,
  );
  return lines.join('');
}
