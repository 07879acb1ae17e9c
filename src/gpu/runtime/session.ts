import type { ComputeType, GraphWeight } from '../graph/builder.js';
import type { ComputeTypes } from '../graph/graphs.js';

/** What an engine computes on: the processor, or the GPU of that number. */
export type Device = 'cpu' | `cuda:${number}`;

/** A dense tensor in row-major order, in the process's memory. */
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

/** A tensor that lies where the runtime computes, until it is released. */
export interface HeldTensor {
  readonly dims: readonly number[];
  /** Brings a copy into the process's memory. */
  read(): Promise<Tensor>;
  /** The same elements in other dimensions, not copied: this tensor must outlive it. */
  reshaped(dims: readonly number[]): HeldTensor;
  release(): void;
}

export type Inputs = Readonly<Record<string, Tensor | HeldTensor>>;

/** One graph, ready to run. On the CPU a run blocks the event loop: sessions live in an engine process only. */
export interface Session {
  /**
   * Runs the graph, waiting for weights that it needs.
   * @param signal gives up that waiting; a run that has its weights goes on to its end
   * @returns what it made, to be released
   * @throws OutOfMemory, DeviceLost, EngineCrashed, what kept weights from their place, the signal's reason
   */
  run(inputs: Inputs, signal?: AbortSignal): Promise<Readonly<Record<string, HeldTensor>>>;
  /** Resolves when a run can begin: all weights are in place, or those of its first stage. @throws what kept them from it */
  ready(): Promise<void>;
  /** Runs the graph once, whatever its weights are by now, so that its first run finds kernels and memory ready. */
  warmUp(inputs: () => Promise<Inputs>): Promise<void>;
}

export interface RuntimeGraph {
  /** Which part of the pipeline it is. */
  readonly component: string;
  /** The graph as ONNX protobuf. */
  readonly bytes: Uint8Array;
  /** What of its external data it uses. */
  readonly weights: readonly GraphWeight[];
  readonly compute: ComputeType;
  /** See `Graph`. */
  readonly stages?: readonly number[];
  /** The folder that the external data lies in. */
  readonly weightsFolder: string;
  /** Of the checkpoint that the weights are of: with it, other processes may hold them too. */
  readonly checkpointDigest?: string;
}

export interface DeviceMemory {
  readonly freeBytes: number;
  readonly totalBytes: number;
}

/** What a release gave back. */
export interface Release {
  /** Of weights; 0 where they are mapped from their files, and nothing is given back. */
  readonly bytes: number;
  /** Why memory that runs have left is not given back, where it is not. */
  readonly kept?: string;
}

/** Where the sessions of one engine live. */
export interface Runtime {
  readonly device: Device;
  /** What the device is, as its maker names it. */
  readonly deviceName: string;
  /** What the graphs that it runs should compute in. */
  readonly compute: ComputeTypes;
  /**
   * One session for each graph. A runtime that moves weights moves them in this order, and goes on doing so after
   * this has resolved.
   * @param onOpened told of each session as soon as it is made, when others may still be on their way
   * @throws Error with ONNX Runtime's own message where it refuses a graph
   */
  open(
    graphs: readonly RuntimeGraph[],
    onOpened?: (session: Session, index: number) => void,
  ): Promise<Session[]>;
  /** Resolves when all weights are in place. @throws what kept them from it, their release among it */
  loaded(): Promise<void>;
  /**
   * Puts the weights where this host's next engine gets them sooner, if there is such a place; for when the engine works.
   * @returns which files are not put there though they should be, and why
   * @throws what kept it from that, the closing of the runtime among it
   */
  keepWeights(): Promise<readonly string[]>;
  /**
   * Never resolves. Rejects as soon as nothing can be computed here any more: the process is then to end.
   * @throws DeviceLost; EngineCrashed where a thread of its own has died; what kept weights from getting into place
   */
  lost(): Promise<never>;
  /** Takes a tensor to where it computes, once, for many runs. */
  hold(tensor: Tensor): Promise<HeldTensor>;
  /** Of the device; undefined for the CPU. @throws DeviceLost */
  memory(): DeviceMemory | undefined;
  /**
   * Gives the device's memory back: the weights', and what runs have left there for the next ones. Sessions and held
   * tensors stay good. Waits for runs under way; until `resume` no run may follow. Idempotent.
   * @throws DeviceLost, EngineCrashed
   */
  release(): Promise<Release>;
  /**
   * Between `release` and `resume`, when nothing else is to be done: makes ready what lets the weights come sooner. Ends
   * with `resume`.
   * @returns what could not be made ready though it should be, and why
   * @throws DeviceLost, EngineCrashed; what ended it
   */
  prepareResume(): Promise<readonly string[]>;
  /**
   * Takes memory for the weights again and begins to put them there; runs wait for those that they need. Idempotent.
   * @throws OutOfMemory where there is no room for them: it then stays released
   * @throws ModelReplaced where their files are not the ones that it was opened with
   */
  resume(): Promise<void>;
  close(): Promise<void>;
}

/** Brings the output of that name and type into the process's memory. */
export async function readOutput<T extends Tensor['type']>(
  outputs: Readonly<Record<string, HeldTensor>>,
  name: string,
  type: T,
): Promise<Extract<Tensor, { type: T }>> {
  const tensor = await outputs[name]?.read();
  if (tensor?.type !== type) {
    throw new Error(`expected a ${type} output ${name}, got ${tensor?.type ?? 'none'}`);
  }
  return tensor as Extract<Tensor, { type: T }>;
}

export function releaseAll(tensors: Readonly<Record<string, HeldTensor>>): void {
  for (const tensor of Object.values(tensors)) tensor.release();
}
