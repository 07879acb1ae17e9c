import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { criuFolder, findCriu } from '../gpu/snapshot/criu.js';

const run = promisify(execFile);

/** Debian 13's package, and what it must hash to. */
const PACKAGE = {
  suite: 'trixie',
  name: 'criu',
  version: '4.1.1-1',
  sha256: 'f3120d90b37d893879213d799c83696d6175ac8df3dc290e4e6c1fd0d2c2f82f',
} as const;

/**
 * The shared libraries that it needs, libc among them, since older systems' are too old for it. Debian replaces these
 * with every security fix, so they are taken as they are now, signed by Debian.
 */
const LIBRARIES = [
  ...['libcompel1', 'libc6', 'libbsd0', 'libmd0', 'libgnutls30t64', 'libnet1', 'libnftables1', 'libnl-3-200'],
  ...[
    'libprotobuf-c1',
    'libuuid1',
    'libp11-kit0',
    'libidn2-0',
    'libunistring5',
    'libtasn1-6',
    'libhogweed6t64',
  ],
  ...[
    'libnettle8t64',
    'libgmp10',
    'libffi8',
    'libmnl0',
    'libnftnl11',
    'libxtables12',
    'libjansson4',
    'libedit2',
  ],
  ...['libtinfo6', 'libzstd1', 'libbrotli1', 'zlib1g'],
];

export interface InstallCriuOptions {
  readonly cacheFolder: string;
  /** Tells the user why this takes a while. */
  readonly notify: (message: string) => void;
  readonly signal?: AbortSignal;
}

/**
 * Puts CRIU, with the libraries that it needs, into the cache folder; nothing else on the machine changes. Needs
 * apt-get and dpkg of a Debian, of whatever release, and root, as CRIU itself does.
 * @returns the program's path
 */
export async function installCriu({ cacheFolder, notify, signal }: InstallCriuOptions): Promise<string> {
  const target = criuFolder(cacheFolder);
  const program = join(target, 'bin', 'criu');
  if (await isInstalled(cacheFolder, program)) return program;
  if (process.arch !== 'x64') {
    throw new Error(
      `expected an x64 machine, got ${process.arch}: install CRIU 4.1 or newer with your system's own means`,
    );
  }
  notify(`installing CRIU ${PACKAGE.version} into ${target}, once: 12 MB`);
  await mkdir(cacheFolder, { recursive: true });
  const scratch = await mkdtemp(join(cacheFolder, '.tmp-criu-'));
  try {
    const prefix = join(scratch, 'prefix');
    const packages = await download(scratch, signal);
    for (const file of packages) await run('dpkg', ['-x', file, prefix], { ...(signal && { signal }) });
    await writeLauncher(join(prefix, 'bin'), '..');
    // Another process may have been faster.
    await rm(target, { recursive: true, force: true });
    await rename(prefix, target);
    return program;
  } catch (error) {
    signal?.throwIfAborted();
    if (await isInstalled(cacheFolder, program)) return program;
    throw new Error(
      `can't install CRIU with apt-get and dpkg (${reason(error)}): install version 4.1 or newer with your system's own means; Debian 13 has it as the package criu`,
      { cause: error },
    );
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function isInstalled(cacheFolder: string, program: string): Promise<boolean> {
  return (await findCriu(cacheFolder, ''))?.program === program;
}

/** Fetches the packages with the machine's own apt and mirror, but with lists and a cache of their own. */
async function download(scratch: string, signal?: AbortSignal): Promise<string[]> {
  const options = { cwd: join(scratch, 'packages'), ...(signal && { signal }) };
  for (const folder of ['packages', 'lists/partial', 'cache/archives/partial']) {
    await mkdir(join(scratch, folder), { recursive: true });
  }
  const { stdout } = await run('apt-get', ['indextargets', '--format', '$(SITE)', 'Created-By: Packages']);
  const mirror = stdout.split('\n').find((site) => /debian\/?$/.test(site));
  if (mirror === undefined) throw new Error('apt knows no mirror of Debian');
  const sources = join(scratch, 'sources.list');
  const keys = '/usr/share/keyrings/debian-archive-keyring.gpg';
  await writeFile(sources, `deb [arch=amd64 signed-by=${keys}] ${mirror} ${PACKAGE.suite} main\n`);
  const settings = [
    `Dir::Etc::sourcelist=${sources}`,
    'Dir::Etc::sourceparts=/dev/null',
    `Dir::State::Lists=${join(scratch, 'lists')}`,
    `Dir::Cache=${join(scratch, 'cache')}`,
    // As another user, apt could not write here.
    'APT::Sandbox::User=root',
  ].flatMap((setting) => ['-o', setting]);
  await run('apt-get', ['-qq', ...settings, 'update'], options);
  await run(
    'apt-get',
    ['-qq', ...settings, 'download', `${PACKAGE.name}=${PACKAGE.version}`, ...LIBRARIES],
    options,
  );
  const files = (await readdir(options.cwd))
    .filter((name) => name.endsWith('.deb'))
    .map((name) => join(options.cwd, name));
  const criu = files.find((file) => file.includes(`/${PACKAGE.name}_`));
  const sha256 =
    criu &&
    createHash('sha256')
      .update(await readFile(criu))
      .digest('hex');
  if (sha256 !== PACKAGE.sha256)
    throw new Error(`expected the package criu with SHA-256 ${PACKAGE.sha256}, got ${sha256}`);
  return files;
}

/** Where its libraries are, below its folder. */
export const CRIU_LIBRARIES = 'usr/lib/x86_64-linux-gnu';
export const CRIU_LOADER = 'ld-linux-x86-64.so.2';

/**
 * Writes the program `criu`. Its own loader finds its own libraries: the system's may be too old.
 * @param folder that the program is written into
 * @param from from there to what was unpacked: all of it may be moved together
 */
export async function writeLauncher(folder: string, from: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const launcher = join(folder, 'criu');
  // As whoever runs a script names it to the shell: its path.
  const at = (path: string) => `"\${0%/*}/${from}/${path}"`;
  const command = `${at(`${CRIU_LIBRARIES}/${CRIU_LOADER}`)} --library-path ${at(CRIU_LIBRARIES)} ${at('usr/sbin/criu')}`;
  await writeFile(launcher, `#!/bin/sh\nexec ${command} "$@"\n`);
  await chmod(launcher, 0o755);
}

/** One line: what a program said last, or why it could not be run. */
function reason(error: unknown): string {
  const said =
    error instanceof Error && 'stderr' in error && typeof error.stderr === 'string' ? error.stderr : '';
  return (said.trim() || String(error)).split('\n').at(-1)?.trim() ?? '';
}
