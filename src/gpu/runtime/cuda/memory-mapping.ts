import { closeSync, fstatSync, openSync } from 'node:fs';
import koffi, { type KoffiFunc } from 'koffi';
import { loadLibrary } from './native.js';

const PROT_READ = 1;
const MAP_SHARED = 1;
const MAP_FAILED = 0xffff_ffff_ffff_ffffn;

interface Functions {
  readonly mmap: KoffiFunc<
    (
      address: bigint,
      bytes: number,
      protection: number,
      flags: number,
      descriptor: number,
      offset: number,
    ) => number | bigint
  >;
  readonly munmap: KoffiFunc<(address: bigint, bytes: number) => number>;
}

let functions: Functions | undefined;

function libc(): Functions {
  const library = loadLibrary('libc.so.6');
  const mmapArguments = ['uint64', 'uint64', 'int', 'int', 'int', 'int64'];
  functions ??= {
    mmap: library.func('mmap', 'uint64', mmapArguments) as Functions['mmap'],
    munmap: library.func('munmap', 'int', ['uint64', 'uint64']) as Functions['munmap'],
  };
  return functions;
}

/**
 * The system's `mmap`.
 * @returns where it is mapped
 * @throws Error with the system's number for what was wrong
 */
export function mmap(
  address: bigint,
  bytes: number,
  protection: number,
  flags: number,
  descriptor = -1,
): bigint {
  const mapped = BigInt(libc().mmap(address, bytes, protection, flags, descriptor, 0));
  if (mapped === MAP_FAILED) throw new Error(`mmap of ${bytes} bytes failed [errno=${koffi.errno()}]`);
  return mapped;
}

/** The system's `munmap`. @throws Error with the system's number for what was wrong */
export function munmap(address: bigint, bytes: number): void {
  if (libc().munmap(address, bytes) !== 0) throw new Error(`munmap failed [errno=${koffi.errno()}]`);
}

/** A file's pages as memory of this process. */
export interface MappedFile {
  readonly address: bigint;
  /** As many as the file had. A page beyond the end of a file that was cut off since must not be touched. */
  readonly bytes: number;
  close(): void;
}

/**
 * Maps a file to be read. What is mapped stays the file that it was, whatever its name is given to.
 * @throws what the system says of a file that can't be opened; Error where it is empty
 */
export function mapFile(path: string): MappedFile {
  const descriptor = openSync(path, 'r');
  try {
    const { size: bytes } = fstatSync(descriptor);
    const address = mmap(0n, bytes, PROT_READ, MAP_SHARED, descriptor);
    return { address, bytes, close: () => munmap(address, bytes) };
  } finally {
    closeSync(descriptor);
  }
}
