import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import type { KoffiFunc, LibraryHandle } from 'koffi';
import { DeviceLost } from '../../../contract/errors.js';
import {
  CUDA_ERROR_INVALID_VALUE,
  CUDA_ERROR_NOT_READY,
  CUDA_SUCCESS,
  CudaError,
  errorOfCuda,
} from './cuda-error.js';
import type {
  Access,
  AddressRange,
  CudaDriver,
  CudaEvent,
  CudaStream,
  DeviceAddress,
  DeviceBuffer,
  DeviceFacts,
  PhysicalMemory,
  PinnedBuffer,
} from './driver.js';
import { EventWaiter } from './event-waiter.js';
import { Handles } from './handles.js';
import { bytesAt, loadLibrary, textAt } from './native.js';

/** Comes with NVIDIA's driver, never with CUDA's own packages. */
const LIBRARY = 'libcuda.so.1';

export interface CudaDriverOptions {
  /** Number of the device among those that this process sees. Default: 0. */
  readonly device?: number;
  /** The CUDA that the driver must speak at least, such as `13.0`: that of the libraries that will be used. Default: 11.2. */
  readonly leastCuda?: string;
}

/**
 * The types of the header `cuda.h`, in koffi's words. Where results are written is a typed array of one; flags and
 * enumerations are `int`.
 */
const signatures = {
  cuInit: ['uint'],
  cuDriverGetVersion: ['int *'],
  cuDeviceGet: ['int *', 'int'],
  cuDeviceGetName: ['uint8 *', 'int', 'int'],
  cuDeviceTotalMem_v2: ['uint64 *', 'int'],
  cuDeviceGetAttribute: ['int *', 'int', 'int'],
  cuDeviceGetUuid_v2: ['uint8 *', 'int'],
  cuDevicePrimaryCtxRetain: ['uint64 *', 'int'],
  cuDevicePrimaryCtxRelease_v2: ['int'],
  cuCtxSetCurrent: ['uint64'],
  cuGetErrorName: ['int', 'uint64 *'],
  cuMemGetInfo_v2: ['uint64 *', 'uint64 *'],
  cuMemGetAllocationGranularity: ['uint64 *', 'uint8 *', 'int'],
  cuMemAddressReserve: ['uint64 *', 'uint64', 'uint64', 'uint64', 'uint64'],
  cuMemAddressFree: ['uint64', 'uint64'],
  cuMemCreate: ['uint64 *', 'uint64', 'uint8 *', 'uint64'],
  cuMemRelease: ['uint64'],
  cuMemExportToShareableHandle: ['int *', 'uint64', 'int', 'uint64'],
  cuMemImportFromShareableHandle: ['uint64 *', 'uint64', 'int'],
  cuMemMap: ['uint64', 'uint64', 'uint64', 'uint64', 'uint64'],
  cuMemSetAccess: ['uint64', 'uint64', 'uint8 *', 'uint64'],
  cuMemUnmap: ['uint64', 'uint64'],
  cuMemAlloc_v2: ['uint64 *', 'uint64'],
  cuMemFree_v2: ['uint64'],
  cuMemHostAlloc: ['uint64 *', 'uint64', 'uint'],
  cuMemFreeHost: ['uint64'],
  cuMemHostRegister_v2: ['uint64', 'uint64', 'uint'],
  cuMemHostUnregister: ['uint64'],
  cuStreamCreate: ['uint64 *', 'uint'],
  cuStreamSynchronize: ['uint64'],
  cuStreamDestroy_v2: ['uint64'],
  cuMemcpyHtoDAsync_v2: ['uint64', 'uint64', 'uint64', 'uint64'],
  cuMemcpyDtoHAsync_v2: ['uint64', 'uint64', 'uint64', 'uint64'],
  cuEventCreate: ['uint64 *', 'uint'],
  cuEventDestroy_v2: ['uint64'],
  cuEventRecord: ['uint64', 'uint64'],
  cuEventQuery: ['uint64'],
} as const satisfies Record<string, readonly string[]>;
type Call = keyof typeof signatures;
type Argument = number | bigint | Uint8Array | Int32Array | BigUint64Array;
/** What every function of the driver is to us: it takes those and returns a `CUresult`. */
type CudaFunction = KoffiFunc<(...args: Argument[]) => number>;
type CudaFunctions = Readonly<Record<Call, CudaFunction>>;

const COMPUTE_CAPABILITY_MAJOR = 75;
const COMPUTE_CAPABILITY_MINOR = 76;
const VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED = 102;
const POSIX_FILE_DESCRIPTOR_SUPPORTED = 103;
/** `CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR`. */
const POSIX_FILE_DESCRIPTOR = 1;
/** `CU_STREAM_NON_BLOCKING`: doesn't wait for the default stream, which other libraries of this process may use. */
const NON_BLOCKING = 1;
/** `CU_MEMHOSTALLOC_WRITECOMBINED`. */
const WRITE_COMBINED = 4;
/** `CU_MEMHOSTREGISTER_READ_ONLY`: the process itself may not be allowed to write there. */
const READ_ONLY = 8;
/** `CU_EVENT_DISABLE_TIMING`: cheaper to record and to query. */
const DISABLE_TIMING = 2;
/** `CU_MEM_ALLOC_GRANULARITY_RECOMMENDED`. */
const RECOMMENDED = 1;

/**
 * Takes a device over CUDA's driver API, in its primary context: the one that CUDA's own libraries use in this process.
 * @throws DeviceLost where there is no driver, none that is new enough, or no such device
 */
export async function openCudaDriver({
  device = 0,
  leastCuda = '11.2',
}: CudaDriverOptions = {}): Promise<CudaDriver> {
  const functions = readFunctions(loadCuda());
  // It works without initialisation, which a driver that is too old would refuse with a less helpful answer.
  const cudaVersion = readCudaVersion(functions);
  if (compareVersions(cudaVersion, leastCuda) < 0) {
    throw new DeviceLost(
      `the NVIDIA driver is too old: expected one that speaks CUDA ${leastCuda} or newer, got ${cudaVersion}${driverVersion() === undefined ? '' : ` (driver ${driverVersion()})`}; update the driver on the host (containers use the host's)`,
    );
  }
  // A quarter of a second each on a thread of koffi's: neither belongs to the thread that it is called from.
  check(functions, 'cuInit', await callAsync(functions.cuInit, 0));
  const facts = readFacts(functions, device, cudaVersion);
  const context = new BigUint64Array(1);
  const handle = deviceHandle(functions, device);
  check(
    functions,
    'cuDevicePrimaryCtxRetain',
    await callAsync(functions.cuDevicePrimaryCtxRetain, context, handle),
    `device=${device}`,
  );
  return new KoffiCudaDriver(functions, facts, handle, context[0] ?? 0n);
}

/** Lets the driver begin on a thread of its own, for whoever opens it later; who is told what goes wrong. */
export function beginCuda(): void {
  try {
    callAsync(readFunctions(loadCuda()).cuInit, 0).catch(() => {});
  } catch {
    // There is no driver.
  }
}

/** What the driver says of itself, before it has done anything. @throws DeviceLost where there is none */
export function readDriver(): Pick<DeviceFacts, 'cudaVersion' | 'driverVersion'> {
  const cudaVersion = readCudaVersion(readFunctions(loadCuda()));
  return { cudaVersion, driverVersion: driverVersion() };
}

/** What the driver says of a device, of which nothing is taken. @throws DeviceLost where there is no such device */
export async function readDevice(device: number): Promise<DeviceFacts> {
  const functions = readFunctions(loadCuda());
  check(functions, 'cuInit', await callAsync(functions.cuInit, 0));
  return readFacts(functions, device, readCudaVersion(functions));
}

function readCudaVersion(functions: CudaFunctions): string {
  const version = new Int32Array(1);
  check(functions, 'cuDriverGetVersion', functions.cuDriverGetVersion(version));
  return versionOf(version[0] ?? 0);
}

/** @throws DeviceLost where there is no driver */
export function loadCuda(): LibraryHandle {
  try {
    return loadLibrary(LIBRARY);
  } catch (cause) {
    throw new DeviceLost(
      `expected NVIDIA's driver library ${LIBRARY}, the loader says: ${messageOf(cause)}; install the NVIDIA driver (its package is called like libnvidia-compute or nvidia-driver-cuda), and start containers with their GPUs (\`--gpus all\`, NVIDIA Container Toolkit)`,
      { cause },
    );
  }
}

function readFunctions(library: LibraryHandle): CudaFunctions {
  const functions: Partial<Record<Call, CudaFunction>> = {};
  for (const [name, args] of Object.entries(signatures) as [Call, readonly string[]][]) {
    try {
      functions[name] = library.func(name, 'int', [...args]) as CudaFunction;
    } catch (cause) {
      throw new DeviceLost(
        `the NVIDIA driver is too old: its ${LIBRARY} has no ${name}; update the driver on the host (containers use the host's)`,
        { cause },
      );
    }
  }
  return functions as CudaFunctions;
}

function callAsync(call: CudaFunction, ...args: Argument[]): Promise<number> {
  return promisify<number>((done) => call.async(...args, done))();
}

function check(functions: CudaFunctions, call: Call, code: number, facts?: string): void {
  if (code !== CUDA_SUCCESS) throw errorOf(functions, call, code, facts);
}

function errorOf(functions: CudaFunctions, call: Call, code: number, facts?: string): Error {
  const name = new BigUint64Array(1);
  const isKnown = functions.cuGetErrorName(code, name) === CUDA_SUCCESS && name[0];
  return errorOfCuda(call, code, isKnown ? textAt(isKnown) : undefined, facts);
}

function deviceHandle(functions: CudaFunctions, device: number): number {
  const handle = new Int32Array(1);
  check(functions, 'cuDeviceGet', functions.cuDeviceGet(handle, device), `device=${device}`);
  return handle[0] ?? 0;
}

function readFacts(functions: CudaFunctions, device: number, cudaVersion: string): DeviceFacts {
  const handle = deviceHandle(functions, device);
  const attribute = (number: number) => {
    const value = new Int32Array(1);
    check(
      functions,
      'cuDeviceGetAttribute',
      functions.cuDeviceGetAttribute(value, number, handle),
      `attribute=${number}`,
    );
    return value[0] ?? 0;
  };
  const nameBytes = Buffer.alloc(256);
  check(functions, 'cuDeviceGetName', functions.cuDeviceGetName(nameBytes, nameBytes.length, handle));
  const name = nameBytes.toString('utf8', 0, nameBytes.indexOf(0));
  if (attribute(VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED) === 0) {
    throw new DeviceLost(
      `GPU ${device} (${name}) has no virtual memory management, which the weights need; use another GPU, or \`device: cpu\``,
    );
  }
  const uuid = Buffer.alloc(16);
  check(functions, 'cuDeviceGetUuid_v2', functions.cuDeviceGetUuid_v2(uuid, handle));
  const total = new BigUint64Array(1);
  check(functions, 'cuDeviceTotalMem_v2', functions.cuDeviceTotalMem_v2(total, handle));
  return {
    index: device,
    name,
    uuid: uuid.toString('hex'),
    canShare: attribute(POSIX_FILE_DESCRIPTOR_SUPPORTED) !== 0,
    computeCapability: {
      major: attribute(COMPUTE_CAPABILITY_MAJOR),
      minor: attribute(COMPUTE_CAPABILITY_MINOR),
    },
    cudaVersion,
    driverVersion: driverVersion(),
    totalBytes: Number(total[0]),
  };
}

/** Of a number such as 13010. */
function versionOf(number: number): string {
  return `${Math.floor(number / 1000)}.${Math.floor((number % 1000) / 10)}`;
}

/** Below zero where `a` is the older one; of versions such as 13.0. */
export function compareVersions(a: string, b: string): number {
  const [majorA = 0, minorA = 0] = a.split('.').map(Number);
  const [majorB = 0, minorB = 0] = b.split('.').map(Number);
  return majorA - majorB || minorA - minorB;
}

function driverVersion(): string | undefined {
  try {
    return readFileSync('/sys/module/nvidia/version', 'utf8').trim();
  } catch {
    return undefined;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** `CUmemAllocationProp`: pinned memory of a device. */
function allocationProperties(device: number, handleTypes: number): Buffer {
  const properties = Buffer.alloc(32);
  properties.writeInt32LE(1, 0); // type: CU_MEM_ALLOCATION_TYPE_PINNED
  properties.writeInt32LE(handleTypes, 4); // requestedHandleTypes
  properties.writeInt32LE(1, 8); // location.type: CU_MEM_LOCATION_TYPE_DEVICE
  properties.writeInt32LE(device, 12); // location.id
  return properties;
}

/** `CUmemAccessDesc`: what a device may do. */
function accessOf(device: number, flags: number): Buffer {
  const access = Buffer.alloc(12);
  access.writeInt32LE(1, 0); // location.type: CU_MEM_LOCATION_TYPE_DEVICE
  access.writeInt32LE(device, 4); // location.id
  access.writeInt32LE(flags, 8);
  return access;
}

/** `CU_MEM_ACCESS_FLAGS_PROT_READ` and `CU_MEM_ACCESS_FLAGS_PROT_READWRITE`. */
const ACCESS_FLAGS: Readonly<Record<Access, number>> = { read: 1, 'read and write': 3 };

class KoffiCudaDriver implements CudaDriver {
  readonly granularity: number;
  readonly #functions: CudaFunctions;
  readonly #device: number;
  readonly #context: bigint;
  readonly #properties: Buffer;
  readonly #shareable: Buffer;
  readonly #handles = new Handles();
  readonly #ranges = new Map<AddressRange, () => void>();
  readonly #waiter = new EventWaiter();
  /** Where the driver writes its results: calls don't overlap. */
  readonly #out = new BigUint64Array(1);
  readonly #out2 = new BigUint64Array(1);
  #isClosed = false;

  constructor(
    functions: CudaFunctions,
    readonly facts: DeviceFacts,
    device: number,
    context: bigint,
  ) {
    this.#functions = functions;
    this.#device = device;
    this.#context = context;
    this.#properties = allocationProperties(device, 0);
    this.#shareable = allocationProperties(device, POSIX_FILE_DESCRIPTOR);
    this.#call('cuMemGetAllocationGranularity', this.#out, this.#properties, RECOMMENDED);
    this.granularity = Number(this.#out[0]);
  }

  memory(): { freeBytes: number; totalBytes: number } {
    this.#call('cuMemGetInfo_v2', this.#out, this.#out2);
    return { freeBytes: Number(this.#out[0]), totalBytes: Number(this.#out2[0]) };
  }

  reserve(bytes: number): AddressRange {
    this.#call('cuMemAddressReserve', this.#out, bytes, 0, 0, 0);
    const range = { address: this.#result(), bytes };
    this.#ranges.set(
      range,
      this.#handles.closer('range of addresses', () => {
        this.#release('cuMemAddressFree', range.address, range.bytes);
      }),
    );
    return range;
  }

  unreserve(range: AddressRange): void {
    const close = this.#ranges.get(range);
    if (!close)
      throw new Error(`expected a range that this driver reserved, got ${range.bytes} bytes of another`);
    this.#ranges.delete(range);
    close();
  }

  createPhysical(bytes: number, { shareable = false } = {}): PhysicalMemory {
    this.#call('cuMemCreate', this.#out, bytes, shareable ? this.#shareable : this.#properties, 0);
    return this.#physical(this.#result(), bytes);
  }

  exportDescriptor(memory: PhysicalMemory): number {
    const descriptor = new Int32Array(1);
    const { handle } = oursOnly(memory);
    this.#call('cuMemExportToShareableHandle', descriptor, handle, POSIX_FILE_DESCRIPTOR, 0);
    return descriptor[0] ?? -1;
  }

  importDescriptor(descriptor: number, bytes: number): PhysicalMemory {
    // The descriptor's number stands where the header has a pointer.
    this.#call('cuMemImportFromShareableHandle', this.#out, descriptor, POSIX_FILE_DESCRIPTOR);
    return this.#physical(this.#result(), bytes);
  }

  map(address: DeviceAddress, memory: PhysicalMemory, access: Access = 'read and write'): Access {
    this.#call('cuMemMap', address, memory.bytes, 0, oursOnly(memory).handle, 0);
    try {
      return this.#allow(address, memory.bytes, access);
    } catch (error) {
      this.#release('cuMemUnmap', address, memory.bytes);
      throw error;
    }
  }

  unmap({ address, bytes }: AddressRange): void {
    this.#release('cuMemUnmap', address, bytes);
  }

  allocate(bytes: number): DeviceBuffer {
    this.#call('cuMemAlloc_v2', this.#out, bytes);
    const address = this.#result();
    const close = this.#handles.closer('device buffer', () => this.#release('cuMemFree_v2', address));
    return { address, bytes, close };
  }

  allocatePinned(bytes: number, { writeOnly = false } = {}): PinnedBuffer {
    this.#call('cuMemHostAlloc', this.#out, bytes, writeOnly ? WRITE_COMBINED : 0);
    const address = this.#result();
    const close = this.#handles.closer('pinned buffer', () => this.#release('cuMemFreeHost', address));
    return { address, bytes: bytesAt(address, bytes) as Uint8Array<ArrayBuffer>, close };
  }

  pin({ address, bytes }: AddressRange): () => void {
    this.#call('cuMemHostRegister_v2', address, bytes, READ_ONLY);
    return this.#handles.closer('piece of pinned memory', () =>
      this.#release('cuMemHostUnregister', address),
    );
  }

  createStream(): CudaStream {
    this.#call('cuStreamCreate', this.#out, NON_BLOCKING);
    const handle = this.#result();
    const close = this.#handles.closer('stream', () => {
      this.#release('cuStreamSynchronize', handle);
      this.#release('cuStreamDestroy_v2', handle);
    });
    return {
      handle,
      copyToDevice: (target, source, bytes) =>
        this.#call('cuMemcpyHtoDAsync_v2', target, source, bytes, handle),
      copyToHost: (target, source, bytes) =>
        this.#call('cuMemcpyDtoHAsync_v2', target, source, bytes, handle),
      record: (event) => {
        if (!(event instanceof KoffiEvent))
          throw new Error("expected an event of CUDA's, got another driver's");
        this.#call('cuEventRecord', event.handle, handle);
      },
      close,
    };
  }

  createEvent(): CudaEvent {
    this.#call('cuEventCreate', this.#out, DISABLE_TIMING);
    const handle = this.#result();
    const close = this.#handles.closer('event', () => this.#release('cuEventDestroy_v2', handle));
    return new KoffiEvent(handle, () => this.#isDone(handle), this.#waiter, close);
  }

  close(): void {
    if (this.#isClosed) throw new Error('a CUDA driver was closed twice');
    this.#isClosed = true;
    this.#release('cuDevicePrimaryCtxRelease_v2', this.#device);
    this.#handles.expectNone();
  }

  #physical(handle: bigint, bytes: number): PhysicalMemory {
    const release = () => this.#release('cuMemRelease', handle);
    return new KoffiPhysicalMemory(handle, bytes, this.#handles.closer('piece of physical memory', release));
  }

  #allow(address: DeviceAddress, bytes: number, access: Access): Access {
    const ask = (flags: number) =>
      this.#call('cuMemSetAccess', address, bytes, accessOf(this.#device, flags), 1);
    try {
      ask(ACCESS_FLAGS[access]);
      return access;
    } catch (error) {
      if (access !== 'read' || !(error instanceof CudaError)) throw error;
      ask(ACCESS_FLAGS['read and write']);
      return 'read and write';
    }
  }

  #isDone(event: bigint): boolean {
    const code = this.#functions.cuEventQuery(event);
    if (code === CUDA_SUCCESS) return true;
    if (code === CUDA_ERROR_NOT_READY) return false;
    throw errorOf(this.#functions, 'cuEventQuery', code);
  }

  #result(): bigint {
    return this.#out[0] ?? 0n;
  }

  /** Other libraries of this process may have made another device's context the current one. */
  #call(name: Call, ...args: Argument[]): void {
    const entered = this.#functions.cuCtxSetCurrent(this.#context);
    if (entered !== CUDA_SUCCESS) throw errorOf(this.#functions, 'cuCtxSetCurrent', entered);
    const code = this.#functions[name](...args);
    if (code === CUDA_SUCCESS) return;
    const isMistake = code === CUDA_ERROR_INVALID_VALUE;
    const facts = args.filter((arg) => typeof arg === 'number' || isMistake);
    throw errorOf(this.#functions, name, code, `args=${facts.map(describe).join(' ')}`);
  }

  /** What a lost device held is gone with it; those who work with it hear of that elsewhere. */
  #release(name: Call, ...args: Argument[]): void {
    try {
      this.#call(name, ...args);
    } catch (error) {
      if (!(error instanceof DeviceLost)) throw error;
    }
  }
}

function describe(arg: Argument): string {
  if (typeof arg === 'bigint') return `0x${arg.toString(16)}`;
  return typeof arg === 'number' ? String(arg) : arg.constructor.name;
}

function oursOnly(memory: PhysicalMemory): KoffiPhysicalMemory {
  if (memory instanceof KoffiPhysicalMemory) return memory;
  throw new Error("expected memory of CUDA's, got another driver's");
}

class KoffiPhysicalMemory implements PhysicalMemory {
  constructor(
    readonly handle: bigint,
    readonly bytes: number,
    readonly close: () => void,
  ) {}
}

class KoffiEvent implements CudaEvent {
  constructor(
    readonly handle: bigint,
    readonly isDone: () => boolean,
    private readonly waiter: EventWaiter,
    readonly close: () => void,
  ) {}

  done(): Promise<void> {
    return this.waiter.wait(this);
  }
}
