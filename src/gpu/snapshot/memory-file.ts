import { type FileHandle, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  decodeFields,
  decodeImage,
  encodeFields,
  encodeImage,
  type Field,
  numberIn,
  withNumber,
} from './wire.js';

/*
 * CRIU copies every page of an image into the new process before it runs, at 1.4 GB/s. Most of an engine's memory
 * are weights that ORT has widened: large, and only ever read. So what CRIU has dumped is edited once: long runs of
 * anonymous pages move into a file of their own, and the process's memory map then says that this file is mapped
 * there, privately. Restoring them is one mmap. The kernel reads pages when they are touched, engines that are
 * restored from the same image share them, and one that writes to a page gets its own copy, as it would have of its
 * own memory. Pages of nothing but zeros are left out: untouched memory is the same. What differs is memory that is
 * discarded (MADV_DONTNEED): it would have zeros again, and has what was captured. V8 expects nothing of it, since it
 * asks for MADV_FREE first, which promises nothing; what it or malloc takes as zeros it maps or grows anew.
 */

/** The file that restored engines map. */
export const MEMORY_FILE = 'memory.img';

const PAGE = 4096;
/**
 * A mapping costs the kernel some microseconds, a copied page about two. V8's heap, in pages of 256 KiB, is mapped
 * too: most of it is the tokenizer's vocabulary, of which a picture needs a few words.
 */
const SHORTEST_RUN = 16 * PAGE;
/** A hole of fewer zero pages than this is not worth two mappings. */
const SHORTEST_HOLE = 16 * PAGE;

/** VMA_AREA_REGULAR, VMA_AREA_HEAP, VMA_FILE_PRIVATE and VMA_ANON_PRIVATE of CRIU's include/image.h. */
const REGULAR = 1n;
const HEAP = 1n << 5n;
const FILE_PRIVATE = 1n << 6n;
const ANON_PRIVATE = 1n << 9n;
const PROT_READ_WRITE = 3n;
const MAP_PRIVATE = 2n;
const MAP_ANONYMOUS = 0x20n;
const MAP_NORESERVE = 0x4000n;
/** PE_PRESENT of CRIU's include/pagemap.h. */
const PRESENT = 4n;
/** `REG` of CRIU's fdinfo.proto. */
const REGULAR_FILE = 1n;

/** Numbers of the fields that are read or changed, from CRIU's images/*.proto. */
const MM = { vmas: 14 } as const;
const VMA = { start: 1, end: 2, pgoff: 3, shmid: 4, prot: 5, flags: 6, status: 7 } as const;
const PAGEMAP_HEAD = { pagesId: 1 } as const;
const PAGEMAP = { vaddr: 1, compatPages: 2, inParent: 3, flags: 4, pages: 5 } as const;
const FILE = { type: 1, id: 2, reg: 3 } as const;
const REG = { id: 1, flags: 2, pos: 3, fown: 5, name: 6, size: 8, mode: 10 } as const;
const FOWN = { uid: 1, euid: 2, signum: 3, pidType: 4, pid: 5 } as const;

/** Pages that follow each other in memory and in the file of pages. */
interface Run {
  readonly start: number;
  readonly bytes: number;
  /** Where they are in the file that they come from. */
  readonly offset: number;
}

export interface MemoryFile {
  /** Bytes that are now mapped instead of copied. */
  readonly mappedBytes: number;
  /** Bytes that CRIU still copies. */
  readonly copiedBytes: number;
  /** Bytes of zeros that were left out. */
  readonly zeroBytes: number;
}

/**
 * Edits the images of one process in place.
 * @param mappedAs the path under which a restored process finds the memory file
 * @param pid its number in its own namespace
 * @throws Error where the images are not as expected
 */
export async function moveIntoMemoryFile(images: string, mappedAs: string, pid = 1): Promise<MemoryFile> {
  const file = (name: string) => join(images, name);
  const mm = decodeImage(await readFile(file(`mm-${pid}.img`)));
  const pagemap = decodeImage(await readFile(file(`pagemap-${pid}.img`)));
  const files = decodeImage(await readFile(file('files.img')));
  const [mmMessage] = mm.messages;
  const [pagemapHead, ...entries] = pagemap.messages;
  if (!mmMessage || !pagemapHead) throw new Error(`${images}: expected a memory map and a page map`);

  // Shared memory has files of pages too.
  const pagesName = `pages-${numberIn(decodeFields(pagemapHead), PAGEMAP_HEAD.pagesId) ?? 1n}.img`;
  const fileId =
    1n +
    files.messages.reduce((max, message) => bigMax(max, numberIn(decodeFields(message), FILE.id) ?? 0n), 0n);
  const mmFields = decodeFields(mmMessage);
  const areas = mmFields.flatMap((field) =>
    field.number === MM.vmas && field.type === 2 ? [decodeFields(field.value)] : [],
  );

  const bounded = areas.map((area) => ({ ...bounds(area), area })).sort((a, b) => a.start - b.start);

  const pages = await open(file(pagesName), 'r');
  const kept = await open(file('pages.new'), 'wx', 0o600);
  const memory = await open(file(MEMORY_FILE), 'wx', 0o600);
  let mapped: Piece[] = [];
  const stillCopied: Run[] = [];
  let keptBytes = 0;
  let mappedBytes = 0;
  let zeroBytes = 0;
  try {
    for (const run of runsOf(entries)) {
      for (const [area, part] of cutAtAreas(run, bounded)) {
        const isAnonymous = area !== undefined && isPlainAnonymous(area);
        const bytes = await readExactly(pages, part);
        for (const { from, to, isZero } of isAnonymous
          ? cutAtZeros(bytes)
          : [{ from: 0, to: bytes.length, isZero: false }]) {
          const start = part.start + from;
          const piece = bytes.subarray(from, to);
          if (isZero) zeroBytes += piece.length;
          else if (isAnonymous && piece.length >= SHORTEST_RUN) {
            await memory.write(piece, 0, piece.length, mappedBytes);
            mapped.push({ start, end: start + piece.length, offset: mappedBytes, area });
            mappedBytes += piece.length;
          } else {
            await kept.write(piece, 0, piece.length, keptBytes);
            stillCopied.push({ start, bytes: piece.length, offset: keptBytes });
            keptBytes += piece.length;
          }
        }
      }
    }
    await memory.sync();
    await kept.sync();
  } finally {
    await Promise.all([pages.close(), kept.close(), memory.close()]);
  }
  mapped = joinNeighbours(mapped);

  const inAreas = new Map<Piece['area'], Piece[]>();
  for (const piece of mapped) {
    const others = inAreas.get(piece.area);
    if (others) others.push(piece);
    else inAreas.set(piece.area, [piece]);
  }
  const newAreas = areas.flatMap((area) => splitArea(area, inAreas.get(area) ?? [], fileId));
  await replace(
    file(`mm-${pid}.img`),
    encodeImage({
      magic: mm.magic,
      messages: [
        encodeFields([
          ...mmFields.filter((field) => field.number !== MM.vmas),
          ...newAreas.map((area): Field => ({ number: MM.vmas, type: 2, value: encodeFields(area) })),
        ]),
        ...mm.messages.slice(1),
      ],
    }),
  );
  await replace(
    file(`pagemap-${pid}.img`),
    encodeImage({
      magic: pagemap.magic,
      messages: [pagemapHead, ...joinRuns(stillCopied).map(pagemapEntry)],
    }),
  );
  await replace(
    file('files.img'),
    encodeImage({
      magic: files.magic,
      messages: [...files.messages, fileEntry(fileId, mappedAs, mappedBytes)],
    }),
  );
  await rename(file('pages.new'), file(pagesName));
  return { mappedBytes, copiedBytes: keptBytes, zeroBytes };
}

interface Piece {
  readonly start: number;
  readonly end: number;
  /** In the memory file. */
  readonly offset: number;
  /** What it is a part of. */
  readonly area: readonly Field[] | undefined;
}

/** Page map entries are in the order of the pages in their file. */
function runsOf(entries: readonly Uint8Array[]): Run[] {
  let offset = 0;
  return entries.map((entry) => {
    const fields = decodeFields(entry);
    const start = Number(numberIn(fields, PAGEMAP.vaddr) ?? 0n);
    const pages = numberIn(fields, PAGEMAP.pages) ?? numberIn(fields, PAGEMAP.compatPages) ?? 0n;
    const flags = numberIn(fields, PAGEMAP.flags) ?? PRESENT;
    if ((flags & PRESENT) === 0n || numberIn(fields, PAGEMAP.inParent)) {
      throw new Error('expected an image that has all of its pages');
    }
    const run = { start, bytes: Number(pages) * PAGE, offset };
    offset += run.bytes;
    return run;
  });
}

/** An area and its bounds, which take long to read out of it. */
interface Bounded {
  readonly start: number;
  readonly end: number;
  readonly area: Field[];
}

/** The one that an address is in, of those in the order of their addresses: a GPU's engine has thousands. */
function areaAt(address: number, areas: readonly Bounded[]): Bounded | undefined {
  let [low, high] = [0, areas.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((areas[middle] as Bounded).end <= address) low = middle + 1;
    else high = middle;
  }
  const found = areas[low];
  return found && found.start <= address ? found : undefined;
}

function* cutAtAreas(run: Run, areas: readonly Bounded[]): Generator<[Field[] | undefined, Run]> {
  let { start, offset } = run;
  const end = start + run.bytes;
  while (start < end) {
    const found = areaAt(start, areas);
    const until = found ? Math.min(end, found.end) : end;
    // The pages of one run are read as a whole.
    for (let part = start; part < until; part += LARGEST_PART) {
      const bytes = Math.min(LARGEST_PART, until - part);
      yield [found?.area, { start: part, bytes, offset: offset + (part - start) }];
    }
    offset += until - start;
    start = until;
  }
}
const LARGEST_PART = 64 << 20;

function bounds(area: readonly Field[]): { start: number; end: number } {
  return { start: Number(numberIn(area, VMA.start)), end: Number(numberIn(area, VMA.end)) };
}

/** Readable and writable memory of nobody but the process. */
function isPlainAnonymous(area: readonly Field[]): boolean {
  const status = numberIn(area, VMA.status) ?? 0n;
  const flags = numberIn(area, VMA.flags) ?? 0n;
  return (
    (status & ~HEAP) === (REGULAR | ANON_PRIVATE) &&
    (flags & ~MAP_NORESERVE) === (MAP_PRIVATE | MAP_ANONYMOUS) &&
    numberIn(area, VMA.prot) === PROT_READ_WRITE
  );
}

async function readExactly(file: FileHandle, { offset, bytes }: Run): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(bytes);
  let done = 0;
  while (done < bytes) {
    const { bytesRead } = await file.read(buffer, done, bytes - done, offset + done);
    if (bytesRead === 0) throw new Error('expected more pages than the image has');
    done += bytesRead;
  }
  return buffer;
}

const ZEROS = Buffer.alloc(PAGE);

function cutAtZeros(bytes: Buffer): { from: number; to: number; isZero: boolean }[] {
  const parts: { from: number; to: number; isZero: boolean }[] = [];
  for (let from = 0; from < bytes.length; from += PAGE) {
    const isZero = bytes.compare(ZEROS, 0, PAGE, from, from + PAGE) === 0;
    const last = parts.at(-1);
    if (last?.isZero === isZero) last.to += PAGE;
    else parts.push({ from, to: from + PAGE, isZero });
  }
  const joined: typeof parts = [];
  for (const part of parts) {
    const isZero = part.isZero && part.to - part.from >= SHORTEST_HOLE;
    const last = joined.at(-1);
    if (last && last.isZero === isZero) last.to = part.to;
    else joined.push({ ...part, isZero });
  }
  return joined;
}

/** A run that was read in parts is one mapping all the same; one that goes over two areas is two. */
function joinNeighbours(pieces: readonly Piece[]): Piece[] {
  const joined: Piece[] = [];
  for (const piece of pieces) {
    const last = joined.at(-1);
    const isNext =
      last?.end === piece.start &&
      last.area === piece.area &&
      last.offset + (last.end - last.start) === piece.offset;
    if (isNext) joined[joined.length - 1] = { ...last, end: piece.end };
    else joined.push(piece);
  }
  return joined;
}

function joinRuns(runs: readonly Run[]): Run[] {
  const joined: Run[] = [];
  for (const run of runs) {
    const last = joined.at(-1);
    if (last && last.start + last.bytes === run.start)
      joined[joined.length - 1] = { ...last, bytes: last.bytes + run.bytes };
    else joined.push(run);
  }
  return joined;
}

/** The area with those pieces of it mapped from the file, and what is left between them as it was. */
function splitArea(area: Field[], inside: readonly Piece[], fileId: bigint): Field[][] {
  const { start, end } = bounds(area);
  if (inside.length === 0) return [area];
  const parts: Field[][] = [];
  let at = start;
  const rest = (to: number) => {
    if (at < to) parts.push(withBounds(area, at, to));
    at = to;
  };
  for (const piece of inside) {
    rest(piece.start);
    let mapped = withBounds(area, piece.start, piece.end);
    for (const [number, value] of [
      [VMA.pgoff, BigInt(piece.offset)],
      [VMA.shmid, fileId],
      [VMA.flags, MAP_PRIVATE | ((numberIn(area, VMA.flags) ?? 0n) & MAP_NORESERVE)],
      [VMA.status, REGULAR | FILE_PRIVATE],
    ] as const)
      mapped = withNumber(mapped, number, value);
    parts.push(mapped);
    at = piece.end;
  }
  rest(end);
  return parts;
}

function withBounds(area: readonly Field[], start: number, end: number): Field[] {
  return withNumber(withNumber(area, VMA.start, BigInt(start)), VMA.end, BigInt(end));
}

function pagemapEntry({ start, bytes }: Run): Buffer {
  const pages = BigInt(bytes / PAGE);
  return encodeFields([
    { number: PAGEMAP.vaddr, type: 0, value: BigInt(start) },
    { number: PAGEMAP.compatPages, type: 0, value: pages },
    { number: PAGEMAP.flags, type: 0, value: PRESENT },
    { number: PAGEMAP.pages, type: 0, value: pages },
  ]);
}

function fileEntry(id: bigint, name: string, bytes: number): Buffer {
  const nobody = encodeFields(Object.values(FOWN).map((number) => ({ number, type: 0, value: 0n })));
  const reg = encodeFields([
    { number: REG.id, type: 0, value: id },
    { number: REG.flags, type: 0, value: 0n },
    { number: REG.pos, type: 0, value: 0n },
    { number: REG.fown, type: 2, value: nobody },
    { number: REG.name, type: 2, value: Buffer.from(name) },
    { number: REG.size, type: 0, value: BigInt(bytes) },
    { number: REG.mode, type: 0, value: 0o100600n },
  ]);
  return encodeFields([
    { number: FILE.type, type: 0, value: REGULAR_FILE },
    { number: FILE.id, type: 0, value: id },
    { number: FILE.reg, type: 2, value: reg },
  ]);
}

async function replace(path: string, bytes: Uint8Array): Promise<void> {
  await rm(path);
  await writeFile(path, bytes, { mode: 0o600 });
}

function bigMax(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
