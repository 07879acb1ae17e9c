import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, readFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { findCriu, OLDEST_CRIU } from './criu.js';

const run = promisify(execFile);

/** One thing that snapshots need of a machine. */
export interface Requirement {
  readonly name: string;
  readonly isMet: boolean;
  /** What is there. */
  readonly found: string;
  /** What to do where it is not met. */
  readonly remedy: string;
}

/** What each capability is needed for; its bit in the kernel's capability.h. docs/snapshots.md says how that was found out. */
const CAPABILITIES = [
  { name: 'CAP_SYS_ADMIN', bit: 21, why: 'namespaces of the engine’s own, and its private /run' },
  { name: 'CAP_SYS_CHROOT', bit: 18, why: 'entering the engine’s mount namespace to capture it' },
  { name: 'CAP_SYS_PTRACE', bit: 19, why: 'reading and writing the memory of another process' },
  { name: 'CAP_CHECKPOINT_RESTORE', bit: 40, why: 'restoring under the old process and thread numbers' },
  { name: 'CAP_SYS_TIME', bit: 25, why: 'a restored engine’s clock, which goes on where it was' },
  { name: 'CAP_NET_ADMIN', bit: 12, why: 'looking at the engine’s socket to capture it' },
  { name: 'CAP_SETPCAP', bit: 8, why: 'restoring the capabilities that the engine had' },
] as const;

/** Of util-linux, but mount's package is its own. */
const PROGRAMS = [
  { name: 'unshare', package: 'util-linux' },
  { name: 'nsenter', package: 'util-linux' },
  { name: 'setsid', package: 'util-linux' },
  { name: 'flock', package: 'util-linux' },
  { name: 'setpriv', package: 'util-linux' },
  { name: 'mount', package: 'mount' },
] as const;

/** What the kernel must have been built with, and the file that it then has. */
const KERNEL_OPTIONS = [
  { name: 'CONFIG_PID_NS', file: '/proc/self/ns/pid' },
  { name: 'CONFIG_PROC_CHILDREN', file: '/proc/thread-self/children' },
  { name: 'CONFIG_PROC_PAGE_MONITOR', file: '/proc/self/pagemap' },
  { name: 'CONFIG_UNIX_DIAG and CONFIG_CHECKPOINT_RESTORE', file: '/proc/self/map_files' },
] as const;

/** What snapshots need of this machine, met or not. */
export async function requirements(
  cacheFolder: string,
  path = process.env.PATH ?? '',
): Promise<Requirement[]> {
  const isLinux = process.platform === 'linux';
  const system: Requirement = {
    name: 'operating system',
    isMet: isLinux,
    found: `${process.platform} ${process.arch}`,
    remedy: 'snapshots need Linux: start workers with --start fresh',
  };
  if (!isLinux) return [system];
  return [
    system,
    ...(await capabilities()),
    ...(await programs(path)),
    ...(await kernelOptions()),
    await namespaces(),
    ...(await criu(cacheFolder, path)),
  ];
}

async function capabilities(): Promise<Requirement[]> {
  const status = await readFile('/proc/self/status', 'utf8');
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  return CAPABILITIES.map(({ name, bit, why }) => {
    const isMet = ((effective >> BigInt(bit)) & 1n) === 1n;
    return {
      name,
      isMet,
      found: isMet ? 'there' : `missing [uid=${process.getuid?.()}]`,
      remedy: `run as root, in a container with --cap-add ${name.replace('CAP_', '')}: it is for ${why}`,
    };
  });
}

async function programs(path: string): Promise<Requirement[]> {
  return Promise.all(
    PROGRAMS.map(async ({ name, package: of }) => {
      const found = await onPath(name, path);
      return {
        name,
        isMet: found !== undefined,
        found: found ?? 'not on the PATH',
        remedy: `install the package ${of}`,
      };
    }),
  );
}

async function kernelOptions(): Promise<Requirement[]> {
  return Promise.all(
    KERNEL_OPTIONS.map(async ({ name, file }) => {
      const isMet = await access(file).then(
        () => true,
        () => false,
      );
      return {
        name,
        isMet,
        found: isMet ? `${file} is there` : `there is no ${file}`,
        remedy: `boot a kernel with ${name}; distributions' own kernels have it`,
      };
    }),
  );
}

/** Rights are not all: a seccomp filter or a security module may refuse what they allow. */
async function namespaces(): Promise<Requirement> {
  const command = [
    '--mount',
    '--propagation',
    'private',
    '--fork',
    '--pid',
    'sh',
    '-c',
    'mount --bind /tmp /run && mount -t proc proc /proc',
  ];
  const error = await run('unshare', command).then(
    () => undefined,
    (failure: unknown) => lastLine(failure),
  );
  return {
    name: 'private namespaces',
    isMet: error === undefined,
    found: error ?? 'can be made',
    remedy:
      'allow unshare and mount: in a container, --security-opt seccomp=unconfined and apparmor=unconfined',
  };
}

async function criu(cacheFolder: string, path: string): Promise<Requirement[]> {
  const found = await findCriu(cacheFolder, path);
  const oldest = OLDEST_CRIU.join('.');
  const program: Requirement = {
    name: `CRIU ${oldest}`,
    isMet: found !== undefined,
    found: found
      ? `${found.version}, ${found.program}`
      : 'none that is recent enough on the PATH or in the cache',
    remedy:
      'install the package criu of Debian 13, or let `temporal-diffusion doctor --install` put it into the cache',
  };
  if (!found) return [program];
  const error = await run(found.program, ['check'], { timeout: 20_000 }).then(
    () => undefined,
    (failure: unknown) => lastLine(failure),
  );
  const kernel: Requirement = {
    name: 'CRIU’s own check',
    isMet: error === undefined,
    found: error ?? 'looks good',
    remedy: 'CRIU names the kernel feature that it misses: boot a kernel that has it',
  };
  return [program, kernel];
}

async function onPath(program: string, path: string): Promise<string | undefined> {
  for (const folder of path.split(delimiter).filter(Boolean)) {
    const file = join(folder, program);
    const isThere = await access(file, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isThere) return file;
  }
  return undefined;
}

/** One line: what a program said last, or why it could not be run. */
function lastLine(error: unknown): string {
  const said =
    error instanceof Error && 'stderr' in error && typeof error.stderr === 'string' ? error.stderr : '';
  const lines = (said.trim() || String(error))
    .split('\n')
    .filter((line) => !/rlimit: Can't setup/.test(line));
  return lines.at(-1)?.trim() ?? 'failed';
}
