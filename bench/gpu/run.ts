/*
 * FLUX.2-klein at full size beside PyTorch, on the same random weights, in one run:
 *
 *   node dist/bench/gpu/run.js --work /dev/shm/tdiff [--shape 9b] [--device cuda:0]
 *
 * Everything goes into the work folder: the checkpoint, torch's side, results.json after every stage. Stages may be
 * done one by one (`--stages`), the report puts together what there is: into bench/RESULTS.md, the picture of a cold
 * start beside it. Rough times for the 9B shape on an H100: prepare 60 s, reference 4 min (see torch_reference.py,
 * whose stages `--reference-stages` chooses), limits and streaming 10 s, components 30 s, pipeline 90 s, cold 30 s.
 * With `--shape tiny --device cpu --sizes 64,48` all but the card's own figures runs on any machine in a minute.
 */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { pino } from 'pino';
import { DeviceName } from '../../src/gpu/engine/device-name.js';
import { openPipeline } from '../../src/gpu/engine/pipeline.js';
import { loadGraphs } from '../../src/gpu/graph/graphs.js';
import { computeTypes } from '../../src/gpu/runtime/cuda/cuda-runtime.js';
import { packageRoot } from '../../src/package-root.js';
import { publishSection } from '../report.js';
import { Components, comparePipelines } from './accuracy.js';
import { makeCheckpoint, python } from './checkpoints.js';
import { coldStart } from './cold.js';
import { type Lab, MODEL, milliseconds, openLabCheckpoint, openLabDriver, openLabRuntime } from './lab.js';
import { pinnedPeak } from './limits.js';
import { Reference } from './reference.js';
import { ResultsStore } from './results.js';
import { measureStreaming } from './streaming.js';
import { sectionOf } from './tables.js';
import { drawTimeline } from './timeline.js';
import { tracedStart } from './traced-start.js';
import { timeBatch } from './warm.js';

const { values } = parseArgs({
  options: {
    work: { type: 'string' },
    shape: { type: 'string', default: '9b' },
    device: { type: 'string', default: 'cuda:0' },
    sizes: { type: 'string', default: '1024,512' },
    batches: { type: 'string', default: '1,2,4,8,10' },
    runs: { type: 'string', default: '7' },
    starts: { type: 'string', default: '5' },
    stages: { type: 'string' },
    'reference-stages': { type: 'string', default: 'cold,numbers,float32,eager,compile-blocks' },
  },
});
if (values.work === undefined) throw new Error('expected --work FOLDER, with room for the checkpoint');
const work = values.work;
const checkpointFolder = join(work, `klein-${values.shape}`);
const referenceFolder = join(work, `reference-${values.shape}`);
const numbers = (list: string) => list.split(',').map(Number);
const lab: Lab = {
  checkpoint: checkpointFolder,
  device: DeviceName.parse(values.device),
  cacheFolder: join(work, 'cache'),
  threads: availableParallelism(),
  sizes: numbers(values.sizes),
  batches: numbers(values.batches),
  runs: Number(values.runs),
};
const [largest = 1024] = lab.sizes;
const store = await ResultsStore.open(join(work, `results-${values.shape}.json`));

function referenceIfThere(): Promise<Reference | undefined> {
  return Reference.open(referenceFolder).catch(() => undefined);
}

/** Large pictures in batches of up to 4. */
function batchesOf(size: number): readonly number[] {
  return lab.batches.filter((batch) => size < largest || lab.sizes.length === 1 || batch <= 4);
}

/** Smallest first: what a runtime has once taken it keeps. */
const shapes = lab.sizes
  .flatMap((size) => batchesOf(size).map((batch) => ({ size, batch })))
  .sort((a, b) => a.size ** 2 * a.batch - b.size ** 2 * b.batch);

const stages: Record<string, () => Promise<void>> = {
  async prepare() {
    await makeCheckpoint(checkpointFolder, values.shape);
    const digestMs = await milliseconds(() => openLabCheckpoint(lab));
    // Later it only looks up what it has learned now.
    if (store.results.digestSeconds === undefined) await store.set({ digestSeconds: digestMs / 1000 });
  },
  async reference() {
    await python('torch_reference.py', [
      checkpointFolder,
      referenceFolder,
      ...['--sizes', values.sizes, '--batches', values.batches, '--runs', values.runs],
      ...['--stages', values['reference-stages'], '--device', lab.device],
    ]);
  },
  async limits() {
    const began = performance.now();
    const driver = await openLabDriver(lab);
    const initMs = performance.now() - began;
    try {
      const { name, driverVersion, cudaVersion, totalBytes } = driver.facts;
      const card = { name, driver: driverVersion, cuda: cudaVersion, totalBytes, initMs };
      await store.set({ card: { ...card, pinnedPeak: await pinnedPeak(driver) } });
    } finally {
      driver.close();
    }
  },
  async streaming() {
    const driver = await openLabDriver(lab);
    try {
      const compute = computeTypes(driver.facts);
      const graphs = await loadGraphs(await openLabCheckpoint(lab), { ...lab, compute });
      await store.set({ streaming: await measureStreaming(driver, graphs, lab.runs) });
    } finally {
      driver.close();
    }
  },
  async components() {
    const checkpoint = await openLabCheckpoint(lab);
    const runtime = await openLabRuntime(lab);
    try {
      const graphs = await loadGraphs(checkpoint, { ...lab, compute: runtime.compute });
      const components = await Components.open(checkpoint, graphs, runtime);
      const reference = await referenceIfThere();
      if (reference) {
        const distances = [];
        for (const numbers of reference.file.numbers) {
          distances.push(...(await components.steps(reference, numbers)));
          distances.push(await components.decoding(reference, numbers));
        }
        await store.set({ distances });
      }
      const steps = [];
      for (const { size, batch } of shapes) {
        steps.push(await components.time(size, batch, lab.runs));
        await store.set({ steps });
      }
    } finally {
      await runtime.close();
    }
  },
  async pipeline() {
    const checkpoint = await openLabCheckpoint(lab);
    const runtime = await openLabRuntime(lab);
    const pipeline = await openPipeline(checkpoint, runtime, lab.cacheFolder);
    try {
      const batches = [];
      for (const shape of shapes) {
        batches.push(await timeBatch(pipeline, runtime, { ...shape, runs: lab.runs }));
        await store.set({ batches });
      }
      const reference = await referenceIfThere();
      if (reference) {
        const steps = store.results.distances?.filter(({ what }) => /^(step|decoding)/.test(what)) ?? [];
        await store.set({ distances: [...steps, ...(await comparePipelines(pipeline, reference))] });
      }
    } finally {
      await pipeline.close();
    }
  },
  async cold() {
    const cold = [];
    for (let start = 0; start < Number(values.starts); start++) {
      cold.push(await coldStart(lab));
      await store.set({ cold });
    }
    const { checkpoint, device, cacheFolder, threads } = lab;
    const engine = { checkpoint, model: MODEL, device, cacheFolder, threads };
    await store.set({ start: await tracedStart({ engine, size: largest, log: pino({ level: 'silent' }) }) });
  },
  async report() {
    const reference = await referenceIfThere();
    const title = `FLUX.2-klein ${values.shape.toUpperCase()}, random weights, ${lab.device}`;
    if (store.results.start) {
      const folder = values.shape === 'tiny' ? work : join(packageRoot(), 'bench');
      const picture = join(folder, 'cold-timeline.png');
      await drawTimeline(store.results.start, `${title}: a cold start`, picture);
    }
    const command = `node dist/bench/gpu/run.js --work DIR --shape ${values.shape} --device ${lab.device} --sizes ${values.sizes} --batches ${values.batches} --runs ${values.runs}`;
    const section = sectionOf(store.results, reference?.file);
    // Figures of a tiny model are no results.
    if (values.shape === 'tiny') process.stdout.write(`${section}\n`);
    else await publishSection(title, command, section);
  },
};

const onGpuOnly = ['limits', 'streaming'];
const all = Object.keys(stages).filter((name) => lab.device !== 'cpu' || !onGpuOnly.includes(name));
for (const name of values.stages?.split(',') ?? all) {
  const stage = stages[name];
  if (!stage) throw new Error(`--stages: expected some of ${Object.keys(stages).join(', ')}, got ${name}`);
  await store.stage(name, stage);
  // Without a checkpoint there is nothing to measure.
  if (name === 'prepare' && store.results.failures.prepare !== undefined) break;
}
process.exitCode = Object.keys(store.results.failures).length > 0 ? 1 : 0;
