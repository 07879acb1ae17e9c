/*
 * Seconds an image with a warm engine, 4 steps, beside the graphs that torch exports of the same weights:
 *
 *   npm run bench -- --exported DIR
 *
 * DIR is what `tools/train/export_onnx.py` makes; without it only our own figures are printed. Both sides run in
 * this process, one after the other, image by image.
 */
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { pino } from 'pino';
import { openCheckpoint } from '../src/gpu/checkpoint/checkpoint.js';
import { loadPipeline } from '../src/gpu/engine/pipeline.js';
import { loadTokenizer } from '../src/gpu/engine/tokenizer.js';
import { createEngineHost } from '../src/gpu/host.js';
import { packageRoot } from '../src/package-root.js';
import { loadExportedPipeline } from './exported-pipeline.js';
import { publishSection, table, timing } from './report.js';

const { values } = parseArgs({
  options: { exported: { type: 'string' }, runs: { type: 'string', default: '15' } },
});
const runs = Number(values.runs);
const checkpoint = join(packageRoot(), 'models', 'emoji');
const cacheFolder = join(tmpdir(), 'tdiff-bench-cache');
const threads = availableParallelism();
const prompt = 'a slice of pizza';

const seconds = (milliseconds: number) => (milliseconds / 1000).toFixed(3);

async function milliseconds(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

const ours = await loadPipeline({ checkpoint, model: 'emoji', device: 'cpu', threads, cacheFolder });
const exported = values.exported ? await loadExportedPipeline(values.exported, threads) : undefined;
const tokenizer = await loadTokenizer(await openCheckpoint(checkpoint, { name: 'emoji', cacheFolder }));
const hooks = { onStep: () => {}, signal: new AbortController().signal };

const rows: string[][] = [];
for (const size of [256, 128]) {
  const samples = { built: [] as number[], exported: [] as number[] };
  for (let run = 0; run <= runs; run++) {
    const item = { index: 0, prompt, width: size, height: size, steps: 4, seed: run };
    const built = await milliseconds(() => ours.render([item], hooks));
    const other =
      exported && (await milliseconds(() => exported.render(tokenizer.encode(prompt), size, run)));
    // The first run of a size allocates.
    if (run === 0) continue;
    samples.built.push(built);
    if (other !== undefined) samples.exported.push(other);
  }
  for (const [name, sample] of Object.entries(samples)) {
    if (sample.length === 0) continue;
    const { median, min, max } = timing(sample);
    const ratio = samples.exported.length > 0 ? (median / timing(samples.exported).median).toFixed(2) : '';
    rows.push([`${size}²`, name, seconds(median), seconds(min), seconds(max), ratio]);
  }
}
await ours.close();

const host = createEngineHost({
  checkpoint,
  model: 'emoji',
  device: 'cpu',
  cacheFolder,
  log: pino({ level: 'silent' }),
});
const { loadMs } = await host.ready();
await host.render({ items: [{ index: 0, prompt, width: 256, height: 256, steps: 4, seed: 1 }] });
const { rssBytes } = await host.stats();
await host.close();

const command = `npm run bench -- ${values.exported ? '--exported DIR ' : ''}--runs ${runs}`;
await publishSection(
  'Seconds an image, engine warm, 4 steps',
  command,
  `${table(['size', 'graphs', 'median s', 'min', 'max', 'to exported'], rows)}\n\n${runs} images of each, in alternation. Engine process: ${seconds(loadMs)} s from start to ready, ${Math.round(rssBytes / 1e6)} MB RSS after one image of 256².`,
);
