import koffi, { type LibraryHandle } from 'koffi';

/** An address in native memory; 0 and null are the same to C. */
export type Pointer = bigint;

/** Calls run on stacks of koffi's own; graph optimisation and kernel compilation recurse deeply. */
const STACK_BYTES = 8 << 20;
/** Held for good: koffi unloads a library whose handle is garbage, whoever still has addresses in it. */
const libraries = new Map<string, LibraryHandle>();

/**
 * Loads a shared library.
 * @param path a path, or a name that the loader finds
 * @throws Error with the loader's message
 */
export function loadLibrary(path: string): LibraryHandle {
  const known = libraries.get(path);
  if (known) return known;
  // koffi takes settings only before its first library.
  if (libraries.size === 0) koffi.config({ sync_stack_size: STACK_BYTES, async_stack_size: STACK_BYTES });
  const library = koffi.load(path);
  libraries.set(path, library);
  return library;
}

/** A function at an address, with the prototype that a header gives it. */
export function functionAt<Signature>(address: Pointer, result: string, args: readonly string[]): Signature {
  return koffi.decode(address, koffi.proto(result, [...args])) as Signature;
}

/** Bytes at an address, not copied: the view is good only while the memory is. */
export function bytesAt(address: Pointer, length: number): Uint8Array {
  return new Uint8Array(koffi.view(address, length));
}

/** Where an array's bytes are: good while the array is held, and its memory is not moved, as none of a `Buffer`'s is. */
export function addressOf(bytes: Uint8Array): Pointer {
  return koffi.address(bytes);
}

/** The text at an address, which ends with a zero byte. */
export function textAt(address: Pointer): string {
  return koffi.decode(address, 'char', -1) as string;
}
