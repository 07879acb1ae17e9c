/*
 * A process that loads a model, draws one picture and writes down what it spent its time on. `cold.ts` starts it.
 */
import { subscribe } from 'node:diagnostics_channel';
import { writeFile } from 'node:fs/promises';
import { loadPipeline } from '../../src/gpu/engine/pipeline.js';
import { SPANS, type Span } from '../../src/gpu/spans.js';
import { itemsOf, type Lab, MODEL, QUIET } from './lab.js';
import type { Start } from './results.js';

const { lab, file } = JSON.parse(process.argv[2] ?? '{}') as { lab: Lab; file: string };
const [size = 1024] = lab.sizes;
const spans: Span[] = [{ name: 'node and modules', from: 0, to: performance.now() }];
subscribe(SPANS, (span) => spans.push(span as Span));

const { checkpoint, device, threads, cacheFolder } = lab;
const pipeline = await loadPipeline({ checkpoint, model: MODEL, device, threads, cacheFolder });
await pipeline.render(itemsOf(size, 1), QUIET);
const start: Start = { size, firstPictureMs: performance.now(), spans };
await writeFile(file, JSON.stringify(start));
await pipeline.close();
