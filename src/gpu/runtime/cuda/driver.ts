/** An address in device memory. */
export type DeviceAddress = bigint;

/** What is known of a device before anything is done with it. */
export interface DeviceFacts {
  /** Its number among the devices that this process sees. */
  readonly index: number;
  /** Such as `NVIDIA H100 80GB HBM3`. */
  readonly name: string;
  /** The card's own, the same for every process, whatever number it has there: 32 hexadecimal digits. */
  readonly uuid: string;
  /** Whether its memory can be handed to other processes as file descriptors. */
  readonly canShare: boolean;
  /** Such as 9.0: below 8.0 there is no bfloat16. */
  readonly computeCapability: { readonly major: number; readonly minor: number };
  /** The newest CUDA that the driver speaks, such as `13.0`. */
  readonly cudaVersion: string;
  /** The driver's own version, such as `580.95.05`; undefined where the kernel doesn't tell. */
  readonly driverVersion: string | undefined;
  readonly totalBytes: number;
}

/** Addresses with or without memory behind them. */
export interface AddressRange {
  readonly address: DeviceAddress;
  readonly bytes: number;
}

/**
 * Memory of the device that has no address of its own: it is used where it is mapped. What is mapped stays there when
 * the handle is closed; it is gone once it is neither mapped nor held.
 */
export interface PhysicalMemory {
  readonly bytes: number;
  close(): void;
}

/** What kernels may do with what is mapped. */
export type Access = 'read' | 'read and write';

/** A plain piece of device memory. */
export interface DeviceBuffer extends AddressRange {
  close(): void;
}

/** Host memory that the device reads and writes by itself. Aligned to 4096 bytes. */
export interface PinnedBuffer {
  readonly address: bigint;
  /** The memory itself, not a copy. Not to be touched after `close`, nor while a copy from or to it is under way. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  close(): void;
}

/** A point in a stream's work. It may be recorded again once it is done. */
export interface CudaEvent {
  /** Whether all that was in the stream before it is done; true before the first `record`. @throws what that work failed with */
  isDone(): boolean;
  /** The same as a promise, which doesn't block the event loop. */
  done(): Promise<void>;
  close(): void;
}

/** Work that the device does one after the other. Its calls return at once. */
export interface CudaStream {
  /** For libraries that are given a stream. */
  readonly handle: bigint;
  /** @param source an address in pinned memory, which must not change until the copy is done */
  copyToDevice(target: DeviceAddress, source: bigint, bytes: number): void;
  /** @param target an address in pinned memory, which must not be read until the copy is done */
  copyToHost(target: bigint, source: DeviceAddress, bytes: number): void;
  record(event: CudaEvent): void;
  /** Waits for what is under way, blocking the thread: after that nothing touches the memory that it copied. */
  close(): void;
}

/**
 * What we need of the CUDA driver for one device. Calls are made from the thread that opened it. Every handle is closed
 * once, before the driver is; closing one twice throws.
 *
 * All calls throw `OutOfMemory` where the device (or the host's pinned memory) is full, `DeviceLost` where the device
 * can't be used any more by this process, and `CudaError` for what must be a mistake of ours.
 */
export interface CudaDriver {
  readonly facts: DeviceFacts;
  /** Bytes that reservations, physical memory and mappings are multiples of. */
  readonly granularity: number;
  memory(): { readonly freeBytes: number; readonly totalBytes: number };

  /** Takes addresses, with nothing behind them. @param bytes a multiple of `granularity` */
  reserve(bytes: number): AddressRange;
  /** Gives addresses back, behind which nothing is mapped any more. */
  unreserve(range: AddressRange): void;
  /**
   * Takes memory of the device.
   * @param bytes a multiple of `granularity`
   * @param shareable whether it can be exported. Default: false, since that is not free of conditions
   */
  createPhysical(bytes: number, options?: { readonly shareable?: boolean }): PhysicalMemory;
  /**
   * A file descriptor that stands for shareable memory, for another process to import. It is the caller's to close, and
   * holds the memory as the handle does.
   */
  exportDescriptor(memory: PhysicalMemory): number;
  /**
   * The memory that another process has exported. The descriptor may be closed afterwards.
   * @param bytes as many as it has
   */
  importDescriptor(descriptor: number, bytes: number): PhysicalMemory;
  /**
   * Puts all of `memory` behind the addresses from `address` on.
   * @param access Default: `read and write`
   * @returns what was allowed: a driver that knows no reading alone allows writing too
   */
  map(address: DeviceAddress, memory: PhysicalMemory, access?: Access): Access;
  /** Takes away what one `map` has put behind these addresses. No work on them may be under way. */
  unmap(range: AddressRange): void;

  /** @param bytes more than 0 */
  allocate(bytes: number): DeviceBuffer;
  /**
   * @param bytes more than 0
   * @param options.writeOnly whether the processor never reads it. Such memory stays out of its caches, which the
   *                          device's reads then need not ask; reading it is very slow. Default: false
   */
  allocatePinned(bytes: number, options?: { readonly writeOnly?: boolean }): PinnedBuffer;
  /**
   * Lets the device read memory of this process by itself, where it lies. No copy may reach from what one call pinned
   * into what another one did.
   * @param range mapped memory that stays so; its pages stay in memory until then
   * @returns ends that; no copy from there may be under way
   */
  pin(range: AddressRange): () => void;
  createStream(): CudaStream;
  createEvent(): CudaEvent;
  close(): void;
}

export function roundUp(bytes: number, unit: number): number {
  return Math.ceil(bytes / unit) * unit;
}
