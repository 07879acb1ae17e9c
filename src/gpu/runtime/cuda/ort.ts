import { ElementType } from '../../graph/element-type.js';
import { OWN, usesOwnOperators } from '../../graph/own-operators.js';
import { bytesAt, type Pointer, textAt } from './native.js';
import { errorOfOrt } from './ort-error.js';
import {
  type Asynchronous,
  loadOrtLibrary,
  type OrtFunctions,
  type Out,
  type Status,
  takeMessage,
} from './ort-functions.js';
import type { OwnKernelsSource } from './own-kernels.js';
import { RunThread } from './run-thread.js';
import { StageProgress } from './stage-progress.js';

/** `OrtLoggingLevel`: errors. */
const LOG_ERRORS = 3;
/** `OrtAllocatorType`, `OrtMemType`: the device's own, the default kind. */
const DEVICE_ALLOCATOR = 0;
const DEFAULT_MEMORY = 0;
/** `GraphOptimizationLevel`: none. Our graphs have fused operators where it pays, and weights must not be read yet. */
const NO_OPTIMISATIONS = 0;

/** Where kernels run. */
export type Provider = { readonly kind: 'cpu' } | CudaProvider;

export interface CudaProvider {
  readonly kind: 'cuda';
  readonly device: number;
  /** `OrtCUDAProviderOptionsV2`, as its documentation names them. */
  readonly options: Readonly<Record<string, string>>;
}

/** A tensor whose memory is not ONNX Runtime's: a weight in device memory, or an array of ours. */
export interface ForeignTensor {
  readonly type: ElementType;
  readonly dims: readonly number[];
  readonly data: Pointer | ArrayBufferView;
  readonly byteLength: number;
}

export interface OrtSessionOptions {
  /** The graph as ONNX protobuf. */
  readonly graph: Uint8Array;
  /** The folder that its external data lies in: looked for, but not read. */
  readonly weightsFolder: string;
  /** By name, in the provider's memory; their bytes are read at a run, not before. */
  readonly weights: ReadonlyMap<string, ForeignTensor>;
  readonly provider: Provider;
  readonly threads: number;
  /** For graphs that have operators of our own. */
  readonly ownKernels?: OwnKernelsSource | undefined;
  /** How far its weights are, for graphs with stages. */
  readonly progress?: StageProgress;
}

/** y = x, as `GraphBuilder` writes it: to read that takes longer than all else that a GPU's start needs of this program. */
export const LEAST_GRAPH = Buffer.from(
  'CAoSEnRlbXBvcmFsLWRpZmZ1c2lvbjpyCiUKAXgSCklkZW50aXR5XzAaCklkZW50aXR5XzAiCElkZW50aXR5ChwKCklkZW50aXR5XzASAXkaAXkiCElkZW50aXR5Egdub3RoaW5nWhAKAXgSCwoJCAESBQoDEgFuYhAKAXkSCwoJCAESBQoDEgFuQgIQFUIRCg1jb20ubWljcm9zb2Z0EAE=',
  'base64',
);

/** Libraries that the domain of our operators is known to, by their path. */
const knowingOwn = new Set<string>();

/** ONNX Runtime through its C API: one environment of a process. */
export class Ort {
  readonly #env: Pointer;
  readonly #allocator: Pointer;
  readonly #memories = new Map<string, Pointer>();

  private constructor(
    readonly functions: OrtFunctions,
    readonly libraryPath: string,
  ) {
    this.#env = this.make((out) => functions.CreateEnv(LOG_ERRORS, 'temporal-diffusion', out));
    this.check(functions.DisableTelemetryEvents(this.#env));
    this.#allocator = this.make((out) => functions.GetAllocatorWithDefaultOptions(out));
    if (knowingOwn.has(libraryPath)) return;
    this.#makeOwnKnown();
    knowingOwn.add(libraryPath);
  }

  /** @throws Error where the library is missing or of a version that is not known */
  static load(libraryPath: string): Ort {
    return new Ort(loadOrtLibrary(libraryPath), libraryPath);
  }

  /** @throws OutOfMemory, or Error with ONNX Runtime's own message where it refuses the graph */
  async createSession({
    graph,
    weightsFolder,
    weights,
    provider,
    threads,
    ownKernels,
    progress = new StageProgress(),
  }: OrtSessionOptions): Promise<OrtSession> {
    const { functions } = this;
    const kernels = usesOwnOperators(graph) ? ownKernels : undefined;
    const thread = new RunThread(this.libraryPath, progress.shared, kernels);
    const options = this.make((out) => functions.CreateSessionOptions(out));
    const values: Pointer[] = [];
    let domain: Pointer | undefined;
    try {
      this.check(functions.SetSessionLogSeverityLevel(options, LOG_ERRORS));
      this.check(functions.SetIntraOpNumThreads(options, threads));
      this.check(functions.SetInterOpNumThreads(options, 1));
      // A pattern is a second block of all that a run needs, beside the pieces that its first run took.
      this.check(functions.DisableMemPattern(options));
      this.check(functions.SetSessionGraphOptimizationLevel(options, NO_OPTIMISATIONS));
      const settings = {
        ...UNREAD_WEIGHTS,
        'session.model_external_initializers_file_folder_path': weightsFolder,
      };
      for (const [key, value] of Object.entries(settings)) {
        this.check(functions.AddSessionConfigEntry(options, key, value));
      }
      if (provider.kind === 'cuda') await this.#appendCuda(options, provider);
      for (const [name, weight] of weights) {
        const value = this.createValue(weight, provider);
        values.push(value);
        this.check(functions.AddInitializer(options, name, value));
      }
      domain = this.#domainOf(await thread.operators);
      if (domain !== undefined) this.check(functions.AddCustomOpDomain(options, domain));
      const out = new BigUint64Array(1);
      await this.call(functions.CreateSessionFromArray, this.#env, graph, graph.byteLength, options, out);
      const session = pointerIn(out);
      return new OrtSession(this, { session, provider, weights: values, thread, domain, progress });
    } catch (error) {
      for (const value of values) functions.ReleaseValue(value);
      if (domain !== undefined) functions.ReleaseCustomOpDomain(domain);
      await thread.close();
      throw error;
    } finally {
      functions.ReleaseSessionOptions(options);
    }
  }

  /** Loads the libraries of a provider, as the first session on it would. @throws Error naming what is missing */
  async loadProvider(provider: CudaProvider): Promise<void> {
    const options = this.make((out) => this.functions.CreateSessionOptions(out));
    try {
      await this.#appendCuda(options, provider);
    } finally {
      this.functions.ReleaseSessionOptions(options);
    }
  }

  /** A value over memory that must outlive it. */
  createValue({ type, dims, data, byteLength }: ForeignTensor, where: Provider): Pointer {
    const shape = BigInt64Array.from(dims, BigInt);
    return this.make((out) =>
      this.functions.CreateTensorWithDataAsOrtValue(
        this.memoryOf(where),
        data,
        byteLength,
        shape,
        shape.length,
        ElementType[type],
        out,
      ),
    );
  }

  /** `OrtMemoryInfo` of a provider's memory. */
  memoryOf(provider: Provider): Pointer {
    const [name, device] =
      provider.kind === 'cuda' ? (['Cuda', provider.device] as const) : (['Cpu', 0] as const);
    const key = `${name}:${device}`;
    const known = this.#memories.get(key);
    if (known !== undefined) return known;
    const memory = this.make((out) =>
      this.functions.CreateMemoryInfo(name, DEVICE_ALLOCATOR, device, DEFAULT_MEMORY, out),
    );
    this.#memories.set(key, memory);
    return memory;
  }

  outputNames(session: Pointer): string[] {
    const { functions } = this;
    const length = Number(this.make((out) => functions.SessionGetOutputCount(session, out)));
    return Array.from({ length }, (_, index) => {
      const text = this.make((out) => functions.SessionGetOutputName(session, index, this.#allocator, out));
      const name = textAt(text);
      this.check(functions.AllocatorFree(this.#allocator, text));
      return name;
    });
  }

  /** The values that a run bound, in the order in which its outputs were bound; each must be released. */
  boundOutputs(binding: Pointer): Pointer[] {
    const values = new BigUint64Array(1);
    const count = new BigUint64Array(1);
    this.check(this.functions.GetBoundOutputValues(binding, this.#allocator, values, count));
    const list = pointerIn(values);
    const bytes = bytesAt(list, Number(count[0]) * BigUint64Array.BYTES_PER_ELEMENT).slice();
    this.check(this.functions.AllocatorFree(this.#allocator, list));
    return [...new BigUint64Array(bytes.buffer)];
  }

  /** Runs a function that writes one pointer or number, and returns it. */
  make(create: (out: Out) => Status): Pointer {
    const out = new BigUint64Array(1);
    this.check(create(out));
    return pointerIn(out);
  }

  /** Runs a function on another thread. */
  async call<Arguments extends unknown[]>(
    { async: start }: Asynchronous<Arguments>,
    ...args: Arguments
  ): Promise<void> {
    const status = await new Promise<Status>((resolve, reject) => {
      start(...args, (error, result) => (error ? reject(error) : resolve(result)));
    });
    // Until here they are held: arrays among them are native memory that the other thread works with.
    args.length = 0;
    this.check(status);
  }

  /** @throws what the message that the status holds means: OutOfMemory, DeviceLost, or Error */
  check(status: Status): void {
    const message = takeMessage(this.functions, status);
    if (message !== undefined) throw errorOfOrt(message);
  }

  /** All sessions must be closed before. */
  close(): void {
    for (const memory of this.#memories.values()) this.functions.ReleaseMemoryInfo(memory);
    this.functions.ReleaseEnv(this.#env);
  }

  /**
   * Makes a session that knows the domain of our operators, by itself: the first one of a process puts it into a table of
   * the library's that no lock guards, and others that are made beside it fail, or never end.
   */
  #makeOwnKnown(): void {
    const { functions } = this;
    const options = this.make((out) => functions.CreateSessionOptions(out));
    const domain = this.make((out) => functions.CreateCustomOpDomain(OWN, out));
    try {
      this.check(functions.SetIntraOpNumThreads(options, 1));
      this.check(functions.AddCustomOpDomain(options, domain));
      const session = this.make((out) =>
        functions.CreateSessionFromArray(this.#env, LEAST_GRAPH, LEAST_GRAPH.byteLength, options, out),
      );
      functions.ReleaseSession(session);
    } finally {
      functions.ReleaseCustomOpDomain(domain);
      functions.ReleaseSessionOptions(options);
    }
  }

  #domainOf(operators: readonly Pointer[]): Pointer | undefined {
    if (operators.length === 0) return undefined;
    const domain = this.make((out) => this.functions.CreateCustomOpDomain(OWN, out));
    for (const operator of operators) this.check(this.functions.CustomOpDomain_Add(domain, operator));
    return domain;
  }

  /** On another thread: the first time, it loads the provider's libraries. */
  async #appendCuda(options: Pointer, provider: CudaProvider): Promise<void> {
    const { functions } = this;
    const out = new BigUint64Array(1);
    await this.call(functions.CreateCUDAProviderOptions, out);
    const cuda = pointerIn(out);
    try {
      const entries = Object.entries({ device_id: String(provider.device), ...provider.options });
      const keys = entries.map(([key]) => key);
      const values = entries.map(([, value]) => value);
      this.check(functions.UpdateCUDAProviderOptions(cuda, keys, values, entries.length));
      await this.call(functions.SessionOptionsAppendExecutionProvider_CUDA_V2, options, cuda);
    } finally {
      functions.ReleaseCUDAProviderOptions(cuda);
    }
  }
}

/** Sessions are made while their weights are still on their way: nothing may read or repack them before the first run. */
const UNREAD_WEIGHTS = {
  'session.disable_prepacking': '1',
  'session.disable_quant_qdq': '1',
};

/** A run's option: which arenas give back what is free when it ends. */
const SHRINK = 'memory.enable_memory_arena_shrinkage';
/** What ONNX Runtime says of a run that was told to end. */
const TERMINATED = /terminate flag/;

/** A tensor in the provider's memory that a run made. */
export interface OrtTensor {
  readonly value: Pointer;
  readonly type: ElementType;
  readonly dims: readonly number[];
  readonly address: Pointer;
  readonly byteLength: number;
}

interface MadeSession {
  readonly session: Pointer;
  readonly provider: Provider;
  readonly weights: readonly Pointer[];
  readonly thread: RunThread;
  /** Of operators of our own. */
  readonly domain: Pointer | undefined;
  readonly progress: StageProgress;
}

export interface OrtRunOptions {
  /** Whether it waits for weights that are on their way. Default: false. */
  readonly waits?: boolean;
  /** Gives up that waiting. */
  readonly signal?: AbortSignal | undefined;
}

/** One graph over weights that are in place. */
export class OrtSession {
  readonly #outputNames: readonly string[];
  #runs = 0;

  constructor(
    private readonly ort: Ort,
    private readonly made: MadeSession,
  ) {
    this.#outputNames = ort.outputNames(made.session);
  }

  /**
   * Runs the graph on another thread.
   * @param inputs values by name, wherever they are; they must outlive the run
   * @returns its outputs, in the provider's memory; release each
   */
  async run(
    inputs: ReadonlyMap<string, Pointer>,
    { waits = false, signal }: OrtRunOptions = {},
  ): Promise<Map<string, OrtTensor>> {
    const { functions } = this.ort;
    const { session, thread, progress } = this.made;
    return this.#bound(async (binding, options) => {
      for (const [name, value] of inputs) this.ort.check(functions.BindInput(binding, name, value));
      const run = ++this.#runs;
      const giveUp = () => progress.giveUp(run);
      signal?.throwIfAborted();
      signal?.addEventListener('abort', giveUp);
      try {
        this.ort.check(await thread.run({ session, options, binding, run, waits }));
      } finally {
        signal?.removeEventListener('abort', giveUp);
      }
      const values = this.ort.boundOutputs(binding);
      return new Map(
        this.#outputNames.map((name, index) => [name, this.#describe(values[index] as Pointer)]),
      );
    });
  }

  /**
   * Gives back the memory that runs have left in the session's arena for the next ones. No run may be under way.
   * ONNX Runtime shrinks arenas at a run's end only, so it makes a run that ends before its first kernel.
   */
  async shrink(): Promise<void> {
    const { functions } = this.ort;
    const { session, provider, thread } = this.made;
    const arena = provider.kind === 'cuda' ? `gpu:${provider.device}` : 'cpu:0';
    await this.#bound(async (binding, options) => {
      this.ort.check(functions.AddRunConfigEntry(options, SHRINK, arena));
      this.ort.check(functions.RunOptionsSetTerminate(options));
      try {
        this.ort.check(await thread.run({ session, options, binding, run: 0, waits: false }));
      } catch (error) {
        if (!(error instanceof Error && TERMINATED.test(error.message))) throw error;
      }
    });
  }

  /** Does something with run options, and a binding that has the outputs. */
  async #bound<T>(work: (binding: Pointer, options: Pointer) => Promise<T>): Promise<T> {
    const { functions } = this.ort;
    const binding = this.ort.make((out) => functions.CreateIoBinding(this.made.session, out));
    const options = this.ort.make((out) => functions.CreateRunOptions(out));
    try {
      const memory = this.ort.memoryOf(this.made.provider);
      for (const name of this.#outputNames) {
        this.ort.check(functions.BindOutputToDevice(binding, name, memory));
      }
      return await work(binding, options);
    } finally {
      functions.ReleaseRunOptions(options);
      functions.ReleaseIoBinding(binding);
    }
  }

  /** No run may be under way. */
  async close(): Promise<void> {
    const { session, weights, thread, domain } = this.made;
    const { functions } = this.ort;
    await thread.close();
    functions.ReleaseSession(session);
    if (domain !== undefined) functions.ReleaseCustomOpDomain(domain);
    for (const value of weights) functions.ReleaseValue(value);
  }

  #describe(value: Pointer): OrtTensor {
    const { ort } = this;
    const { functions } = ort;
    const info = ort.make((out) => functions.GetTensorTypeAndShape(value, out));
    try {
      const type = Number(ort.make((out) => functions.GetTensorElementType(info, out)) & 0xffffffffn);
      const rank = Number(ort.make((out) => functions.GetDimensionsCount(info, out)));
      const shape = new BigInt64Array(rank);
      ort.check(functions.GetDimensions(info, shape, rank));
      const dims = [...shape].map(Number);
      const [name, bytes] = elementOf(type);
      return {
        value,
        type: name,
        dims,
        address: ort.make((out) => functions.GetTensorMutableData(value, out)),
        byteLength: dims.reduce((product, side) => product * side, bytes),
      };
    } finally {
      functions.ReleaseTensorTypeAndShapeInfo(info);
    }
  }
}

const ELEMENT_BYTES: Readonly<Record<ElementType, number>> = {
  float32: 4,
  uint8: 1,
  int8: 1,
  int32: 4,
  int64: 8,
  float16: 2,
  bfloat16: 2,
  bool: 1,
};

function elementOf(id: number): [ElementType, number] {
  const found = Object.entries(ElementType).find(([, value]) => value === id);
  if (!found)
    throw new Error(`expected a tensor of ${Object.keys(ElementType).join(', ')}, got element type ${id}`);
  const name = found[0] as ElementType;
  return [name, ELEMENT_BYTES[name]];
}

function pointerIn(out: BigUint64Array): Pointer {
  return out[0] as Pointer;
}
