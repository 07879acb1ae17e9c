import { readFileSync } from 'node:fs';
import type { KoffiFunc, LibraryHandle } from 'koffi';
import { DeviceLost, OutOfMemory } from '../../../contract/errors.js';
import { type GpuFacts, PROCESS_STATES, type ProcessState, type RefusalKind } from './checkpoint-protocol.js';
import { loadCuda } from './cuda-driver.js';
import { CUDA_SUCCESS, errorOfCuda } from './cuda-error.js';
import { addressOf, loadLibrary, textAt } from './native.js';

/** The driver can't checkpoint processes at all. */
export class CheckpointUnsupported extends Error {}

/** CUDA's checkpoint calls, for other processes. All throw `CudaError` or `DeviceLost` where the driver refuses. */
export interface CheckpointDriver {
  /** @throws DeviceLost where there is no such GPU */
  device(index: number): GpuFacts;
  state(pid: number): ProcessState;
  /** Running → locked. */
  lock(pid: number, timeoutMs: number): void;
  /** Locked → checkpointed. */
  checkpoint(pid: number): void;
  /** Checkpointed → locked. @param moved UUIDs of the GPU that it was on, and of the one that it shall be on */
  restore(pid: number, moved?: { readonly from: string; readonly to: string }): void;
  /** Locked → running. */
  unlock(pid: number): void;
}

/** Of `cuda.h`. Argument structures are bytes: all of them are 64 long, and zeros are their defaults. */
const BASICS = {
  cuInit: ['uint'],
  cuGetErrorName: ['int', 'uint64 *'],
  cuDeviceGet: ['int *', 'int'],
  cuDeviceGetName: ['uint8 *', 'int', 'int'],
  cuDeviceGetUuid_v2: ['uint8 *', 'int'],
  cuDeviceTotalMem_v2: ['uint64 *', 'int'],
} as const;
const CHECKPOINTS = {
  cuCheckpointProcessGetState: ['int', 'int *'],
  cuCheckpointProcessLock: ['int', 'uint8 *'],
  cuCheckpointProcessCheckpoint: ['int', 'uint8 *'],
  cuCheckpointProcessRestore: ['int', 'uint8 *'],
  cuCheckpointProcessUnlock: ['int', 'uint8 *'],
} as const;
/** Of `nvml.h`: memory that is free without a context of ours, which would take half a gigabyte itself. */
const NVML = {
  nvmlInit_v2: [],
  nvmlSystemGetDriverVersion: ['uint8 *', 'uint'],
  nvmlDeviceGetCount_v2: ['uint32 *'],
  nvmlDeviceGetHandleByIndex_v2: ['uint', 'uint64 *'],
  nvmlDeviceGetHandleByUUID: ['const char *', 'uint64 *'],
  nvmlDeviceGetMemoryInfo: ['uint64', 'uint64 *'],
  nvmlDeviceGetName: ['uint64', 'uint8 *', 'uint'],
  nvmlDeviceGetUUID: ['uint64', 'uint8 *', 'uint'],
  nvmlDeviceGetPersistenceMode: ['uint64', 'int *'],
} as const;
const NVML_LIBRARY = 'libnvidia-ml.so.1';
const NVML_SUCCESS = 0;
/** `CUDA_ERROR_NOT_INITIALIZED`. */
const NOT_INITIALIZED = 3;

type Argument = number | bigint | string | Uint8Array | Int32Array | Uint32Array | BigUint64Array;
type Functions<Names extends string> = Readonly<
  Record<Names, KoffiFunc<(...args: (Argument | null)[]) => number>>
>;

const ARGUMENT_BYTES = 64;
const UUID_BYTES = 16;

/**
 * Opens the driver for checkpoints of other processes. Takes nothing of a GPU.
 * @throws DeviceLost where there is no driver; CheckpointUnsupported where it can't checkpoint
 */
export function openCheckpointDriver(): CheckpointDriver {
  const library = loadCuda();
  const basics = functionsOf(library, BASICS);
  const checkpoints = checkpointsOf(library);
  return new KoffiCheckpointDriver({ ...basics, ...checkpoints });
}

/** Whether the driver of this machine can checkpoint processes. @throws DeviceLost where there is none */
export function hasCheckpoints(): boolean {
  const library = loadCuda();
  try {
    checkpointsOf(library);
    return true;
  } catch {
    return false;
  }
}

function checkpointsOf(library: LibraryHandle): Functions<keyof typeof CHECKPOINTS> {
  try {
    return functionsOf(library, CHECKPOINTS);
  } catch (cause) {
    const version = kernelDriverVersion();
    throw new CheckpointUnsupported(
      `driver without checkpoint support: needs R570 or newer${version === undefined ? '' : `, got ${version}`}; update the driver on the host (containers use the host's)`,
      { cause },
    );
  }
}

function functionsOf<Names extends string>(
  library: LibraryHandle,
  signatures: Readonly<Record<Names, readonly string[]>>,
): Functions<Names> {
  const functions = Object.entries<readonly string[]>(signatures).map(([name, args]) => [
    name,
    library.func(name, 'int', [...args]),
  ]);
  return Object.fromEntries(functions) as Functions<Names>;
}

function kernelDriverVersion(): string | undefined {
  try {
    return readFileSync('/sys/module/nvidia/version', 'utf8').trim();
  } catch {
    return undefined;
  }
}

class KoffiCheckpointDriver implements CheckpointDriver {
  /** Undefined where there is none, which is no reason not to go on. */
  readonly #nvml = openNvml();
  /** The machine's GPU, where it has one only, and all see it: then its numbers are the same to everybody. */
  readonly #only = process.env.CUDA_VISIBLE_DEVICES === undefined ? this.#nvml?.only() : undefined;
  #isInitialised = false;

  constructor(private readonly functions: Functions<keyof typeof BASICS | keyof typeof CHECKPOINTS>) {}

  /**
   * A quarter of a second, which a restore waits for. It needs none where the device is kept awake (persistence mode),
   * by CUDA's documentation.
   */
  #initialise(): void {
    if (this.#isInitialised) return;
    this.#call('cuInit', 0);
    this.#isInitialised = true;
  }

  device(index: number): GpuFacts {
    const only = this.#only;
    if (only && index === 0) return { index, ...only.facts(), driver: this.#driverVersion() };
    this.#initialise();
    const handle = new Int32Array(1);
    this.#call('cuDeviceGet', handle, index);
    const device = handle[0] ?? 0;
    const name = Buffer.alloc(256);
    this.#call('cuDeviceGetName', name, name.length, device);
    const uuid = Buffer.alloc(UUID_BYTES);
    this.#call('cuDeviceGetUuid_v2', uuid, device);
    const total = new BigUint64Array(1);
    this.#call('cuDeviceTotalMem_v2', total, device);
    const facts = { index, name: textIn(name), uuid: uuidText(uuid), totalBytes: Number(total[0]) };
    const freeBytes = this.#nvml?.freeBytes(facts.uuid);
    return {
      ...facts,
      driver: this.#driverVersion(),
      ...(freeBytes !== undefined && { freeBytes }),
    };
  }

  #driverVersion(): string {
    return kernelDriverVersion() ?? this.#nvml?.driverVersion() ?? 'unknown';
  }

  state(pid: number): ProcessState {
    const state = new Int32Array(1);
    this.#checkpointCall('cuCheckpointProcessGetState', pid, state);
    const name = PROCESS_STATES[state[0] ?? -1];
    if (!name) throw new Error(`expected a state of CUDA's, got ${state[0]} for process ${pid}`);
    return name;
  }

  lock(pid: number, timeoutMs: number): void {
    const args = Buffer.alloc(ARGUMENT_BYTES);
    args.writeUInt32LE(timeoutMs, 0); // timeoutMs
    this.#checkpointCall('cuCheckpointProcessLock', pid, args);
  }

  checkpoint(pid: number): void {
    this.#checkpointCall('cuCheckpointProcessCheckpoint', pid, Buffer.alloc(ARGUMENT_BYTES));
  }

  restore(pid: number, moved?: { readonly from: string; readonly to: string }): void {
    if (!moved) {
      this.#checkpointCall('cuCheckpointProcessRestore', pid, Buffer.alloc(ARGUMENT_BYTES));
      return;
    }
    // `CUcheckpointGpuPair`: the old UUID, then the new one.
    const pair = Buffer.concat([uuidBytes(moved.from), uuidBytes(moved.to)]);
    const args = Buffer.alloc(ARGUMENT_BYTES);
    args.writeBigUInt64LE(addressOf(pair), 0); // gpuPairs
    args.writeUInt32LE(1, 8); // gpuPairsCount
    this.#checkpointCall('cuCheckpointProcessRestore', pid, args);
    // Until here its memory is the driver's to read.
    pair.fill(0);
  }

  unlock(pid: number): void {
    this.#checkpointCall('cuCheckpointProcessUnlock', pid, Buffer.alloc(ARGUMENT_BYTES));
  }

  #checkpointCall(name: keyof typeof CHECKPOINTS, ...args: Argument[]): void {
    if (!this.#only?.isPersistent) this.#initialise();
    const code = this.functions[name](...args);
    if (code === NOT_INITIALIZED && !this.#isInitialised) {
      this.#initialise();
      this.#call(name, ...args);
    } else {
      this.#check(name, code, args);
    }
  }

  #call(name: keyof typeof BASICS | keyof typeof CHECKPOINTS, ...args: Argument[]): void {
    this.#check(name, this.functions[name](...args), args);
  }

  #check(name: string, code: number, args: readonly Argument[]): void {
    if (code === CUDA_SUCCESS) return;
    const text = new BigUint64Array(1);
    const isKnown = this.functions.cuGetErrorName(code, text) === CUDA_SUCCESS && text[0];
    const facts = args.filter((arg) => typeof arg === 'number').join(' ');
    throw errorOfCuda(name, code, isKnown ? textAt(isKnown) : undefined, `args=${facts}`);
  }
}

interface OnlyGpu {
  /** Whether the driver keeps it ready while nobody uses it. */
  readonly isPersistent: boolean;
  facts(): Pick<GpuFacts, 'name' | 'uuid' | 'totalBytes' | 'freeBytes'>;
}

interface Nvml {
  /** Undefined where there are more, or something of it is not told. */
  only(): OnlyGpu | undefined;
  freeBytes(uuid: string): number | undefined;
  driverVersion(): string | undefined;
}

function openNvml(): Nvml | undefined {
  let functions: Functions<keyof typeof NVML>;
  try {
    functions = functionsOf(loadLibrary(NVML_LIBRARY), NVML);
  } catch {
    return undefined;
  }
  if (functions.nvmlInit_v2() !== NVML_SUCCESS) return undefined;
  const memoryOf = (device: bigint) => {
    // `nvmlMemory_t`: total, free, used.
    const memory = new BigUint64Array(3);
    if (functions.nvmlDeviceGetMemoryInfo(device, memory) !== NVML_SUCCESS) return undefined;
    return { totalBytes: Number(memory[0]), freeBytes: Number(memory[1]) };
  };
  const textOf = (call: 'nvmlDeviceGetName' | 'nvmlDeviceGetUUID', device: bigint) => {
    const text = Buffer.alloc(96);
    return functions[call](device, text, text.length) === NVML_SUCCESS ? textIn(text) : undefined;
  };
  return {
    only() {
      const count = new Uint32Array(1);
      const handle = new BigUint64Array(1);
      if (functions.nvmlDeviceGetCount_v2(count) !== NVML_SUCCESS || count[0] !== 1) return undefined;
      if (functions.nvmlDeviceGetHandleByIndex_v2(0, handle) !== NVML_SUCCESS) return undefined;
      const device = handle[0] ?? 0n;
      const name = textOf('nvmlDeviceGetName', device);
      const uuid = textOf('nvmlDeviceGetUUID', device);
      const total = memoryOf(device)?.totalBytes;
      if (name === undefined || uuid === undefined || total === undefined) return undefined;
      const mode = new Int32Array(1);
      const isPersistent =
        functions.nvmlDeviceGetPersistenceMode(device, mode) === NVML_SUCCESS && mode[0] === 1;
      return { isPersistent, facts: () => ({ name, uuid, totalBytes: total, ...memoryOf(device) }) };
    },
    freeBytes(uuid) {
      const handle = new BigUint64Array(1);
      if (functions.nvmlDeviceGetHandleByUUID(uuid, handle) !== NVML_SUCCESS) return undefined;
      return memoryOf(handle[0] ?? 0n)?.freeBytes;
    },
    driverVersion() {
      const text = Buffer.alloc(80);
      return functions.nvmlSystemGetDriverVersion(text, text.length) === NVML_SUCCESS
        ? textIn(text)
        : undefined;
    },
  };
}

function textIn(bytes: Buffer): string {
  return bytes.toString('utf8', 0, bytes.indexOf(0));
}

export function uuidText(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes).toString('hex');
  return `GPU-${[hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')}`;
}

/** @param text as `uuidText` writes it */
export function uuidBytes(text: string): Buffer {
  const bytes = Buffer.from(text.replace(/^GPU-/, '').replaceAll('-', ''), 'hex');
  if (bytes.length !== UUID_BYTES) throw new Error(`expected the UUID of a GPU, got ${text}`);
  return bytes;
}

/** What a failure of these calls is to whoever asked for one. */
export function refusalOf(error: unknown): RefusalKind {
  if (error instanceof CheckpointUnsupported || error instanceof DeviceLost) return 'unsupported';
  return error instanceof OutOfMemory ? 'no-room' : 'refused';
}
