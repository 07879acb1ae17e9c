import { cpus } from 'node:os';
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { FLOAT32 } from '../graph/graphs.js';
import type { HeldTensor, Inputs, Runtime, RuntimeGraph, Session, Tensor } from './session.js';

/** ONNX Runtime's CPU kernels. Weights are memory-mapped from the checkpoint and widened to float32 once. */
export function openCpuRuntime(threads: number): Runtime {
  const sessions: InferenceSession[] = [];
  return {
    device: 'cpu',
    compute: FLOAT32,
    deviceName: cpus()[0]?.model ?? 'unknown processor',
    async open(graphs, onOpened) {
      const opened: Session[] = [];
      for (const [index, graph] of graphs.entries()) {
        const session = await createSession(graph, threads);
        sessions.push(session);
        opened.push({
          ready: async () => {},
          run: (inputs) => run(session, inputs),
          warmUp: async () => {},
        });
        onOpened?.(opened[index] as Session, index);
      }
      return opened;
    },
    loaded: async () => {},
    lost: () => new Promise(() => {}),
    // The page cache has them.
    keepWeights: async () => [],
    prepareResume: async () => [],
    hold: async (tensor) => held(tensor),
    memory: () => undefined,
    // Weights that are mapped from the checkpoint's files are in no snapshot by themselves, and the kernel takes their
    // memory when somebody else needs it.
    release: async () => ({ bytes: 0 }),
    resume: async () => {},
    async close() {
      for (const session of sessions) await session.release();
    },
  };
}

function createSession({ bytes, weightsFolder }: RuntimeGraph, threads: number): Promise<InferenceSession> {
  return InferenceSession.create(bytes, {
    executionProviders: ['cpu'],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    logSeverityLevel: 3,
    extra: {
      session: {
        model_external_initializers_file_folder_path: weightsFolder,
        // Every session has threads of its own. Those that wait busily for more work take processors from the session
        // that has some: a small picture took twice as long, docs/engine.md has the figures.
        intra_op: { allow_spinning: '0' },
      },
    },
  });
}

async function run(session: InferenceSession, inputs: Inputs): Promise<Record<string, HeldTensor>> {
  const feeds: Record<string, OrtTensor> = {};
  for (const [name, tensor] of Object.entries(inputs)) {
    feeds[name] = toOrt('read' in tensor ? await tensor.read() : tensor);
  }
  const outputs: Record<string, HeldTensor> = {};
  for (const [name, tensor] of Object.entries(await session.run(feeds))) {
    outputs[name] = held(fromOrt(name, tensor));
  }
  return outputs;
}

function held(tensor: Tensor): HeldTensor {
  return {
    dims: tensor.dims,
    read: async () => tensor,
    reshaped: (dims) => held({ ...tensor, dims }),
    release: () => {},
  };
}

function toOrt(tensor: Tensor): OrtTensor {
  switch (tensor.type) {
    case 'float32':
      return new OrtTensor('float32', tensor.data, tensor.dims);
    case 'int64':
      return new OrtTensor('int64', tensor.data, tensor.dims);
    case 'uint8':
      return new OrtTensor('uint8', tensor.data, tensor.dims);
  }
}

function fromOrt(name: string, tensor: OrtTensor): Tensor {
  const { dims, data } = tensor;
  if (data instanceof Float32Array) return { type: 'float32', dims, data };
  if (data instanceof BigInt64Array) return { type: 'int64', dims, data };
  if (data instanceof Uint8Array) return { type: 'uint8', dims, data };
  throw new Error(`output ${name}: expected float32, int64 or uint8, got ${tensor.type}`);
}
