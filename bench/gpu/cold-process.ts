/*
 * A process that loads a model, draws one picture and writes down what it spent its time on. `cold.ts` starts it.
 */
import { subscribe } from 'node:diagnostics_channel';
import { writeFile } from 'node:fs/promises';
import { openRuntime, startDevice } from '../../src/gpu/runtime/open-runtime.js';
import { SPANS, type Span } from '../../src/gpu/spans.js';
import type { Lab } from './lab.js';
import type { Start } from './results.js';

const { lab, file } = JSON.parse(process.argv[2] ?? '{}') as { lab: Lab; file: string };
const [size = 1024] = lab.sizes;
const spans: Span[] = [{ name: 'node', from: 0, to: performance.now() }];
subscribe(SPANS, (span) => spans.push(span as Span));

// In the order of the engine's own main.ts.
const { checkpoint, device, threads, cacheFolder } = lab;
const start = await startDevice(lab);
const opening = openRuntime({ device, threads, cacheFolder, start });
opening.catch(() => {});
const { loadPipeline } = await import('../../src/gpu/engine/pipeline.js');
const { itemsOf, MODEL, QUIET } = await import('./lab.js');
spans.push({ name: 'modules', from: spans[0]?.to ?? 0, to: performance.now() });
const pipeline = await loadPipeline({ checkpoint, model: MODEL, device, threads, cacheFolder }, opening);
await pipeline.render(itemsOf(size, 1), QUIET);
const told: Start = { size, firstPictureMs: performance.now(), spans };
await writeFile(file, JSON.stringify(told));
await pipeline.close();
