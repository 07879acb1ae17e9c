import type { Tensor } from '../session.js';
import type { CudaDriver, CudaStream, DeviceBuffer, PinnedBuffer } from './driver.js';
import { Turns } from './turns.js';

/** Small copies between the process's memory and the device's, one at a time. */
export class Transfers {
  readonly #stream: CudaStream;
  readonly #turns = new Turns();
  #pinned: PinnedBuffer | undefined;

  constructor(private readonly driver: CudaDriver) {
    this.#stream = driver.createStream();
  }

  async toHost(address: bigint, byteLength: number): Promise<Uint8Array<ArrayBuffer>> {
    if (byteLength === 0) return new Uint8Array();
    return this.#turns.take(async () => {
      const pinned = this.#room(byteLength);
      this.#stream.copyToHost(pinned.address, address, byteLength);
      await this.#done();
      return pinned.bytes.slice(0, byteLength);
    });
  }

  /** @param data an empty array has an address too */
  async toDevice(data: Tensor['data']): Promise<DeviceBuffer> {
    if (data.byteLength === 0) return this.driver.allocate(1);
    return this.#turns.take(async () => {
      const pinned = this.#room(data.byteLength);
      pinned.bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
      const buffer = this.driver.allocate(data.byteLength);
      try {
        this.#stream.copyToDevice(buffer.address, pinned.address, data.byteLength);
        await this.#done();
      } catch (error) {
        buffer.close();
        throw error;
      }
      return buffer;
    });
  }

  /** Gives back what is had again when it is needed. */
  async rest(): Promise<void> {
    await this.#turns.take(async () => {
      this.#pinned?.close();
      this.#pinned = undefined;
    });
  }

  close(): void {
    this.#pinned?.close();
    this.#stream.close();
  }

  async #done(): Promise<void> {
    const event = this.driver.createEvent();
    try {
      this.#stream.record(event);
      await event.done();
    } finally {
      event.close();
    }
  }

  #room(byteLength: number): PinnedBuffer {
    if (this.#pinned && this.#pinned.bytes.byteLength >= byteLength) return this.#pinned;
    this.#pinned?.close();
    this.#pinned = undefined;
    this.#pinned = this.driver.allocatePinned(byteLength);
    return this.#pinned;
  }
}
