import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { access, mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { DeviceLost } from '../src/contract/errors.js';
import { errorOfCuda } from '../src/gpu/runtime/cuda/cuda-error.js';
import { type GpuRequirement, gpuRequirement } from '../src/gpu/runtime/cuda/requirements.js';
import { onnxruntimeVersion } from '../src/gpu/runtime/onnxruntime-library.js';
import { isRecent } from '../src/gpu/snapshot/criu.js';
import { type Requirement, requirements } from '../src/gpu/snapshot/requirements.js';
import { scratchFolder } from './support/scratch.js';
import { criu, NO_CRIU } from './support/snapshots.js';

const CLI = fileURLToPath(new URL('../src/cli/main.js', import.meta.url));
const scratch = scratchFolder();

function cli(before: readonly string[], args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const [command = '', ...rest] = [...before, process.execPath, CLI, ...args];
  return spawnSync(command, rest, { encoding: 'utf8', env: { ...process.env, ...env } });
}

test('a machine that lacks nothing is told so', { skip: NO_CRIU }, () => {
  const { status, stdout } = cli([], ['doctor']);
  assert.equal(status, 0, stdout);
  assert.match(stdout, /✔ CAP_CHECKPOINT_RESTORE: there/);
  assert.match(stdout, /✔ CRIU 4\.1: \d/);
  assert.match(stdout, /workers of this machine can start from snapshots\n$/);
});

test('what is missing is named, each thing with its remedy: the capability', { skip: NO_CRIU }, () => {
  const without = ['setpriv', '--bounding-set=-checkpoint_restore,-sys_ptrace', '--'];
  const { status, stdout } = cli(without, ['doctor', '--json']);
  assert.equal(status, 1);
  const missing = (JSON.parse(stdout) as Requirement[]).filter(({ isMet }) => !isMet);
  const names = missing.map(({ name }) => name);
  assert.deepEqual(names.slice(0, 2), ['CAP_SYS_PTRACE', 'CAP_CHECKPOINT_RESTORE']);
  assert.match(missing[1]?.remedy ?? '', /--cap-add CHECKPOINT_RESTORE/);
});

test('… the right to make namespaces', { skip: NO_CRIU }, () => {
  const { status, stdout } = cli(['setpriv', '--bounding-set=-sys_admin', '--'], ['doctor']);
  assert.equal(status, 1);
  assert.match(
    stdout,
    /✖ CAP_SYS_ADMIN: missing \[uid=0\]\n {4}→ run as root, in a container with --cap-add SYS_ADMIN/,
  );
  assert.match(stdout, /✖ private namespaces: .*Operation not permitted/);
  assert.match(stdout, /\d of \d+ are missing\. They start fresh\.\n$/);
});

test('… the package, for programs and for CRIU', async () => {
  const missing = (await requirements(scratch, '/nowhere')).filter(({ isMet }) => !isMet);
  const remedies = Object.fromEntries(missing.map(({ name, remedy }) => [name, remedy]));
  assert.match(remedies.unshare ?? '', /package util-linux/);
  assert.match(remedies.mount ?? '', /package mount/);
  assert.match(remedies['CRIU 4.1'] ?? '', /package criu of Debian 13/);
});

test('a CRIU that is too old is none', () => {
  assert.deepEqual(
    ['3.17.1', '4.0', '4.1', '4.1.1', '4.10', '5.0'].map((version) => isRecent(version)),
    [false, false, true, true, true, true],
  );
});

test('the CRIU in the cache is the release that the package names', { skip: NO_CRIU }, async () => {
  const { stdout } = spawnSync(criu.program, ['--version'], { encoding: 'utf8' });
  assert.match(stdout, new RegExp(`^Version: ${criu.version.replaceAll('.', '\\.')}$`, 'm'));
});

test('`snapshot` makes, lists, verifies and prunes', { skip: NO_CRIU }, async () => {
  const folder = join(scratch, 'snapshots');
  const options = ['--snapshots', folder, '--threads', '2'];
  const created = cli([], ['snapshot', 'create', ...options]);
  assert.equal(created.status, 0, created.stderr);
  assert.match(created.stdout, /^emoji-[0-9a-f]{16} {2}\d+ MB$/m);
  assert.match(created.stdout, /first picture \d+ ms after a restore, \d+ ms after a fresh start/);

  const listed = JSON.parse(cli([], ['snapshot', 'list', '--json', '--snapshots', folder]).stdout) as {
    slot: string;
    folder: string;
  }[];
  assert.equal(listed.length, 1);
  assert.equal(cli([], ['snapshot', 'verify', '--snapshots', folder]).status, 0);
  const image = join(listed[0]?.folder ?? '', 'images', 'memory.img');
  spawnSync('truncate', ['--size=-4096', image]);
  const verified = cli([], ['snapshot', 'verify', '--snapshots', folder]);
  assert.equal(verified.status, 1);
  assert.match(verified.stdout, /image memory\.img: expected \d+ bytes, got \d+/);

  assert.match(cli([], ['snapshot', 'prune', '--snapshots', folder]).stdout, /^0 removed/);
  assert.match(
    cli([], ['snapshot', 'prune', '--older-than', '0', '--snapshots', folder]).stdout,
    /^1 removed/,
  );
  await assert.rejects(access(image));
  assert.match(cli([], ['snapshot', 'list', '--snapshots', folder]).stdout, /no snapshots/);
});

test('a bad command line is refused in the words of what was expected', () => {
  const { status, stderr } = cli([], ['snapshot', 'dance']);
  assert.equal(status, 2);
  assert.match(stderr, /expected one of create, list, verify, prune/);
  assert.equal(cli([], ['doctor', 'please']).status, 2);
  const gpu = cli([], ['doctor', '--device', 'gpu']);
  assert.equal(gpu.status, 2);
  assert.match(gpu.stderr, /expected cpu or cuda:N/);
  assert.equal(cli([], ['doctor', '--device', 'cuda:0', '--install']).status, 2);
});

describe('doctor --device', () => {
  const CUDA = [
    'libcudart.so.13',
    'libcublas.so.13',
    'libcublasLt.so.13',
    'libcurand.so.10',
    'libnvrtc.so.13',
    'libcudnn.so.9',
  ];
  const PROVIDERS = ['libonnxruntime_providers_shared.so', 'libonnxruntime_providers_cuda.so'];

  /** Folders with files that no loader could load: whoever only looks does not mind. */
  async function librariesIn(folder: string, version = onnxruntimeVersion()): Promise<string> {
    const [cuda, providers] = [join(folder, 'cuda'), join(folder, 'providers')];
    for (const made of [cuda, providers]) await mkdir(made, { recursive: true });
    for (const name of CUDA) await writeFile(join(cuda, name), '');
    await symlink('libcudnn.so.9', join(cuda, 'libcudnn.so'));
    for (const name of PROVIDERS) await writeFile(join(providers, name), `ELF\0${version}\0`);
    return `${cuda}:${providers}`;
  }

  function ask(libraryPath: string) {
    const { status, stdout } = cli([], ['doctor', '--device', 'cuda:0', '--json'], {
      LD_LIBRARY_PATH: libraryPath,
    });
    const all = JSON.parse(stdout) as GpuRequirement[];
    return { status, of: (name: string) => all.find((found) => found.name === name) as GpuRequirement };
  }

  test('the CPU always can', () => {
    const { status, stdout } = cli([], ['doctor', '--device', 'cpu']);
    assert.equal(status, 0);
    assert.match(stdout, /workers of this machine can draw on cpu\n$/);
  });

  test('every library that is missing is named, with the packages that have it', async () => {
    const folder = join(scratch, 'nothing');
    await mkdir(folder);
    const { status, stdout } = cli([], ['doctor', '--device', 'cuda:0'], { LD_LIBRARY_PATH: folder });
    assert.equal(status, 1);
    for (const name of PROVIDERS) {
      assert.match(stdout, new RegExp(`✖ ${name}: not in .*${folder}\n {4}→ .*onnxruntime-gpu==`));
    }
    assert.match(stdout, /workers of this machine can't draw on cuda:0: \d+ of \d+ are missing\./);
    const { of } = ask(folder);
    for (const name of CUDA.filter((name) => !of(name).isMet)) {
      assert.match(of(name).remedy, /pip package 'nvidia-.*' .*NVIDIA’s package \S+|LD_LIBRARY_PATH/);
    }
  });

  test('what lies in folders of LD_LIBRARY_PATH is found, and nothing of it is loaded', async () => {
    const folder = join(scratch, 'all');
    const { of } = ask(await librariesIn(folder));
    for (const name of CUDA) assert.equal(of(name).found, join(folder, 'cuda', name));
    for (const name of PROVIDERS) assert.equal(of(name).found, join(folder, 'providers', name));
    for (const name of [...CUDA, ...PROVIDERS, 'libcudnn.so']) assert.ok(of(name).isMet, name);
  });

  test('one that is gone is the one that is named', async () => {
    const folder = join(scratch, 'gone');
    const path = await librariesIn(folder);
    await rm(join(folder, 'cuda', 'libcudnn.so'));
    const { status, of } = ask(path);
    assert.equal(status, 1);
    if (of('libcudnn.so').isMet) return; // This machine has one of its own.
    assert.ok(of('libcudnn.so.9').isMet);
    assert.match(of('libcudnn.so').remedy, new RegExp(`ln -sf libcudnn.so.9 ${folder}/cuda/libcudnn.so$`));
  });

  test('a link to another cuDNN, and providers of another version, do not count', async () => {
    const folder = join(scratch, 'other');
    const path = await librariesIn(folder, '1.29.0');
    await writeFile(join(folder, 'cuda', 'libcudnn.so.8'), '');
    await rm(join(folder, 'cuda', 'libcudnn.so'));
    await symlink('libcudnn.so.8', join(folder, 'cuda', 'libcudnn.so'));
    const { of } = ask(path);
    assert.match(of('libcudnn.so').found, /libcudnn\.so → .*libcudnn\.so\.8$/);
    assert.equal(of('libcudnn.so').isMet, false);
    const provider = of('libonnxruntime_providers_cuda.so');
    assert.equal(provider.isMet, false);
    assert.match(provider.found, new RegExp(`is not of version ${onnxruntimeVersion()}$`));
  });

  test('a driver that can not be loaded is told in the loader’s words', async () => {
    const folder = join(scratch, 'driver');
    await mkdir(folder);
    await writeFile(join(folder, 'libcuda.so.1'), 'no library');
    const { status, of } = ask(folder);
    assert.equal(status, 1);
    const driver = of('NVIDIA driver of CUDA 13.0');
    assert.match(driver.found, /libcuda\.so\.1, the loader says: /);
    assert.match(driver.remedy, /install the NVIDIA driver/);
    assert.equal(of('GPU 0').isMet, false);
  });

  test('a GPU is judged by what onnxruntime-gpu has kernels for', () => {
    const judged = (major: number, minor: number) =>
      gpuRequirement('GPU 0', {
        index: 0,
        name: 'a GPU',
        uuid: '0',
        canShare: true,
        computeCapability: { major, minor },
        cudaVersion: '13.0',
        driverVersion: '580.159.04',
        totalBytes: 85.02e9,
      });
    assert.equal(judged(9, 0).found, 'a GPU, 85.0 GB, compute capability 9.0: bfloat16');
    assert.match(judged(7, 5).found, /7\.5: float16$/);
    const met = [judged(7, 0), judged(7, 5), judged(8, 9), judged(9, 0), judged(10, 0), judged(12, 1)];
    assert.deepEqual(
      met.map(({ isMet }) => isMet),
      [false, true, true, true, false, true],
    );
    assert.match(judged(10, 0).remedy, /no kernels for compute capability 10\.0/);
  });

  test('a GPU that is not there is told with what to look at', () => {
    const lost = errorOfCuda('cuDeviceGet', 101, undefined, 'device=3');
    assert.ok(lost instanceof DeviceLost);
    const { isMet, found, remedy } = gpuRequirement('GPU 3', lost);
    assert.equal(isMet, false);
    assert.match(found, /CUDA_ERROR_INVALID_DEVICE \(101\): \[device=3\]$/);
    assert.match(remedy, /nvidia-smi -L/);
  });
});
