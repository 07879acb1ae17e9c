/*
 * Fits a model's preview projection (see `preview` in src/gpu/checkpoint/configs.ts): least squares from final packed
 * latents to the picture, averaged over the 8 × 8 pixels of every latent.
 *
 *   npm run build && node tools/preview/fit.mjs models/emoji
 *
 * Writes `preview` into the checkpoint's generation.json and prints what is left unexplained.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadPipeline } from '../../dist/src/gpu/engine/pipeline.js';

const PROMPTS = [
  'a red heart',
  'a blue car',
  'a green tree',
  'a slice of pizza',
  'a dog',
  'an owl, noto style',
  'flag of brazil',
  'a purple apple on a yellow background',
  'a rocket on a dark blue background',
  'a castle on a black background',
  'an octopus',
  'a robot, flat style',
  'a cup of coffee',
  'a penguin on a light blue background',
  'a birthday cake',
  'a fire truck on a brown background',
];
const SIZE = 256;
const SCALE = 8;

const checkpoint = process.argv[2];
if (!checkpoint) throw new Error('expected a checkpoint folder');
const pipeline = await loadPipeline({
  checkpoint,
  model: 'fit',
  device: 'cpu',
  threads: 2,
  cacheFolder: tmpdir(),
});

const samples = [];
for (const [seed, prompt] of PROMPTS.entries()) {
  let final;
  const item = { index: 0, prompt, width: SIZE, height: SIZE, steps: 4, seed };
  const hooks = { onStep() {}, signal: new AbortController().signal };
  const [image] = await pipeline.render([item], hooks, {
    onLatents: (_step, values) => (final = values.slice()),
  });
  const columns = SIZE / SCALE / 2;
  const channels = final.length / columns ** 2;
  for (let token = 0; token < columns ** 2; token++) {
    const input = [1, ...final.subarray(token * channels, (token + 1) * channels)];
    const output = [];
    for (let pixel = 0; pixel < 4; pixel++) {
      const y = (Math.floor(token / columns) * 2 + (pixel >> 1)) * SCALE;
      const x = ((token % columns) * 2 + (pixel & 1)) * SCALE;
      for (let channel = 0; channel < 3; channel++) output.push(average(image.pixels, x, y, channel));
    }
    samples.push({ input, output });
  }
}
await pipeline.close();

function average(pixels, x, y, channel) {
  let sum = 0;
  for (let row = y; row < y + SCALE; row++) {
    for (let column = x; column < x + SCALE; column++) sum += pixels[(row * SIZE + column) * 3 + channel];
  }
  return sum / SCALE ** 2;
}

/** Solves A X = B for a symmetric positive A, by Gaussian elimination with pivots. */
function solve(A, B) {
  const n = A.length;
  const rows = A.map((row, index) => [...row, ...B[index]]);
  for (let column = 0; column < n; column++) {
    let pivot = column;
    for (let row = column; row < n; row++)
      if (Math.abs(rows[row][column]) > Math.abs(rows[pivot][column])) pivot = row;
    [rows[column], rows[pivot]] = [rows[pivot], rows[column]];
    for (let row = 0; row < n; row++) {
      if (row === column) continue;
      const factor = rows[row][column] / rows[column][column];
      for (let place = column; place < rows[row].length; place++)
        rows[row][place] -= factor * rows[column][place];
    }
  }
  return rows.map((row, index) => row.slice(n).map((value) => value / row[index]));
}

const size = samples[0].input.length;
const A = Array.from({ length: size }, (_, i) => Array.from({ length: size }, (_, j) => (i === j ? 1 : 0)));
const B = Array.from({ length: size }, () => new Array(12).fill(0));
for (const { input, output } of samples) {
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < size; j++) A[i][j] += input[i] * input[j];
    for (let k = 0; k < 12; k++) B[i][k] += input[i] * output[k];
  }
}
const solution = solve(A, B);
let error = 0;
for (const { input, output } of samples) {
  for (let k = 0; k < 12; k++)
    error += (input.reduce((sum, value, i) => sum + value * solution[i][k], 0) - output[k]) ** 2;
}
console.log(
  `${samples.length} patches; root of the mean squared error: ${Math.sqrt(error / samples.length / 12).toFixed(2)} levels`,
);

const round = (value) => Number(value.toFixed(3));
const file = join(checkpoint, 'generation.json');
const generation = JSON.parse(await readFile(file, 'utf8'));
generation.preview = {
  weights: Array.from({ length: 12 }, (_, k) => solution.slice(1).map((row) => round(row[k]))),
  bias: solution[0].map(round),
};
const text = JSON.stringify(generation, null, 2).replace(
  /\[\s+([-\d.,\s]+?)\s+\]/g,
  (_, list) => `[${list.replace(/\s+/g, ' ')}]`,
);
await writeFile(file, `${text}\n`);
