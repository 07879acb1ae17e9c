import assert from 'node:assert/strict';
import { appendFile, cp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadDataConverter } from '@temporalio/common/lib/internal-non-workflow/index.js';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import sharp from 'sharp';
import { encodePicture } from '../src/activities/encode.js';
import { readProvenance, writeProvenance } from '../src/activities/provenance.js';
import { drawAgain } from '../src/cli/drawn-again.js';
import { readHistory } from '../src/cli/history-file.js';
import { pixelDifference } from '../src/cli/pixel-difference.js';
import { pictureOfFile, picturesOfJob, type RecordedPicture } from '../src/cli/recorded-picture.js';
import { readRun } from '../src/cli/recorded-run.js';
import { reproduce as reproduceHere } from '../src/cli/reproduce.js';
import { UsageError } from '../src/cli/usage-error.js';
import type { Provenance } from '../src/contract/job.js';
import { type ReproducedPicture, Reproduction } from '../src/contract/reproduction.js';
import { createFolderStore } from '../src/storage/folder-store.js';
import { runCommand } from './support/command.js';
import { HISTORIES } from './support/histories.js';
import { EMOJI } from './support/references.js';
import { scratchFolder } from './support/scratch.js';
import { sharedEngine } from './support/shared-engine.js';

const scratch = scratchFolder();

async function reproduce(...argv: string[]) {
  const { code, stdout, stderr } = await runCommand(['reproduce', ...argv], { cwd: scratch });
  return { code, stdout, stderr };
}

describe('two pictures', () => {
  test('of the same pixels have no difference', () => {
    const pixels = Uint8Array.of(1, 2, 3, 4, 5, 6);
    assert.deepEqual(pixelDifference(pixels, pixels), { maxLevels: 0, meanLevels: 0, differing: 0 });
  });

  test('of others are told apart by level, mean, share and ratio', () => {
    const { psnr, ...rest } = pixelDifference(
      new Uint8Array(12),
      Uint8Array.of(0, 3, 0, ...Array(9).fill(0)),
    );
    assert.deepEqual(rest, { maxLevels: 3, meanLevels: 0.25, differing: 0.25 });
    assert.ok(Math.abs((psnr ?? 0) - 10 * Math.log10((255 * 255 * 12) / 9)) < 1e-9);
  });
});

describe('temporal-diffusion reproduce', () => {
  const shared = sharedEngine(scratch);
  const small = { prompt: 'a red heart', width: 64, height: 64, steps: 2 };
  const path = (name: string) => join(scratch, name);
  /** The stored picture of a job, its history, and those of a batch of three. */
  let png: string;
  let jpeg: string;
  let history: string;
  let batchItem: string;
  let batchHistory: string;

  before(async () => {
    const save = async (name: string, id: string) => {
      const found = await shared.server.client.workflow.getHandle(id).fetchHistory();
      await writeFile(path(name), historyToJSON(found));
      return path(name);
    };
    const store = createFolderStore(path('pictures'));
    await shared.withWorker({ store }, async () => {
      const one = await shared.server.diffusion.generate({ ...small, seed: 7 });
      const lossy = await shared.server.diffusion.generate({
        ...small,
        seed: 7,
        output: { format: 'jpeg', quality: 71 },
      });
      const batch = await shared.server.diffusion.batch({
        items: [1, 2, 3].map((seed) => ({ ...small, seed, output: { format: 'webp' as const } })),
      });
      png = fileURLToPath((await one.result()).images[0]?.url ?? '');
      jpeg = fileURLToPath((await lossy.result()).images[0]?.url ?? '');
      const [, item] = (await batch.result()).items;
      assert.equal(item?.status, 'done');
      batchItem = fileURLToPath(item.images[0]?.url ?? '');
      history = await save('one.json', one.id);
      batchHistory = await save('batch.json', batch.id);
    });
  });

  /** A copy of the PNG with other metadata or other pixels. */
  async function changed(name: string, facts: Partial<Provenance>, lighter = 0): Promise<string> {
    const provenance = { ...(await readProvenance(png)), ...facts };
    const { data, info } = await sharp(png).raw().toBuffer({ resolveWithObject: true });
    const pixels = data.map((level) => Math.min(255, level + lighter));
    const { width, height } = info;
    await writeFile(
      path(name),
      await encodePicture({ data: pixels, width, height }, { format: 'png' }, writeProvenance(provenance)),
    );
    return path(name);
  }

  /** Drawn again by the shared engine. */
  const again = async (picture: RecordedPicture, isAlone = false) =>
    (await drawAgain(shared.host, picture, { isAlone })).result;
  const againByFile = async (file: string) => again(await pictureOfFile(file));
  const recordedIn = async (file: string, index?: number) => {
    const run = await readRun((await readHistory(file)).history, loadDataConverter());
    return picturesOfJob([run], index);
  };
  const conditionOf = ({ conditions }: ReproducedPicture, wanted: string) =>
    conditions.find(({ name }) => name === wanted);

  test('a picture, by what stands in it: identical, under the same conditions', async () => {
    const { code, stdout } = await reproduce(png);
    assert.equal(code, 0);
    assert.match(
      stdout,
      /^✔ identical: .*\.png\n {2}a red heart · seed 7\n {2}the same here: model digest, graph digest, /,
    );
    assert.doesNotMatch(stdout, /another|not recorded/);
  });

  test('a lossy picture: identical after the same encoding', async () => {
    const { verdict, difference, notes } = await againByFile(jpeg);
    assert.equal(verdict, 'identical');
    assert.deepEqual(difference, { maxLevels: 0, meanLevels: 0, differing: 0 });
    assert.deepEqual(notes, []);
  });

  test('a picture of a history, and a batch, which is drawn as a whole: identical', async () => {
    const [one] = await recordedIn(history);
    assert.ok(one);
    assert.equal((await again(one)).verdict, 'identical');
    const { code, stdout } = await reproduce(batchHistory, '--json');
    assert.equal(code, 0);
    const { verdict, pictures } = Reproduction.parse(JSON.parse(stdout));
    assert.equal(verdict, 'identical');
    assert.equal(pictures.length, 3);
    for (const picture of pictures) {
      const expected = { name: 'drawn at once', recorded: '3', here: '3', same: true };
      assert.deepEqual(conditionOf(picture, 'drawn at once'), expected);
    }
  });

  test('one of a batch by itself: says that it was not alone, and is apart by the tolerance at most', async () => {
    const picture = await againByFile(batchItem);
    const expected = { name: 'drawn at once', recorded: '3', here: '1', same: false };
    assert.deepEqual(conditionOf(picture, 'drawn at once'), expected);
    const [recorded] = await recordedIn(batchHistory, 1);
    assert.ok(recorded);
    assert.deepEqual((await again(recorded, true)).pixels, picture.pixels);
    // Two levels of pixels, and what webp makes of them.
    assert.ok((picture.difference?.maxLevels ?? 255) <= 24, JSON.stringify(picture.difference));
  });

  test('a picture whose metadata was changed: different', async () => {
    const otherSeed = await againByFile(await changed('other-seed.png', { seed: 8 }));
    assert.equal(otherSeed.verdict, 'different');
    assert.equal(otherSeed.pixels.same, false);
    assert.ok((otherSeed.difference?.maxLevels ?? 0) > 10);
    const lie = await againByFile(await changed('other-digest.png', { pixelsSha256: '0'.repeat(64) }));
    assert.equal(lie.verdict, 'different');
    assert.match(lie.notes.join(), /the file is the same, but what its metadata says .* is not true/);
    const otherSize = await againByFile(await changed('other-size.png', { width: 80 }));
    assert.equal(otherSize.verdict, 'different');
    assert.match(otherSize.notes.join(), /has 64×64 pixels, but says that it was drawn as 80×64/);
  });

  test('a picture whose pixels were changed: different, by so much', async () => {
    const { code, stdout } = await reproduce(await changed('lighter.png', {}, 2));
    assert.equal(code, 3);
    assert.match(stdout, /^✖ different: /);
    assert.match(stdout, /% of the pixels differ, by 2 of 255 levels at most, .* · PSNR \d/);
    assert.match(stdout, /what was drawn is what was recorded, but the file has been changed since/);
  });

  test('a stored picture that is gone is compared by the digest of its pixels', async () => {
    const [picture] = await recordedIn(join(HISTORIES, 'image-plain.json'), 0);
    assert.ok(picture);
    const { difference, notes, pixels } = await again(picture);
    assert.equal(difference, undefined);
    assert.match(notes.join(), /compared by the digest of its pixels alone: .*no such file/);
    assert.equal(pixels.recorded, picture.provenance.pixelsSha256);
  });

  test('a picture of another model: not drawn, but with --force; the recorded conditions that differ are told', async () => {
    const foreign = await changed('foreign.png', {
      modelDigest: 'b'.repeat(64),
      versions: { package: '0.0.1', node: '20.0.0', onnxruntime: '1.0.0' },
    });
    const refused = await reproduce(foreign);
    assert.equal(refused.code, 4);
    assert.match(
      refused.stderr,
      /drawn with another emoji than .*--checkpoint, or .*--force \[recorded=b{64}, here=/,
    );
    const { code, stdout } = await reproduce(foreign, '--force');
    assert.equal(code, 0);
    assert.match(stdout, /another model digest: b{12} then, \w{12} here\n/);
    assert.match(stdout, /another onnxruntime: 1\.0\.0 then, 1\.\d+\.\d+ here/);

    const checkpoint = path('emoji-2');
    await cp(EMOJI, checkpoint, { recursive: true });
    await appendFile(join(checkpoint, 'model_index.json'), '\n');
    const unknown = await changed('unknown.png', { model: 'nobody-has-it' });
    const none = [
      [png, '--checkpoint', checkpoint],
      [png, '--checkpoint', path('no-such-folder')],
      [unknown],
    ];
    const ends = await Promise.all(none.map((argv) => reproduce(...argv)));
    assert.deepEqual(
      ends.map(({ code }) => code),
      [4, 4, 4],
    );
  });

  test('a picture without metadata can not be drawn again, nor what is none', async () => {
    await sharp(png).png().toFile(path('bare.png'));
    const { code, stderr, stdout } = await reproduce(path('bare.png'), '--json');
    assert.equal(code, 4);
    assert.match(
      stderr,
      /can't be drawn again: .*expected a picture with its provenance in its metadata, found none/,
    );
    assert.equal(JSON.parse(stdout).ok, false);
    await writeFile(path('text.png'), 'no picture');
    const ends = await Promise.all(
      [path('text.png'), join(HISTORIES, 'image-refused.json')].map((name) => reproduce(name)),
    );
    assert.deepEqual(
      ends.map(({ code }) => code),
      [4, 4],
    );
  });

  test('a picture that was drawn on a GPU says which device it asks for where there is none', async () => {
    const gpu = await changed('gpu.png', { device: 'cuda:99', deviceName: 'NVIDIA H100 80GB HBM3' });
    const { code, stderr } = await reproduce(gpu);
    assert.equal(code, 4);
    assert.match(stderr, /It was drawn on cuda:99: choose another device by --device/);
    assert.equal(conditionOf(await againByFile(gpu), 'device')?.same, false);
  });

  test('what was drawn can be kept, and knows how it was made', async () => {
    const { toPng } = await drawAgain(shared.host, await pictureOfFile(png));
    const kept = await toPng();
    assert.equal((await readProvenance(kept)).pixelsSha256, (await readProvenance(png)).pixelsSha256);
    assert.deepEqual(await sharp(kept).raw().toBuffer(), await sharp(png).raw().toBuffer());
  });

  test('refuses what it does not understand', async () => {
    const wrong = [
      [],
      [png, '--image', '0'],
      [batchHistory, '--out', path('x.png')],
      [png, '--threads', 'many'],
    ];
    for (const argv of wrong) await assert.rejects(reproduceHere(argv), UsageError);
  });
});
