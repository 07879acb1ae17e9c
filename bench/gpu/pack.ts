/*
 * Packs what a bare GPU machine without a network needs into a few files:
 *
 *   npm run build && node dist/bench/gpu/pack.js [--out out/gpu] [--part-megabytes 55] [--only app,model]
 *
 * Each part is a tar of pieces, whole in itself; `unpack.sh` takes them in any order. The Python wheels that
 * `requirements.txt` names are fetched with pip (`--find-links DIR` to take them from there). Pieces: node;
 * libraries, which is node_modules as far as an engine and its host need it; worker, which is the rest of it, and
 * temporal, the server: for whole jobs there; app, our own code; model, the bundled one;
 * cuda, ONNX Runtime's CUDA provider for one architecture (`--arch 90`; `--all-kernels` keeps those of the provider
 * that none of our graphs use); python; criu, with the libraries that it needs.
 */
import { execFile, spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { cp, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { parseArgs, promisify } from 'node:util';
import { cacheFolder } from '../../src/cli/cache-folder.js';
import { CRIU_LIBRARIES, CRIU_LOADER, installCriu, writeLauncher } from '../../src/cli/install-criu.js';
import { criuFolder, INSTALLED_CRIU } from '../../src/gpu/snapshot/criu.js';
import { packageRoot } from '../../src/package-root.js';
import { table } from '../report.js';
import { temporalProgram } from '../server.js';
import { keepArchitecture } from './fatbin.js';
import { packagesFor } from './node-packages.js';

const run = promisify(execFile);
const root = packageRoot();
const PROVIDER = 'libonnxruntime_providers_cuda.so';
/** What the engine, its host and this benchmark import. */
const IMPORTED = [
  '@huggingface/jinja',
  '@huggingface/tokenizers',
  'koffi',
  'onnxruntime-node',
  'pino',
  'protobufjs',
  'sharp',
  'zod',
];

const { values } = parseArgs({
  options: {
    out: { type: 'string', default: join(root, 'out', 'gpu') },
    'part-megabytes': { type: 'string', default: '55' },
    'find-links': { type: 'string' },
    arch: { type: 'string', default: '90' },
    'all-kernels': { type: 'boolean', default: false },
    only: { type: 'string' },
  },
});
const staging = join(values.out, 'staging');
const partBytes = Number(values['part-megabytes']) * 1e6;

/** Each puts its files into a folder. */
const pieces: Record<string, (folder: string) => Promise<void>> = {
  node: (folder) => copy(process.execPath, join(folder, 'bin', 'node')),
  async libraries(folder) {
    for (const name of await packagesFor(IMPORTED, root)) {
      const path = join('node_modules', name);
      await copy(join(root, path), join(folder, 'app', path), (file) => isNeededHere(file));
    }
  },
  async worker(folder) {
    const engines = new Set(await packagesFor(IMPORTED, root));
    for (const name of await packagesFor(await dependencies(), root)) {
      if (engines.has(name)) continue;
      const path = join('node_modules', name);
      await copy(join(root, path), join(folder, 'app', path), (file) => isNeededHere(file));
    }
  },
  temporal: async (folder) =>
    copy(await temporalProgram(() => import('@temporalio/worker')), join(folder, 'bin', 'temporal')),
  async app(folder) {
    const app = join(folder, 'app');
    for (const path of ['dist/src', 'dist/bench']) {
      await copy(join(root, path), join(app, path), (file) => !/\.(d\.ts|map)$/.test(file));
    }
    for (const path of ['package.json', 'bench/gpu', 'bench/RESULTS.md', 'test/fixtures']) {
      await copy(join(root, path), join(app, path));
    }
  },
  model: (folder) => copy(join(root, 'models', 'emoji'), join(folder, 'app', 'models', 'emoji')),
  async cuda(folder) {
    const [wheel] = await wheels(/^onnxruntime_gpu-/);
    const unpacked = join(staging, 'onnxruntime-gpu');
    await unzip(wheel as string, unpacked);
    const capi = join(unpacked, 'onnxruntime', 'capi');
    const library = await readFile(join(capi, PROVIDER));
    const trimmed = keepArchitecture(library, Number(values.arch), values['all-kernels']);
    print(
      `${PROVIDER}: ${megabytes(trimmed.keptBytes)} of kernels kept, ${megabytes(trimmed.blankedBytes)} blanked`,
    );
    await mkdir(join(folder, 'onnxruntime'), { recursive: true });
    await writeFile(join(folder, 'onnxruntime', PROVIDER), library);
    const shared = 'libonnxruntime_providers_shared.so';
    await copy(join(capi, shared), join(folder, 'onnxruntime', shared));
    await rm(unpacked, { recursive: true });
  },
  async criu(folder) {
    await installCriu({ cacheFolder: cacheFolder(), notify: print });
    const from = criuFolder(cacheFolder());
    const name = `criu-${INSTALLED_CRIU}`;
    const libraries = join(from, CRIU_LIBRARIES);
    const loader = join(libraries, CRIU_LOADER);
    const program = join('usr', 'sbin', 'criu');
    const { stdout } = await run(loader, ['--library-path', libraries, '--list', join(from, program)]);
    const needed = [...stdout.matchAll(/=> (\S+)/g)].map(([, path = '']) => path);
    for (const path of [loader, ...needed]) {
      await copy(path, join(folder, name, CRIU_LIBRARIES, basename(path)));
    }
    await copy(join(from, program), join(folder, name, program));
    // On the PATH there.
    await writeLauncher(join(folder, 'bin'), `../${name}`);
  },
  async python(folder) {
    for (const wheel of await wheels(/^(diffusers|importlib_metadata)-/)) {
      await unzip(wheel, join(folder, 'python'));
    }
    for (const wheel of await wheels(/^(transformers|huggingface_hub|tokenizers|safetensors)-/)) {
      await unzip(wheel, join(folder, 'python-newer'));
    }
  },
};

/** Of the native libraries only this platform's. */
function isNeededHere(file: string): boolean {
  if (/\.(d\.[cm]?ts|map|md)$/.test(file)) return false;
  if (/onnxruntime-node\/bin\//.test(file)) return !/\/(darwin|win32|arm64)(\/|$)|providers/.test(file);
  if (/core-bridge\/(releases|sdk-core)\//.test(file))
    return /releases\/x86_64-unknown-linux-gnu(\/|$)/.test(file);
  return !/\/musl_x64(\/|$)|\/koffi\/(doc|vendor|lib)(\/|$)|\.(cc|hh|c|h|S|asm)$/.test(file);
}

/** What our package itself depends on. */
async function dependencies(): Promise<string[]> {
  const manifest: { dependencies: Record<string, string> } = JSON.parse(
    await readFile(join(root, 'package.json'), 'utf8'),
  );
  return Object.keys(manifest.dependencies);
}

async function copy(from: string, to: string, wanted: (file: string) => boolean = () => true): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  await cp(from, to, { recursive: true, dereference: true, filter: wanted });
}

let fetched: Promise<string> | undefined;

/** Paths of the wheels whose names match. */
async function wheels(pattern: RegExp): Promise<string[]> {
  fetched ??= fetchWheels();
  const folder = await fetched;
  return (await readdir(folder)).filter((name) => pattern.test(name)).map((name) => join(folder, name));
}

async function fetchWheels(): Promise<string> {
  const folder = join(values.out, 'wheels');
  // Any Python 3.11 or later takes them: only the CUDA provider's wheel is for one version, and no Python loads that.
  const platforms = ['manylinux_2_28_x86_64', 'manylinux_2_17_x86_64', 'manylinux2014_x86_64', 'any'];
  await run('python3', [
    ...['-m', 'pip', 'download', '--quiet', '--no-deps', '--only-binary=:all:', '--require-hashes'],
    ...['--python-version', '3.11', '--implementation', 'cp'],
    ...platforms.flatMap((platform) => ['--platform', platform]),
    ...(values['find-links'] ? ['--find-links', values['find-links']] : []),
    ...['--dest', folder, '--requirement', join(root, 'bench', 'gpu', 'requirements.txt')],
  ]);
  return folder;
}

async function unzip(wheel: string, folder: string): Promise<void> {
  await run('python3', ['-m', 'zipfile', '-e', wheel, folder]);
}

/** @returns the compressed piece's path */
async function pack(name: string, fill: (folder: string) => Promise<void>): Promise<string> {
  const folder = join(staging, name);
  await rm(folder, { recursive: true, force: true });
  await fill(folder);
  const file = join(values.out, `${name}.tar.xz`);
  const tar = spawn('tar', ['--sort=name', '--owner=0', '--group=0', '-C', folder, '-cf', '-', '.'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const xz = spawn('xz', ['-9e', '-c'], { stdio: ['pipe', 'pipe', 'inherit'] });
  await Promise.all([pipeline(tar.stdout, xz.stdin), pipeline(xz.stdout, createWriteStream(file))]);
  await rm(folder, { recursive: true });
  return file;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

/** Largest first, each into the first part that has room. */
function distribute(files: readonly { path: string; bytes: number }[]) {
  const parts: { bytes: number; paths: string[] }[] = [];
  for (const { path, bytes } of [...files].sort((a, b) => b.bytes - a.bytes)) {
    if (bytes > partBytes) {
      throw new Error(
        `${basename(path)}: expected at most ${megabytes(partBytes)}, got ${megabytes(bytes)}: raise --part-megabytes`,
      );
    }
    let part = parts.find((candidate) => candidate.bytes + bytes <= partBytes);
    if (!part) {
      part = { bytes: 0, paths: [] };
      parts.push(part);
    }
    part.bytes += bytes;
    part.paths.push(path);
  }
  return parts;
}

const wanted = values.only?.split(',') ?? Object.keys(pieces);
await mkdir(values.out, { recursive: true });
for (const old of (await readdir(values.out)).filter((name) => /^part-\d+\.tar$/.test(name))) {
  await rm(join(values.out, old));
}
const files: { path: string; bytes: number }[] = [];
for (const name of wanted) {
  const fill = pieces[name];
  if (!fill) throw new Error(`--only: expected some of ${Object.keys(pieces).join(', ')}, got ${name}`);
  const path = await pack(name, fill);
  files.push({ path, bytes: (await stat(path)).size });
  print(`${basename(path)}: ${megabytes(files.at(-1)?.bytes ?? 0)}`);
}
const rows: string[][] = [];
for (const [index, { bytes, paths }] of distribute(files).entries()) {
  const part = join(values.out, `part-${index + 1}.tar`);
  await run('tar', ['-cf', part, '-C', values.out, ...paths.map((path) => basename(path))]);
  rows.push([basename(part), megabytes(bytes), paths.map((path) => basename(path)).join(', ')]);
}
await rm(staging, { recursive: true, force: true });
print(`\n${table(['part', 'size', 'pieces'], rows)}`);
