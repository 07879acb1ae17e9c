import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keepArchitecture } from '../bench/gpu/fatbin.js';

interface Code {
  readonly architecture: number;
  readonly payload: string;
}

const ENTRY_HEADER = 64;

/** As NVIDIA's compilers write them: a header of 16 bytes, then entries. */
function fatBinary(...codes: readonly Code[]): Buffer {
  const entries = codes.map(({ architecture, payload }) => {
    const entry = Buffer.alloc(ENTRY_HEADER + payload.length, 0);
    entry.writeUInt16LE(2, 0);
    entry.writeUInt32LE(ENTRY_HEADER, 4);
    entry.writeBigUInt64LE(BigInt(payload.length), 8);
    entry.writeUInt32LE(architecture, 28);
    entry.write(payload, ENTRY_HEADER);
    return entry;
  });
  const header = Buffer.from('50ed55ba010010000000000000000000', 'hex');
  header.writeBigUInt64LE(BigInt(Buffer.concat(entries).length), 8);
  return Buffer.concat([header, ...entries]);
}

const both = [
  { architecture: 80, payload: 'for Ampere' },
  { architecture: 90, payload: 'for Hopper' },
];
const hopperOnly = { architecture: 90, payload: 'Hopper has nothing else' };
const library = () =>
  Buffer.concat([Buffer.from('code '), fatBinary(...both), Buffer.from(' more '), fatBinary(hopperOnly)]);

test('code for other GPUs is blanked, all else stays where it was', () => {
  const before = library();
  const after = library();
  const { keptBytes, blankedBytes } = keepArchitecture(after, 90, true);
  assert.deepEqual([keptBytes, blankedBytes], [33, 10]);
  assert.equal(after.toString('latin1'), before.toString('latin1').replace('for Ampere', '\0'.repeat(10)));
});

test('what exists for one architecture only is kept on demand', () => {
  const after = library();
  const { keptBytes } = keepArchitecture(after, 90, false);
  assert.equal(keptBytes, 10);
  assert.ok(!after.includes('nothing else') && after.includes('for Hopper'));
});

test('a library without code for the GPU is refused', () => {
  assert.throws(() => keepArchitecture(library(), 120, true), /compute capability 120/);
});

test('an entry that reaches past its fat binary is refused', () => {
  const broken = library();
  broken.writeUInt32LE(0xffff, broken.indexOf('for Ampere') - ENTRY_HEADER + 8);
  assert.throws(() => keepArchitecture(broken, 90, true), /expected an entry/);
});
