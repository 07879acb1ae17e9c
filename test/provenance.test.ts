import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import sharp from 'sharp';
import { encodePicture } from '../src/activities/encode.js';
import { readProvenance, writeProvenance } from '../src/activities/provenance.js';
import { InvalidRequest } from '../src/contract/errors.js';
import type { Provenance } from '../src/contract/job.js';
import { ImageFormat, Prompt } from '../src/contract/request.js';
import { scratchFolder } from './support/scratch.js';

const width = 96;
const height = 64;
const data = Uint8Array.from({ length: width * height * 3 }, (_, index) => (index * 7) % 256);

function provenanceOf(provenance: Partial<Provenance> = {}): Provenance {
  return {
    software: 'temporal-diffusion 0.0.0',
    workflowId: 'generate-image/1',
    runId: '2',
    model: 'emoji',
    modelDigest: 'a'.repeat(64),
    prompt: 'a slice of pizza',
    width,
    height,
    steps: 4,
    seed: 4_294_967_295,
    device: 'cpu',
    pixelsSha256: createHash('sha256').update(data).digest('hex'),
    tags: {},
    ...provenance,
  };
}

const encode = (format: ImageFormat, provenance: Provenance, quality?: number): Promise<Buffer> =>
  encodePicture({ data, width, height }, { format, quality }, writeProvenance(provenance));

for (const format of ImageFormat.options) {
  describe(format, () => {
    test('a picture tells how it was made', async () => {
      const provenance = provenanceOf({ tags: { team: 'growth', note: '<&">' } });
      const file = await encode(format, provenance);
      assert.deepEqual(await readProvenance(file), provenance);
      const { width: w, height: h, format: kind } = await sharp(file).metadata();
      assert.deepEqual([w, h, kind], [width, height, format === 'avif' ? 'heif' : format]);
    });

    test('the same pixels and the same making give the same bytes', async () => {
      assert.deepEqual(await encode(format, provenanceOf()), await encode(format, provenanceOf()));
    });

    test('the longest prompt and the most tags fit', async () => {
      const tags = Object.fromEntries(
        Array.from({ length: 14 }, (_, index) => [`k${index}`, '\u0001'.repeat(256)]),
      );
      const provenance = provenanceOf({ prompt: '&'.repeat(2000), tags });
      assert.deepEqual(await readProvenance(await encode(format, provenance)), provenance);
    });

    if (format !== 'png') {
      test('a lower quality is a smaller file', async () => {
        const small = await encode(format, provenanceOf(), 10);
        assert.ok(small.length < (await encode(format, provenanceOf(), 95)).length);
      });
    }
  });
}

test('PNG keeps every pixel', async () => {
  const file = await encode('png', provenanceOf());
  assert.deepEqual(new Uint8Array(await sharp(file).raw().toBuffer()), data);
});

test('no prompt can break out of the packet or get lost in it', async () => {
  const prompts = [
    '</td:provenance><td:provenance>{}',
    ']]> <!-- --> <?xpacket end="w"?>',
    '&amp; &lt;td:provenance&gt; " \' \\ \\u0041',
    'emoji 🍕, combining e\u0301, right-to-left \u202Eabc, non-characters \uFFFE\uFFFF, C1 \u009Fx, lone \uD800 surrogate',
    '日本語 العربية हिन्दी',
  ];
  for (const text of prompts) {
    const provenance = provenanceOf({ prompt: Prompt.parse(text) });
    assert.deepEqual(await readProvenance(await encode('png', provenance)), provenance);
  }
});

test('the packet is well-formed and has what other software looks for', () => {
  const packet = writeProvenance(provenanceOf({ prompt: 'salt & <pepper>' }));
  assert.match(packet, /<rdf:li xml:lang="x-default">salt &amp; &lt;pepper&gt;<\/rdf:li>/);
  assert.match(packet, /digitalsourcetype\/trainedAlgorithmicMedia/);
  // Every tag that is opened is closed, in order.
  const open: string[] = [];
  for (const [, close, name = '', , self] of packet.matchAll(
    /<(\/?)([a-z]+:[A-Za-z]+)((?:\s[^<>]*?)?)(\/?)>/g,
  )) {
    if (close) assert.equal(open.pop(), name);
    else if (!self) open.push(name);
  }
  assert.deepEqual(open, []);
});

test('a file is read by its path; what is no picture, or not one of ours, is refused', async () => {
  const folder = scratchFolder();
  const path = join(folder, 'a.png');
  await writeFile(path, await encode('png', provenanceOf()));
  assert.equal((await readProvenance(path)).prompt, 'a slice of pizza');

  const foreign = await sharp(data, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
  await assert.rejects(readProvenance(foreign), /found none/);
  await assert.rejects(readProvenance(Buffer.from('no picture')), InvalidRequest);
  await assert.rejects(readProvenance(join(folder, 'none.png')), InvalidRequest);
  const forged = await encodePicture(
    { data, width, height },
    { format: 'png' },
    writeProvenance(provenanceOf({ seed: -1 })),
  );
  await assert.rejects(readProvenance(forged), /→ at seed/);
});
