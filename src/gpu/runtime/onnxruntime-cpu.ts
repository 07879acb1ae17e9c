import { env, InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import type { Session, SessionOptions, Tensor } from './session.js';

/** The version of ONNX Runtime that is loaded. */
export function onnxruntimeVersion(): string {
  return env.versions.node ?? env.versions.common;
}

/** ONNX Runtime's CPU kernels. Weights are memory-mapped from the checkpoint and widened to float32 once. */
export async function createCpuSession(options: SessionOptions): Promise<Session> {
  const session = await InferenceSession.create(options.graph, {
    executionProviders: ['cpu'],
    intraOpNumThreads: options.threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    logSeverityLevel: 3,
    extra: { session: { model_external_initializers_file_folder_path: options.weightsFolder } },
  });
  return {
    async run(inputs) {
      const feeds: Record<string, OrtTensor> = {};
      for (const [name, tensor] of Object.entries(inputs)) feeds[name] = toOrt(tensor);
      const outputs: Record<string, Tensor> = {};
      for (const [name, tensor] of Object.entries(await session.run(feeds)))
        outputs[name] = fromOrt(name, tensor);
      return outputs;
    },
    // Weights that are mapped from the checkpoint's files are in no snapshot by themselves.
    prepareForCapture: async () => {},
    afterRestore: async () => {},
    close: () => session.release(),
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
