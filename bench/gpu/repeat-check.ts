/*
 * Whether a model draws the same picture, bit for bit, each time that it is loaded: opens it again and again, draws the
 * same picture a few times at once, while weights may still be on their way, and says where one parts from the others:
 *
 *   node dist/bench/gpu/repeat-check.js --work /dev/shm/tdiff [--shape 9b] [--device cuda:0] [--size 1024] [--loads 30]
 *
 * Prints a line a load; ends with 1 where anything was another than the first time. `--checkpoint DIR` takes another one.
 */
import { createHash } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { DeviceName } from '../../src/gpu/engine/device-name.js';
import { loadPipeline, type Pipeline } from '../../src/gpu/engine/pipeline.js';
import { itemsOf, MODEL, QUIET } from './lab.js';

const { values } = parseArgs({
  options: {
    work: { type: 'string' },
    shape: { type: 'string', default: '9b' },
    checkpoint: { type: 'string' },
    device: { type: 'string', default: 'cuda:0' },
    size: { type: 'string', default: '1024' },
    loads: { type: 'string', default: '30' },
    pictures: { type: 'string', default: '2' },
  },
});
if (values.work === undefined) throw new Error('expected --work FOLDER');
const options = {
  checkpoint: values.checkpoint ?? join(values.work, `klein-${values.shape}`),
  model: MODEL,
  device: DeviceName.parse(values.device),
  threads: availableParallelism(),
  cacheFolder: join(values.work, 'cache'),
};

type Parts = Map<string, string>;
const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex').slice(0, 12);
const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array) =>
  new Uint8Array(buffer, byteOffset, byteLength);

/** What a picture was made of, in the order in which it was made. */
async function draw(pipeline: Pipeline, isTraced: boolean): Promise<Parts> {
  const parts: Parts = new Map();
  const note = (name: string, values: Float32Array) => parts.set(name, digest(bytesOf(values)));
  const trace = {
    onPromptEmbeds: (values: Float32Array) => note('text', values),
    onInitialLatents: (values: Float32Array) => note('noise', values),
    onVelocity: (step: number, values: Float32Array) => note(`velocity ${step}`, values),
    onLatents: (step: number, values: Float32Array) => note(`latents ${step}`, values),
  };
  const [image] = await pipeline.render(itemsOf(Number(values.size), 1), QUIET, isTraced ? trace : {});
  parts.set('pixels', digest(image?.pixels ?? new Uint8Array()));
  return parts;
}

let expected: Parts | undefined;
let others = 0;
for (let load = 1; load <= Number(values.loads); load++) {
  const began = performance.now();
  const pipeline = await loadPipeline(options);
  const lines: string[] = [];
  try {
    for (let picture = 0; picture < Number(values.pictures); picture++) {
      // What is traced is read back and so takes longer: half of the loads are as those of an engine.
      const parts = await draw(pipeline, load % 2 === 1);
      expected ??= parts;
      const known = expected;
      const apart = [...parts].filter(([name, value]) => known.get(name) !== value).map(([name]) => name);
      if (apart.length > 0) others++;
      const digests = [...parts.values()].join(' ');
      lines.push(apart.length === 0 ? `same ${digests}` : `OTHER from ${apart[0]} on ${digests}`);
    }
  } finally {
    await pipeline.close();
  }
  process.stdout.write(`load ${load}: ${lines.join(', ')} (${Math.round(performance.now() - began)} ms)\n`);
}
process.stdout.write(others === 0 ? 'all are the same\n' : `${others} pictures are others\n`);
process.exitCode = others === 0 ? 0 : 1;
