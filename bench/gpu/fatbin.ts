/** Starts every fat binary in a library's `.nv_fatbin` section, little-endian; its header is 16 bytes long. */
const MAGIC = Buffer.from([0x50, 0xed, 0x55, 0xba]);
const HEADER_BYTES = 16;
/** Where an entry's header has the length of itself, of its payload, and the architecture that it is for. */
const ENTRY = { kind: 0, headerBytes: 4, payloadBytes: 8, architecture: 28 } as const;
const PTX_KIND = 1;

/** One of a fat binary's parts. */
export interface FatEntry {
  /** PTX, else machine code. */
  readonly isPtx: boolean;
  /** Compute capability, 90 for 9.0: of PTX the least that it can be compiled for. */
  readonly architecture: number;
  readonly payload: Buffer;
}

export interface Trimmed {
  readonly keptBytes: number;
  readonly blankedBytes: number;
}

/**
 * Fills the machine code for other GPUs with zeros, in place: the library stays valid and compresses well. The driver
 * looks at headers first and at a payload only when it loads a kernel of it.
 * @param library      a shared library as a file has it
 * @param architecture compute capability, 90 for 9.0
 * @param exclusive    whether to keep fat binaries that exist for this architecture alone. In ONNX Runtime 1.30 these
 *                     are CUTLASS's Hopper GEMMs for quantised weights and mixtures of experts: more than half of it
 */
export function keepArchitecture(library: Buffer, architecture: number, exclusive: boolean): Trimmed {
  let [keptBytes, blankedBytes] = [0, 0];
  for (let at = library.indexOf(MAGIC); at >= 0; at = library.indexOf(MAGIC, at)) {
    const begin = at + HEADER_BYTES;
    const end = begin + Number(library.readBigUInt64LE(at + 8));
    const entries = readEntries(library, begin, end);
    const isExclusive = entries.every((entry) => entry.architecture === architecture);
    for (const entry of entries) {
      const { length } = entry.payload;
      if (entry.architecture === architecture && (exclusive || !isExclusive)) keptBytes += length;
      else {
        entry.payload.fill(0);
        blankedBytes += length;
      }
    }
    at = end;
  }
  if (keptBytes === 0) throw new Error(`expected code for compute capability ${architecture}, there is none`);
  return { keptBytes, blankedBytes };
}

/** @param bytes a fat binary and nothing else */
export function readFatBinary(bytes: Buffer): FatEntry[] {
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) throw new Error('expected a fat binary');
  return readEntries(bytes, HEADER_BYTES, HEADER_BYTES + Number(bytes.readBigUInt64LE(8)));
}

function readEntries(library: Buffer, begin: number, end: number): FatEntry[] {
  const entries: FatEntry[] = [];
  for (let at = begin; at < end; ) {
    const payloadAt = at + library.readUInt32LE(at + ENTRY.headerBytes);
    const next = payloadAt + Number(library.readBigUInt64LE(at + ENTRY.payloadBytes));
    if (next <= at || next > end) throw new Error(`expected an entry of a fat binary at ${at}`);
    entries.push({
      isPtx: library.readUInt16LE(at + ENTRY.kind) === PTX_KIND,
      architecture: library.readUInt32LE(at + ENTRY.architecture),
      payload: library.subarray(payloadAt, next),
    });
    at = next;
  }
  return entries;
}
