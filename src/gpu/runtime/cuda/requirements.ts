import { execFile } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { access, realpath, statfs } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { onnxruntimeVersion } from '../onnxruntime-library.js';
import { hasCheckpoints } from './checkpoint.js';
import { compareVersions, readDevice, readDriver } from './cuda-driver.js';
import { computeTypes } from './cuda-runtime.js';
import { LEAST_CUDA } from './cuda-start.js';
import type { DeviceFacts } from './driver.js';
import { findProvider, PROVIDER_LIBRARIES, providerFolders } from './provider-libraries.js';

const run = promisify(execFile);

/** One thing that a GPU's engine needs of a machine. */
export interface GpuRequirement {
  readonly name: string;
  readonly isMet: boolean;
  /** What is there. */
  readonly found: string;
  /** What to do where it is not met. */
  readonly remedy: string;
  /** Whether pictures are drawn without it too. */
  readonly isOptional?: boolean;
}

/**
 * What ONNX Runtime's CUDA provider loads, with NVIDIA's packages for pip and for Debian's kin. Those before NVRTC
 * stand in the provider's own list (`readelf -d libonnxruntime_providers_cuda.so`); cuDNN it opens itself, and cuDNN
 * opens NVRTC.
 */
const LIBRARIES = [
  { name: 'libcudart.so.13', pip: 'nvidia-cuda-runtime==13.0.*', system: 'cuda-cudart-13-0' },
  { name: 'libcublas.so.13', pip: 'nvidia-cublas==13.0.*', system: 'libcublas-13-0' },
  { name: 'libcublasLt.so.13', pip: 'nvidia-cublas==13.0.*', system: 'libcublas-13-0' },
  { name: 'libcurand.so.10', pip: 'nvidia-curand==10.4.0.*', system: 'libcurand-13-0' },
  { name: 'libnvrtc.so.13', pip: 'nvidia-cuda-nvrtc==13.0.*', system: 'cuda-nvrtc-13-0' },
  { name: 'libcudnn.so.9', pip: 'nvidia-cudnn-cu13==9.*', system: 'libcudnn9-cuda-13' },
] as const;
const CUDNN = 'libcudnn.so.9';
/** The name that the provider opens it by, which NVIDIA's pip package doesn't have. */
const CUDNN_LINK = 'libcudnn.so';

/** Where the loader looks last. */
const DEFAULT_FOLDERS = ['/lib64', '/usr/lib64', '/lib', '/usr/lib'];
/** Where NVIDIA's installers put libraries, and the loader doesn't look by itself. */
const INSTALLERS_FOLDERS = ['/usr/local/cuda/lib64', '/usr/local/cuda-13/lib64', '/opt/cuda/lib64'];

/**
 * Compute capabilities that onnxruntime-gpu 1.30 has kernels for; those of one major number run from the first
 * minor number on. There is none that a driver could compile for other GPUs.
 */
const KERNELS = new Map([
  [7, 5],
  [8, 0],
  [9, 0],
  [12, 0],
]);

/** Docker gives a container 64 MiB of shared memory, which holds no model. */
const LEAST_SHARED_BYTES = 2 ** 30;

/**
 * What an engine on a GPU needs of this machine, met or not. Of libraries only the driver's is opened: others are
 * looked for where the loader would look.
 * @param libraryPath folders with colons between. Default: `LD_LIBRARY_PATH`
 */
export async function gpuRequirements(
  index: number,
  libraryPath = process.env.LD_LIBRARY_PATH ?? '',
): Promise<GpuRequirement[]> {
  const isLinux = process.platform === 'linux' && process.arch === 'x64';
  const system: GpuRequirement = {
    name: 'operating system',
    isMet: isLinux,
    found: `${process.platform} ${process.arch}`,
    remedy: 'GPUs need Linux on x86-64: start workers with --device cpu',
  };
  if (!isLinux) return [system];
  const loader = await Loader.open(libraryPath);
  return [
    system,
    ...(await driverAndGpu(index)),
    ...(await providers(libraryPath)),
    ...(await Promise.all(LIBRARIES.map((library) => cudaLibrary(library, loader)))),
    await cudnnLink(loader),
    await sharedMemory(),
    ...checkpoints(),
  ];
}

async function driverAndGpu(index: number): Promise<GpuRequirement[]> {
  const name = `NVIDIA driver of CUDA ${LEAST_CUDA}`;
  const gpu = `GPU ${index}`;
  const unknown = {
    name: gpu,
    isMet: false,
    found: 'unknown without the driver',
    remedy: 'the driver first',
  };
  let cudaVersion: string;
  try {
    const driver = readDriver();
    cudaVersion = driver.cudaVersion;
    const isMet = compareVersions(cudaVersion, LEAST_CUDA) >= 0;
    const requirement = {
      name,
      isMet,
      found: `${driver.driverVersion ?? 'of unknown version'}, CUDA ${cudaVersion}`,
      remedy: 'update the driver on the host (containers use the host’s) to 580 or newer',
    };
    if (!isMet) return [requirement, unknown];
    const facts = await readDevice(index).catch((error: Error) => error);
    return [
      requirement,
      gpuRequirement(gpu, facts),
      ...(facts instanceof Error ? [] : [sharingRequirement(facts)]),
    ];
  } catch (error) {
    return [{ name, isMet: false, ...halves(error) }, unknown];
  }
}

/** Whether a keeper can lend weights there. */
export function sharingRequirement({ canShare }: Pick<DeviceFacts, 'canShare'>): GpuRequirement {
  return {
    name: 'GPU memory that processes share, for worker --keeper',
    isMet: canShare,
    found: canShare ? 'by file descriptors' : 'the driver exports no file descriptors here',
    remedy:
      'nothing need be done: engines stream their weights themselves; --keeper off spares them the attempt',
    isOptional: true,
  };
}

/** @param facts of the GPU, or why there are none */
export function gpuRequirement(name: string, facts: DeviceFacts | Error): GpuRequirement {
  if (facts instanceof Error) {
    const { found, remedy } = halves(facts);
    return { name, isMet: false, found, remedy: remedy || 'nvidia-smi lists the GPUs that there are' };
  }
  const { major, minor } = facts.computeCapability;
  const least = KERNELS.get(major);
  const capability = `compute capability ${major}.${minor}`;
  return {
    name,
    isMet: least !== undefined && minor >= least,
    found: `${facts.name}, ${gigabytes(facts.totalBytes)}, ${capability}: ${computeTypes(facts).transformer}`,
    remedy: `onnxruntime-gpu ${onnxruntimeVersion()} has no kernels for ${capability}, only for ${[...KERNELS].map(([first, second]) => `${first}.${second}`).join(', ')} and their kin: use another GPU, or --device cpu`,
  };
}

async function providers(libraryPath: string): Promise<GpuRequirement[]> {
  const version = onnxruntimeVersion();
  const remedy = `take both out of the pip package onnxruntime-gpu==${version} (its folder onnxruntime/capi) and put their folder on LD_LIBRARY_PATH; docs/gpu.md has the commands`;
  return Promise.all(
    PROVIDER_LIBRARIES.map(async (name) => {
      const path = await findProvider(name, libraryPath);
      if (path === undefined) {
        return { name, isMet: false, found: `not in ${providerFolders(libraryPath).join(', ')}`, remedy };
      }
      // The other one is the same in all versions.
      const isMet = !name.endsWith('_cuda.so') || (await contains(path, `\0${version}\0`));
      return { name, isMet, found: isMet ? path : `${path} is not of version ${version}`, remedy };
    }),
  );
}

async function cudaLibrary(
  { name, pip, system }: (typeof LIBRARIES)[number],
  loader: Loader,
): Promise<GpuRequirement> {
  const path = await loader.find(name);
  const elsewhere = path ?? (await firstWith(INSTALLERS_FOLDERS, name));
  return {
    name,
    isMet: path !== undefined,
    found: path ?? (elsewhere ? `${elsewhere}, where the loader doesn’t look` : 'missing'),
    remedy: elsewhere
      ? `put ${dirname(elsewhere)} on LD_LIBRARY_PATH`
      : `unpack the pip package '${pip}' and put its lib folder on LD_LIBRARY_PATH, or install NVIDIA’s package ${system}; docs/gpu.md has the commands`,
  };
}

async function cudnnLink(loader: Loader): Promise<GpuRequirement> {
  const [link, library] = [await loader.find(CUDNN_LINK), await loader.find(CUDNN)];
  const target = link && (await realpath(link));
  const beside = library ? join(dirname(library), CUDNN_LINK) : CUDNN_LINK;
  return {
    name: CUDNN_LINK,
    isMet: target !== undefined && basename(target).startsWith(CUDNN),
    found: link === undefined ? 'missing' : link === target ? link : `${link} → ${target}`,
    remedy: `it must be a link to ${CUDNN} in a folder of LD_LIBRARY_PATH: ${library ? '' : `when ${CUDNN} is there, `}ln -sf ${CUDNN} ${beside}`,
  };
}

async function sharedMemory(): Promise<GpuRequirement> {
  const { bavail, blocks, bsize } = await statfs('/dev/shm').catch(() => ({
    bavail: 0,
    blocks: 0,
    bsize: 0,
  }));
  return {
    name: '/dev/shm, for worker --host-cache',
    isMet: bavail * bsize >= LEAST_SHARED_BYTES,
    found: blocks === 0 ? 'missing' : `${gigabytes(bavail * bsize)} of ${gigabytes(blocks * bsize)} are free`,
    remedy:
      'the cache needs room for all files of weights: start the container with --shm-size (Docker’s own is 64 MB), or remount /dev/shm with a larger size',
    isOptional: true,
  };
}

/** Without a driver there is more to do first. */
function checkpoints(): GpuRequirement[] {
  try {
    return [checkpointRequirement(hasCheckpoints() ? 'there' : 'missing', readDriver().driverVersion)];
  } catch {
    return [];
  }
}

export function checkpointRequirement(
  found: 'there' | 'missing',
  driverVersion: string | undefined,
): GpuRequirement {
  const driver = `driver ${driverVersion ?? 'of unknown version'}`;
  return {
    name: 'checkpoints of the driver, for snapshots',
    isMet: found === 'there',
    found: found === 'there' ? driver : `${driver} has none`,
    remedy:
      'driver without checkpoint support: needs R570 or newer; update it on the host (containers use the host’s). Without it engines start fresh',
    isOptional: true,
  };
}

/** Finds libraries as the system’s loader does, and doesn't load them: that runs code of theirs. */
class Loader {
  private constructor(
    private readonly folders: readonly string[],
    private readonly cached: ReadonlyMap<string, string>,
  ) {}

  static async open(libraryPath: string): Promise<Loader> {
    const environment = { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin` };
    const { stdout } = await run('ldconfig', ['-p'], { env: environment }).catch(() => ({ stdout: '' }));
    const entries = [...stdout.matchAll(/^\s*(\S+) \([^)]*x86-64[^)]*\) => (.+)$/gm)];
    // The first of a name counts.
    const cached = new Map(entries.reverse().map(([, name = '', path = '']) => [name, path]));
    return new Loader(libraryPath.split(':').filter(Boolean), cached);
  }

  async find(name: string): Promise<string | undefined> {
    const cached = this.cached.get(name);
    return (
      (await firstWith(this.folders, name)) ??
      (cached !== undefined && (await isThere(cached)) ? cached : undefined) ??
      (await firstWith(DEFAULT_FOLDERS, name))
    );
  }
}

async function firstWith(folders: readonly string[], name: string): Promise<string | undefined> {
  for (const folder of folders) {
    const path = join(folder, name);
    if (await isThere(path)) return path;
  }
  return undefined;
}

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

async function contains(path: string, text: string): Promise<boolean> {
  const wanted = Buffer.from(text, 'latin1');
  let rest = Buffer.alloc(0);
  for await (const chunk of createReadStream(path, { highWaterMark: 4 * 2 ** 20 })) {
    const bytes = Buffer.concat([rest, chunk as Buffer]);
    if (bytes.includes(wanted)) return true;
    rest = bytes.subarray(-wanted.length);
  }
  return false;
}

/** What is wrong, and what to do, which stand in one message. */
function halves(error: unknown): { found: string; remedy: string } {
  const message = error instanceof Error ? error.message : String(error);
  const [found = message, ...remedy] = message.split('; ');
  return { found, remedy: remedy.join('; ') };
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}
