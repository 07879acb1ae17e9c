import type { HeldTensor, Tensor } from '../session.js';
import type { OrtTensor } from './ort.js';
import type { Transfers } from './transfers.js';

/** The runtime whose memory it lies in. */
export interface TensorOwner {
  /** Work on the device. */
  guarded<T>(work: () => Promise<T>): Promise<T>;
  /** Another value over the tensor's elements. */
  reshape(tensor: OrtTensor, dims: readonly number[]): HeldTensor;
}

/** A tensor in the device's memory. */
export class DeviceTensor implements HeldTensor {
  constructor(
    private readonly tensor: OrtTensor,
    private readonly transfers: Transfers,
    private readonly owner: TensorOwner,
    private readonly free: () => void,
  ) {}

  get dims(): readonly number[] {
    return this.tensor.dims;
  }

  get value(): bigint {
    return this.tensor.value;
  }

  async read(): Promise<Tensor> {
    const { type, dims, address, byteLength } = this.tensor;
    const bytes = await this.owner.guarded(() => this.transfers.toHost(address, byteLength));
    switch (type) {
      case 'float32':
        return { type, dims, data: new Float32Array(bytes.buffer) };
      case 'int64':
        return { type, dims, data: new BigInt64Array(bytes.buffer) };
      case 'uint8':
        return { type, dims, data: bytes };
      default:
        throw new Error(`expected a tensor of float32, int64 or uint8, got ${type}`);
    }
  }

  reshaped(dims: readonly number[]): HeldTensor {
    return this.owner.reshape(this.tensor, dims);
  }

  release(): void {
    this.free();
  }
}
