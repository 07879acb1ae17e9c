import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { CheckpointInvalid } from '../src/contract/errors.js';
import { readSafetensorsHeader } from '../src/gpu/checkpoint/safetensors.js';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tdiff-safetensors-'));
});
after(() => rm(folder, { recursive: true }));

async function written(header: string | object, dataBytes: number, claimedLength?: bigint): Promise<string> {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(claimedLength ?? BigInt(json.length));
  const file = join(folder, `${Math.random()}.safetensors`);
  await writeFile(file, Buffer.concat([prefix, json, Buffer.alloc(dataBytes)]));
  return file;
}

const f32 = (shape: number[], begin: number, end: number) => ({
  dtype: 'F32',
  shape,
  data_offsets: [begin, end],
});

test('tensors are found where the header says, counted from the beginning of the file', async () => {
  const header = {
    __metadata__: { format: 'pt' },
    b: f32([2, 2], 4, 20),
    a: f32([], 0, 4),
    none: f32([0, 7], 20, 20),
  };
  const file = await written(header, 20);
  const dataStart = 8 + JSON.stringify(header).length;
  const tensors = await readSafetensorsHeader(file);
  assert.deepEqual(tensors.get('b'), {
    file,
    dtype: 'F32',
    shape: [2, 2],
    offset: dataStart + 4,
    length: 16,
  });
  assert.equal(tensors.get('a')?.offset, dataStart);
  assert.equal(tensors.get('none')?.length, 0);
  assert.equal(tensors.size, 3);
});

describe('a header that lies is refused by name, before anything else is read', () => {
  const lies: [string, string | object, number, RegExp, bigint?][] = [
    ['a length beyond the file', '{}', 0, /claims 9000 bytes/, 9000n],
    ['a length beyond all memory', '{}', 0, /claims 18446744073709551615 bytes/, 2n ** 64n - 1n],
    ['no JSON', '{"a":', 0, /not JSON/],
    ['a list', '[]', 0, /not a JSON object/],
    ['no UTF-8', Buffer.from([0x7b, 0xff, 0x7d]).toString('latin1'), 0, /not JSON/],
    ['an unknown dtype', { a: { dtype: 'F7', shape: [1], data_offsets: [0, 4] } }, 4, /tensor a: .*dtype/s],
    ['a negative side', { a: f32([-1], 0, 4) }, 4, /tensor a: .*shape/s],
    ['an offset before the data', { a: f32([1], -4, 0) }, 4, /tensor a: .*data_offsets/s],
    ['a fraction', { a: f32([1.5], 0, 6) }, 6, /tensor a: .*shape/s],
    [
      'a shape that does not fit its bytes',
      { a: f32([3], 0, 8) },
      8,
      /tensor a: expected 12 bytes for F32 \[3\], got data_offsets \[0, 8\]/,
    ],
    ['a product beyond all numbers', { a: f32([2 ** 40, 2 ** 40], 0, 4) }, 4, /tensor a: expected/],
    ['an overlap', { a: f32([2], 0, 8), b: f32([2], 4, 12) }, 12, /tensor b overlaps/],
    ['a hole', { a: f32([1], 0, 4), b: f32([1], 8, 12) }, 12, /tensor b leaves a hole/],
    [
      'data that is cut off',
      { a: f32([1], 0, 4), b: f32([4], 4, 20) },
      10,
      /expected \d+ bytes as its header says, the file has \d+ \[first tensor cut off: b\]/,
    ],
    ['data that nobody owns', { a: f32([1], 0, 4) }, 9, /expected \d+ bytes as its header says/],
  ];
  for (const [name, header, dataBytes, message, claimedLength] of lies) {
    test(name, async () => {
      const file = await written(header, dataBytes, claimedLength);
      await assert.rejects(readSafetensorsHeader(file), (error: unknown) => {
        assert.ok(error instanceof CheckpointInvalid);
        assert.ok(error.message.includes(file), error.message);
        assert.match(error.message, message);
        return true;
      });
    });
  }

  test('a file of five bytes', async () => {
    const file = join(folder, 'short.safetensors');
    await writeFile(file, 'short');
    await assert.rejects(readSafetensorsHeader(file), /expected at least 8 bytes, got 5/);
  });

  test('no file', async () => {
    await assert.rejects(readSafetensorsHeader(join(folder, 'missing')), /got ENOENT/);
  });
});

test('every flip of a byte in a header is refused or changes nothing that is read', async () => {
  // A flip inside a name or a number must not lead outside of the file; what remains is a header that is whole.
  const header = { weight: f32([2, 3], 0, 24), bias: f32([3], 24, 36) };
  const json = JSON.stringify(header);
  let refused = 0;
  for (let place = 0; place < json.length; place++) {
    for (const bit of [1, 4, 64]) {
      const bytes = Buffer.from(json);
      bytes[place] = (bytes[place] as number) ^ bit;
      const file = join(folder, 'flipped.safetensors');
      const prefix = Buffer.alloc(8);
      prefix.writeBigUInt64LE(BigInt(bytes.length));
      await writeFile(file, Buffer.concat([prefix, bytes, Buffer.alloc(36)]));
      try {
        const tensors = await readSafetensorsHeader(file);
        for (const { offset, length } of tensors.values())
          assert.ok(offset + length <= 8 + bytes.length + 36);
        assert.ok(tensors.size >= 1);
      } catch (error) {
        assert.ok(error instanceof CheckpointInvalid, String(error));
        refused++;
      }
    }
  }
  assert.ok(refused > json.length);
});
