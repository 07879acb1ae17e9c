import koffi, { type LibraryHandle } from 'koffi';

/** An address in native memory; 0 and null are the same to C. */
export type Pointer = bigint;

/** Calls run on stacks of koffi's own; graph optimisation and kernel compilation recurse deeply. */
const STACK_BYTES = 8 << 20;
let isConfigured = false;

/**
 * Loads a shared library.
 * @param path a path, or a name that the loader finds
 * @throws Error with the loader's message
 */
export function loadLibrary(path: string): LibraryHandle {
  // koffi takes settings only before its first library.
  if (!isConfigured) koffi.config({ sync_stack_size: STACK_BYTES, async_stack_size: STACK_BYTES });
  isConfigured = true;
  return koffi.load(path);
}

/** A function at an address, with the prototype that a header gives it. */
export function functionAt<Signature>(address: Pointer, result: string, args: readonly string[]): Signature {
  return koffi.decode(address, koffi.proto(result, [...args])) as Signature;
}

/** Bytes at an address, not copied: the view is good only while the memory is. */
export function bytesAt(address: Pointer, length: number): Uint8Array {
  return new Uint8Array(koffi.view(address, length));
}

/** The text at an address, which ends with a zero byte. */
export function textAt(address: Pointer): string {
  return koffi.decode(address, 'char', -1) as string;
}
