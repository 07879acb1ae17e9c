import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { MEMORY_FILE, moveIntoMemoryFile } from '../src/gpu/snapshot/memory-file.js';
import { decodeFields, decodeImage, encodeFields, encodeImage, numberIn } from '../src/gpu/snapshot/wire.js';
import { scratchFolder } from './support/scratch.js';

const PAGE = 4096;
const PAGES = 32;
const START = 0x7f0000000000;
const SIZE = PAGES * PAGE;
/** MAP_PRIVATE | MAP_ANONYMOUS, and the same with MAP_NORESERVE, as V8 asks for its heap. */
const FLAGS = [0x22n, 0x4022n];
const REGULAR_ANONYMOUS = 0x201n;
const REGULAR_FILE = 0x41n;

function image(messages: readonly Uint8Array[]): Buffer {
  return encodeImage({ magic: Buffer.from('1943565400000000', 'hex'), messages });
}

function message(numbers: Record<number, bigint>): Buffer {
  return encodeFields(
    Object.entries(numbers).map(([number, value]) => ({ number: Number(number), type: 0, value })),
  );
}

test('neighbouring areas whose pages follow each other are both mapped, with all that was in them', async () => {
  const images = join(scratchFolder(), 'images');
  await mkdir(images);
  const areas = FLAGS.map((flags, place) =>
    message({
      1: BigInt(START + place * SIZE),
      2: BigInt(START + (place + 1) * SIZE),
      3: 0n,
      4: 0n,
      5: 3n,
      6: flags,
      7: REGULAR_ANONYMOUS,
    }),
  );
  const pages = Buffer.alloc(2 * SIZE, 0).map((_, at) => 1 + (at % 251));
  const run = { 1: BigInt(START), 2: BigInt(2 * PAGES), 4: 4n, 5: BigInt(2 * PAGES) };
  await writeFile(
    join(images, 'mm-1.img'),
    image([encodeFields(areas.map((value) => ({ number: 14, type: 2, value })))]),
  );
  await writeFile(join(images, 'pagemap-1.img'), image([message({ 1: 1n }), message(run)]));
  await writeFile(join(images, 'files.img'), image([message({ 1: 1n, 2: 1n })]));
  await writeFile(join(images, 'pages-1.img'), pages);

  const moved = await moveIntoMemoryFile(images, '/run/memory.img');
  assert.deepEqual(moved, { mappedBytes: 2 * SIZE, copiedBytes: 0, zeroBytes: 0 });
  assert.ok((await readFile(join(images, MEMORY_FILE))).equals(pages));
  const [mm] = decodeImage(await readFile(join(images, 'mm-1.img'))).messages;
  const mapped = decodeFields(mm ?? Buffer.alloc(0)).map((field) => {
    const area = decodeFields(field.value as Uint8Array);
    return [1, 2, 3, 7].map((number) => numberIn(area, number));
  });
  assert.deepEqual(
    mapped,
    FLAGS.map((_, place) => [
      BigInt(START + place * SIZE),
      BigInt(START + (place + 1) * SIZE),
      BigInt(place * SIZE),
      REGULAR_FILE,
    ]),
  );
});
