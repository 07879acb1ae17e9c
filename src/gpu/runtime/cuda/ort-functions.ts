import koffi from 'koffi';
import { functionAt, loadLibrary, type Pointer } from './native.js';

/** The only version of the C API whose table this file knows; it is fixed for every release of ONNX Runtime 1.30. */
const API_VERSION = 30;
const LIBRARY_VERSION = /^1\.30\./;

export type Status = Pointer | null;
/** Where a function writes its results. */
export type Out = BigUint64Array | BigInt64Array | Int32Array;

/**
 * What we call of ONNX Runtime's `OrtApi`, with the types of its header. Names are the header's.
 * A `Status` that is not null holds an error and must be released.
 */
export interface OrtFunctions {
  CreateStatus(code: number, message: string): Status;
  GetErrorMessage(status: Pointer): string;
  ReleaseStatus(status: Pointer): void;
  CreateEnv(severity: number, name: string, out: Out): Status;
  DisableTelemetryEvents(env: Pointer): Status;
  ReleaseEnv(env: Pointer): void;
  CreateSessionOptions(out: Out): Status;
  SetSessionLogSeverityLevel(options: Pointer, severity: number): Status;
  SetIntraOpNumThreads(options: Pointer, threads: number): Status;
  SetInterOpNumThreads(options: Pointer, threads: number): Status;
  SetSessionGraphOptimizationLevel(options: Pointer, level: number): Status;
  DisableMemPattern(options: Pointer): Status;
  AddSessionConfigEntry(options: Pointer, key: string, value: string): Status;
  AddInitializer(options: Pointer, name: string, value: Pointer): Status;
  CreateCustomOpDomain(name: string, out: Out): Status;
  CustomOpDomain_Add(domain: Pointer, operator: Pointer): Status;
  AddCustomOpDomain(options: Pointer, domain: Pointer): Status;
  ReleaseCustomOpDomain(domain: Pointer): void;
  KernelInfoGetAttribute_float(info: Pointer, name: string, out: Float32Array): Status;
  KernelInfoGetAttribute_int64(info: Pointer, name: string, out: BigInt64Array): Status;
  KernelContext_GetInputCount(context: Pointer, out: Out): Status;
  KernelContext_GetInput(context: Pointer, index: number, out: Out): Status;
  KernelContext_GetOutput(
    context: Pointer,
    index: number,
    dims: BigInt64Array,
    rank: number,
    out: Out,
  ): Status;
  KernelContext_GetGPUComputeStream(context: Pointer, out: Out): Status;
  CreateCUDAProviderOptions: Asynchronous<[out: Out]>;
  UpdateCUDAProviderOptions(options: Pointer, keys: string[], values: string[], count: number): Status;
  SessionOptionsAppendExecutionProvider_CUDA_V2: Asynchronous<[options: Pointer, provider: Pointer]>;
  ReleaseCUDAProviderOptions(options: Pointer): void;
  ReleaseSessionOptions(options: Pointer): void;
  CreateSessionFromArray: Asynchronous<
    [env: Pointer, graph: Uint8Array, bytes: number, options: Pointer, out: Out]
  > &
    ((env: Pointer, graph: Uint8Array, bytes: number, options: Pointer, out: Out) => Status);
  SessionGetOutputCount(session: Pointer, out: Out): Status;
  SessionGetOutputName(session: Pointer, index: number, allocator: Pointer, out: Out): Status;
  ReleaseSession(session: Pointer): void;
  CreateMemoryInfo(name: string, allocator: number, device: number, memory: number, out: Out): Status;
  ReleaseMemoryInfo(info: Pointer): void;
  GetAllocatorWithDefaultOptions(out: Out): Status;
  AllocatorFree(allocator: Pointer, memory: Pointer): Status;
  CreateTensorWithDataAsOrtValue(
    info: Pointer,
    data: Pointer | ArrayBufferView,
    bytes: number | bigint,
    dims: BigInt64Array,
    rank: number,
    type: number,
    out: Out,
  ): Status;
  GetTensorMutableData(value: Pointer, out: Out): Status;
  GetTensorTypeAndShape(value: Pointer, out: Out): Status;
  GetTensorElementType(shape: Pointer, out: Out): Status;
  GetDimensionsCount(shape: Pointer, out: Out): Status;
  GetDimensions(shape: Pointer, out: Out, rank: number): Status;
  ReleaseTensorTypeAndShapeInfo(shape: Pointer): void;
  ReleaseValue(value: Pointer): void;
  CreateIoBinding(session: Pointer, out: Out): Status;
  BindInput(binding: Pointer, name: string, value: Pointer): Status;
  BindOutputToDevice(binding: Pointer, name: string, info: Pointer): Status;
  GetBoundOutputValues(binding: Pointer, allocator: Pointer, values: Out, count: Out): Status;
  ReleaseIoBinding(binding: Pointer): void;
  CreateRunOptions(out: Out): Status;
  RunOptionsSetTerminate(options: Pointer): Status;
  AddRunConfigEntry(options: Pointer, key: string, value: string): Status;
  ReleaseRunOptions(options: Pointer): void;
  RunWithBinding(session: Pointer, options: Pointer, binding: Pointer): Status;
}

/** A function that takes long: it runs on another thread. */
export interface Asynchronous<Arguments extends unknown[]> {
  async(...args: [...Arguments, callback: (error: Error | null, status: Status) => void]): void;
}

const OUT = 'void *';

/** Each function's place in the table and its prototype. */
const TABLE: Readonly<Record<keyof OrtFunctions, readonly [place: number, result: string, ...string[]]>> = {
  CreateStatus: [0, 'void *', 'int', 'const char *'],
  GetErrorMessage: [2, 'const char *', 'void *'],
  ReleaseStatus: [93, 'void', 'void *'],
  CreateEnv: [3, 'void *', 'int', 'const char *', OUT],
  DisableTelemetryEvents: [6, 'void *', 'void *'],
  ReleaseEnv: [92, 'void', 'void *'],
  CreateSessionOptions: [10, 'void *', OUT],
  SetSessionLogSeverityLevel: [22, 'void *', 'void *', 'int'],
  DisableMemPattern: [17, 'void *', 'void *'],
  SetSessionGraphOptimizationLevel: [23, 'void *', 'void *', 'int'],
  SetIntraOpNumThreads: [24, 'void *', 'void *', 'int'],
  SetInterOpNumThreads: [25, 'void *', 'void *', 'int'],
  AddSessionConfigEntry: [130, 'void *', 'void *', 'const char *', 'const char *'],
  AddInitializer: [150, 'void *', 'void *', 'const char *', 'void *'],
  CreateCustomOpDomain: [26, 'void *', 'const char *', OUT],
  CustomOpDomain_Add: [27, 'void *', 'void *', 'void *'],
  AddCustomOpDomain: [28, 'void *', 'void *', 'void *'],
  ReleaseCustomOpDomain: [101, 'void', 'void *'],
  KernelInfoGetAttribute_float: [85, 'void *', 'void *', 'const char *', 'void *'],
  KernelInfoGetAttribute_int64: [86, 'void *', 'void *', 'const char *', 'void *'],
  KernelContext_GetInputCount: [88, 'void *', 'void *', OUT],
  KernelContext_GetInput: [90, 'void *', 'void *', 'size_t', OUT],
  KernelContext_GetOutput: [91, 'void *', 'void *', 'size_t', 'void *', 'size_t', OUT],
  KernelContext_GetGPUComputeStream: [193, 'void *', 'void *', OUT],
  CreateCUDAProviderOptions: [205, 'void *', OUT],
  UpdateCUDAProviderOptions: [206, 'void *', 'void *', 'const char **', 'const char **', 'size_t'],
  SessionOptionsAppendExecutionProvider_CUDA_V2: [204, 'void *', 'void *', 'void *'],
  ReleaseCUDAProviderOptions: [208, 'void', 'void *'],
  ReleaseSessionOptions: [100, 'void', 'void *'],
  CreateSessionFromArray: [8, 'void *', 'void *', 'void *', 'size_t', 'void *', OUT],
  SessionGetOutputCount: [31, 'void *', 'void *', OUT],
  SessionGetOutputName: [37, 'void *', 'void *', 'size_t', 'void *', OUT],
  ReleaseSession: [95, 'void', 'void *'],
  CreateMemoryInfo: [68, 'void *', 'const char *', 'int', 'int', 'int', OUT],
  ReleaseMemoryInfo: [94, 'void', 'void *'],
  GetAllocatorWithDefaultOptions: [78, 'void *', OUT],
  AllocatorFree: [76, 'void *', 'void *', 'void *'],
  CreateTensorWithDataAsOrtValue: [
    49,
    'void *',
    'void *',
    'void *',
    'size_t',
    'void *',
    'size_t',
    'int',
    OUT,
  ],
  GetTensorMutableData: [51, 'void *', 'void *', OUT],
  GetTensorTypeAndShape: [65, 'void *', 'void *', OUT],
  GetTensorElementType: [60, 'void *', 'void *', OUT],
  GetDimensionsCount: [61, 'void *', 'void *', OUT],
  GetDimensions: [62, 'void *', 'void *', OUT, 'size_t'],
  ReleaseTensorTypeAndShapeInfo: [99, 'void', 'void *'],
  ReleaseValue: [96, 'void', 'void *'],
  CreateIoBinding: [134, 'void *', 'void *', OUT],
  BindInput: [136, 'void *', 'void *', 'const char *', 'void *'],
  BindOutputToDevice: [138, 'void *', 'void *', 'const char *', 'void *'],
  GetBoundOutputValues: [140, 'void *', 'void *', 'void *', OUT, OUT],
  ReleaseIoBinding: [135, 'void', 'void *'],
  CreateRunOptions: [39, 'void *', OUT],
  RunOptionsSetTerminate: [46, 'void *', 'void *'],
  AddRunConfigEntry: [165, 'void *', 'void *', 'const char *', 'const char *'],
  ReleaseRunOptions: [97, 'void', 'void *'],
  RunWithBinding: [133, 'void *', 'void *', 'void *', 'void *'],
};

/** What a status says was wrong, undefined where nothing was. It is released. */
export function takeMessage(functions: OrtFunctions, status: Status): string | undefined {
  if (status === null || status === 0n) return undefined;
  const message = functions.GetErrorMessage(status);
  functions.ReleaseStatus(status);
  return message;
}

/**
 * Loads ONNX Runtime's shared library and reads its table of functions.
 * @throws Error where it is not there, or of a version whose table is not known
 */
export function loadOrtLibrary(path: string): OrtFunctions {
  const library = loadLibrary(path);
  const base: unknown = library.func('OrtGetApiBase', 'void *', [])();
  const [getApi, getVersion] = koffi.decode(base, koffi.array('void *', 2)) as [Pointer, Pointer];
  const version = functionAt<() => string>(getVersion, 'const char *', [])();
  const table = functionAt<(version: number) => Pointer | null>(getApi, 'void *', ['uint32_t'])(API_VERSION);
  if (!LIBRARY_VERSION.test(version) || table === null) {
    throw new Error(
      `${path}: expected ONNX Runtime 1.30 with version ${API_VERSION} of its C API, got ${version}; install the onnxruntime-node that temporal-diffusion names`,
    );
  }
  const functions = Object.fromEntries(
    Object.entries(TABLE).map(([name, [place, result, ...args]]) => {
      const address = koffi.decode(table, place * koffi.sizeof('void *'), 'void *') as Pointer;
      return [name, functionAt(address, result, args)];
    }),
  );
  return functions as unknown as OrtFunctions;
}
