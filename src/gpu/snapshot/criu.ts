import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, copyFile, lstat, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { SnapshotInvalid } from '../../contract/errors.js';
import { guards, makeEngineFolder } from '../host/engine-process.js';

const run = promisify(execFile);

/** CRIU 3.17, Debian 12's, can't read the memory maps of current kernels. */
export const OLDEST_CRIU = [4, 1] as const;
/** The release that `temporal-diffusion doctor --install` puts into the cache. */
export const INSTALLED_CRIU = '4.1.1';

/** Where a captured engine has its own files: its socket, its standard error, its memory. Private to each of them. */
export const ENGINE_RUN = '/run';
export const ENGINE_SOCKET = `${ENGINE_RUN}/engine.sock`;
export const ENGINE_STDERR = `${ENGINE_RUN}/stderr`;
export const ENGINE_MEMORY = `${ENGINE_RUN}/memory.img`;
/** What CRIU has learned of the kernel; it keeps it only where /run is a tmpfs, and saves 25 ms with it. */
const KERNEL_FEATURES = 'criu.kdat';

export interface Criu {
  readonly program: string;
  /** Such as `4.1.1`. */
  readonly version: string;
  /** More of its options, for those who look for what it can't do. */
  readonly options?: readonly string[];
}

/**
 * Finds CRIU: where `doctor --install` has put it, or on the PATH.
 * @returns undefined where there is none
 */
export async function findCriu(
  cacheFolder: string,
  path = process.env.PATH ?? '',
): Promise<Criu | undefined> {
  const installed = join(criuFolder(cacheFolder), 'bin', 'criu');
  // Its version is known without asking it, which would cost a restore 10 ms.
  if (existsSync(installed)) return { program: installed, version: INSTALLED_CRIU };
  const onPath = path.split(delimiter).map((folder) => join(folder, 'criu'));
  for (const program of onPath.filter((candidate) => existsSync(candidate))) {
    const version = await versionOf(program);
    if (version !== undefined && isRecent(version)) return { program, version };
  }
  return undefined;
}

export function criuFolder(cacheFolder: string): string {
  return join(cacheFolder, `criu-${INSTALLED_CRIU}`);
}

async function versionOf(program: string): Promise<string | undefined> {
  const told = await run(program, ['--version']).catch(() => undefined);
  return /^Version: (\d+(?:\.\d+)*)/m.exec(told?.stdout ?? '')?.[1];
}

export function isRecent(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > OLDEST_CRIU[0] || (major === OLDEST_CRIU[0] && minor >= OLDEST_CRIU[1]);
}

/**
 * A folder for one engine, which becomes its /run. In memory where that is possible: a socket's path there is short,
 * and CRIU believes its own notes about the kernel.
 */
export async function makePrivateRun(criu: Criu): Promise<string> {
  const parent = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
  const folder = await makeEngineFolder(parent);
  const notes = await kernelNotes(criu, parent);
  if (notes !== undefined) await copyFile(notes, join(folder, KERNEL_FEATURES)).catch(() => {});
  return folder;
}

/** Keeps what CRIU has just learned of this kernel for the next engine. It is lost with the next boot, as it should be. */
export async function keepKernelNotes(criu: Criu, folder: string): Promise<void> {
  const parent = join(folder, '..');
  if ((await kernelNotes(criu, parent)) !== undefined) return;
  const target = notesFile(criu, parent);
  try {
    await mkdir(join(target, '..'), { mode: 0o700, recursive: true });
    await copyFile(join(folder, KERNEL_FEATURES), `${target}.${process.pid}`);
    await chmod(`${target}.${process.pid}`, 0o600);
    await rename(`${target}.${process.pid}`, target);
  } catch {
    // It only saves time.
  }
}

function notesFile({ version }: Criu, parent: string): string {
  return join(ownFolder(parent), `criu-${version}.kdat`);
}

/** This user's, among those of engines. */
export function ownFolder(parent: string): string {
  return join(parent, `temporal-diffusion-${process.getuid?.() ?? 0}`);
}

/** The notes, where they are nobody's but ours: anybody may write to /dev/shm. */
async function kernelNotes(criu: Criu, parent: string): Promise<string | undefined> {
  const file = notesFile(criu, parent);
  try {
    const folder = await lstat(join(file, '..'));
    if (!folder.isDirectory() || folder.uid !== process.getuid?.() || (folder.mode & 0o077) !== 0)
      return undefined;
    await stat(file);
    return file;
  } catch {
    return undefined;
  }
}

/**
 * For a shell that `unshare --kill-child` has started: goes on only where its grandparent is `$1`, the host, and shifts
 * it away. Whoever dies takes along those who have asked for it by then; this one asks afterwards whether both are
 * still there, so no moment is left in which a host can die unnoticed.
 */
const WITH_HOST = `read -r _ _ _ parent _ </proc/self/stat && read -r _ _ _ host _ <"/proc/$parent/stat" && [ "$host" = "$1" ] && shift`;

const PRIVATE_MOUNTS = ['unshare', '--mount', '--propagation', 'private'];
/** Process 1 of a namespace takes everything in it along, wherever it comes from, and dies with its own parent. */
const PRIVATE_PROCESSES = ['--fork', '--pid', '--kill-child=SIGKILL'];
const OWN_RUN = `mount --bind "$1" ${ENGINE_RUN} && shift`;
const MOUNT_PROC = 'mount -t proc proc /proc';

/**
 * Where an engine is in the PID namespace of its own: as process 1 of it, which CRIU restores with the namespace; or
 * beside a process 1 of ours, with CRIU inside too, under a number that nobody has there. The latter sees its own
 * namespace's /proc: CUDA looks itself up there by the number that it knows, and does not start where another has it.
 */
export type Seat = 'first' | 'with own proc';

const WITHOUT_IO_URING = fileURLToPath(new URL('./without-io-uring.js', import.meta.url));
/** Far above those that CRIU's own processes get. */
const INNER_PID = 1000;
/** In an engine's folder while CRIU captures it: with process 1 CRIU would end too. */
const DUMPING = 'dumping';
/** What CRIU leaves in its working folder. */
const STATISTICS = 'stats-dump';

/**
 * The command by which an engine starts that is to be captured: in a PID namespace of its own, with `folder` as its
 * /run, seen by nobody else, on no terminal, with no file open outside its own folder, and without io_uring.
 */
export function capturableCommand(folder: string, engine: readonly string[], seat: Seat = 'first'): string[] {
  const quiet = `</dev/null >/dev/null 2>${ENGINE_STDERR}`;
  const beside = [
    `${MOUNT_PROC} && echo ${INNER_PID} >/proc/sys/kernel/ns_last_pid || exit`,
    `setsid "$@" ${quiet} & wait`,
    `if [ -e ${ENGINE_RUN}/${DUMPING} ]; then exec sleep infinity ${quiet}; fi`,
  ].join('\n');
  const start = seat === 'first' ? `exec setsid "$@" ${quiet}` : beside;
  const inside = ['unshare', ...PRIVATE_PROCESSES, 'sh', '-c', `${WITH_HOST} || exit\n${start}`];
  const host = String(process.pid);
  return [
    ...PRIVATE_MOUNTS,
    ...['sh', '-c', `${OWN_RUN} && exec "$@"`, 'sh', folder],
    ...[...inside, 'sh', host, process.execPath, WITHOUT_IO_URING, ...engine],
  ];
}

/**
 * Writes the images of a process and ends it.
 * @param pid as this process sees it
 * @throws SnapshotInvalid with CRIU's own reason
 */
export async function dump(
  criu: Criu,
  pid: number,
  images: string,
  folder: string,
  { seat = 'first', signal }: { readonly seat?: Seat; readonly signal?: AbortSignal | undefined } = {},
): Promise<void> {
  // In the engine's own mount namespace its files have the names that they will have again.
  const inside = seat === 'first' ? ['--mount'] : ['--mount', '--pid'];
  const number = seat === 'first' ? pid : await innerPid(pid);
  const command = ['--target', String(pid), ...inside, '--wdns=/', criu.program];
  // It goes on writing after it has ended the engine, whose folder is removed then.
  const options = ['dump', '--tree', String(number), '--images-dir', images, '--work-dir', images];
  if (seat !== 'first') await writeFile(join(folder, DUMPING), '');
  // Beside the images, for whoever wants to know why there are none: the folder goes with the engine.
  const logFile = join(images, 'dump.log');
  const [program = '', ...rest] = [
    ...(await guards({})),
    ...(seat === 'first' ? await oneAtATime(folder) : []),
    ...['nsenter', ...command, ...options, ...commonOptions(criu), '--log-file', logFile],
  ];
  const child = spawn(program, rest, {
    stdio: ['ignore', 'ignore', 'pipe'],
    ...(signal && { signal, killSignal: 'SIGKILL' }),
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  let failure: Error | undefined;
  child.once('error', (error) => {
    failure = error;
  });
  // Also where it is killed: until then it writes.
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  if (failure) throw failure;
  if (code === 0) {
    for (const file of [logFile, join(images, STATISTICS)]) await rm(file, { force: true });
    return;
  }
  const reason = (await criuErrors(logFile)) || said.trim();
  throw new SnapshotInvalid(`CRIU can't capture the engine: ${reason} [engine=${pid}, exit=${code}]`);
}

/**
 * For a process that does not see its own namespace's /proc CRIU makes a folder of a fixed name in the working folder,
 * which is the machine's root: a second capture at that moment would find it there, and fail.
 */
async function oneAtATime(folder: string): Promise<string[]> {
  const own = ownFolder(join(folder, '..'));
  await mkdir(own, { mode: 0o700, recursive: true });
  return ['flock', '--no-fork', join(own, DUMP_LOCK)];
}

/** In this user's folder: held while CRIU captures. */
export const DUMP_LOCK = 'dump.lock';

/** The number of a process in its innermost PID namespace. @param pid as this process sees it */
export async function innerPid(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const number = /^NSpid:.*\s(\d+)$/m.exec(status)?.[1];
  if (number === undefined)
    throw new SnapshotInvalid(`expected an engine to capture, it is gone [engine=${pid}]`);
  return Number(number);
}

/**
 * The command that restores an engine; killing it kills CRIU and the engine, also one that is half made. It makes
 * everything ready and waits for a line on its standard input until it does. The engine's standard error is the
 * command's own. CRIU stays as the engine's parent.
 */
export function restoreCommand(criu: Criu, images: string, folder: string): string[] {
  const script = [
    WITH_HOST,
    OWN_RUN,
    // CRIU looks for processes by the numbers that they have in its own namespace.
    MOUNT_PROC,
    'cd "$1" && shift',
    'read -r go',
    // Not by `exec`: CRIU takes what it knows of itself for the engine's where both are number 1 of their namespaces.
    '"$@" </dev/null 5<memory.img; exit',
  ].join(' && ');
  const restore = [
    ...[
      'restore',
      '--images-dir',
      '.',
      '--work-dir',
      folder,
      ...commonOptions(criu),
      '--log-file',
      'restore.log',
    ],
    ...['--inherit-fd', `fd[2]:${ENGINE_STDERR.slice(1)}`],
    ...['--inherit-fd', `fd[5]:${ENGINE_MEMORY.slice(1)}`],
  ];
  const inside = ['sh', '-c', script, 'sh', String(process.pid), folder, images, criu.program, ...restore];
  return [...PRIVATE_MOUNTS, ...PRIVATE_PROCESSES, ...inside];
}

/**
 * For CRIU when it restores: to wait for the end of a restore without hardware breakpoints (its FI_NO_BREAKPOINTS),
 * as it does where a processor has none. The first breakpoint of a machine cost 11 ms here, probably the kernel's
 * telling all processors of it.
 */
export const RESTORE_ENVIRONMENT = { CRIU_FAULT: '130' } as const;

/**
 * Control groups are the host's affair: a restored engine belongs to whoever restores it. Plugins would be looked for
 * in a folder that has none: CRIU's own for CUDA calls the driver once more.
 */
function commonOptions({ options = [] }: Criu): string[] {
  return ['--manage-cgroups=ignore', '--libdir', ENGINE_RUN, '-v2', ...options];
}

/** What CRIU said was wrong; empty where it said nothing. */
export async function criuErrors(logFile: string): Promise<string> {
  const text = await readFile(logFile, 'utf8').catch(() => '');
  // This one is told on machines that withhold CAP_SYS_RESOURCE, and means nothing.
  const errors = text
    .split('\n')
    .filter((line) => /Error \(/.test(line) && !/rlimit: Can't setup/.test(line));
  return errors
    .slice(0, 3)
    .map((line) => line.replace(/^\([\d.]+\)\s*/, ''))
    .join('; ');
}

export async function removeEngineFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
}
