import { createCpuSession } from './onnxruntime-cpu.js';

export { onnxruntimeVersion } from './onnxruntime-cpu.js';

/** A dense tensor in row-major order. */
export type Tensor =
  | { readonly type: 'float32'; readonly dims: readonly number[]; readonly data: Float32Array }
  | { readonly type: 'int64'; readonly dims: readonly number[]; readonly data: BigInt64Array }
  | { readonly type: 'uint8'; readonly dims: readonly number[]; readonly data: Uint8Array };

export function floatTensor(data: Float32Array, dims: readonly number[]): Tensor & { type: 'float32' } {
  return { type: 'float32', dims, data };
}

export function integerTensor(
  values: readonly number[],
  dims: readonly number[],
): Tensor & { type: 'int64' } {
  return { type: 'int64', dims, data: BigInt64Array.from(values, BigInt) };
}

/** One graph, ready to run. Runs block the event loop on the CPU: sessions live in an engine process only. */
export interface Session {
  run(inputs: Readonly<Record<string, Tensor>>): Promise<Readonly<Record<string, Tensor>>>;
  /** Gives back what can be had again and must not, or need not, be in a snapshot. No run may follow. */
  prepareForCapture(): Promise<void>;
  /** Takes it again, in a process that was restored. */
  afterRestore(): Promise<void>;
  close(): Promise<void>;
}

export interface SessionOptions {
  /** The graph as ONNX protobuf. */
  readonly graph: Uint8Array;
  /** The folder that its external data lies in. */
  readonly weightsFolder: string;
  readonly device: 'cpu';
  readonly threads: number;
}

/** @throws Error with ONNX Runtime's own message where it refuses the graph */
export function createSession(options: SessionOptions): Promise<Session> {
  return createCpuSession(options);
}

/** The output of that name and type. */
export function outputOf<T extends Tensor['type']>(
  outputs: Readonly<Record<string, Tensor>>,
  name: string,
  type: T,
): Extract<Tensor, { type: T }> {
  const tensor = outputs[name];
  if (tensor?.type !== type)
    throw new Error(`expected a ${type} output ${name}, got ${tensor?.type ?? 'none'}`);
  return tensor as Extract<Tensor, { type: T }>;
}
