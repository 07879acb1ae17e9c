import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { GenerateResult, PublishedImage } from '../contract/job.js';
import { seconds, type Timings } from './timings.js';

/**
 * What `render` found out, for people: where the pictures lie, how to make them again, where the time went.
 * @param folder the one that the user is in
 */
export function describeResult(
  { plan, images, workflowId, runId }: GenerateResult,
  timings: Timings,
  folder: string,
): string {
  const lines = images.flatMap((image) => [
    place(image.url, folder),
    `  ${facts(image, plan.model, plan.steps)}`,
    `  ${stages(image)}`,
  ]);
  if (plan.truncated)
    lines.push(`the prompt has ${plan.tokens} tokens, more than ${plan.model} reads: its end was cut off`);
  lines.push(around(timings), `workflow ${workflowId}`, `run ${runId}`);
  return `${lines.join('\n')}\n`;
}

/** The same for programs. */
export function resultDocument(result: GenerateResult, timings: Timings) {
  const images = result.images.map((image) =>
    isFile(image.url) ? { ...image, path: fileURLToPath(image.url) } : image,
  );
  const rounded = Object.fromEntries(
    Object.entries(timings).map(([name, ms]: [string, number | undefined]) => [name, ms && Math.round(ms)]),
  );
  return { ok: true, ...result, images, timings: rounded };
}

/** A path where it is a file, and relative where it lies below the folder that the user is in. */
function place(url: string, folder: string): string {
  if (!isFile(url)) return url;
  const path = fileURLToPath(url);
  const short = relative(folder, path);
  return short.startsWith('..') ? path : short;
}

function isFile(url: string): boolean {
  return url.startsWith('file:');
}

function facts(
  { seed, width, height, bytes, format, device }: PublishedImage,
  model: string,
  steps: number,
): string {
  const size = `${(bytes / 1024).toFixed(0)} KB of ${format}`;
  return `seed ${seed} · ${width}×${height} · ${steps} steps of ${model} on ${device} · ${size}`;
}

function stages({ stages }: PublishedImage): string {
  const named: [string, number][] = [
    ['queue', stages.queueMs],
    ['engine', stages.engineMs],
    ['text', stages.textMs],
    ['denoise', stages.denoiseMs],
    ['decode', stages.decodeMs],
    ['encode', stages.encodeMs],
    ['store', stages.storeMs],
  ];
  return named.map(([name, ms]) => `${name} ${seconds(ms)}`).join(' · ');
}

function around({ serverMs, engineMs, jobMs, totalMs }: Timings): string {
  const named: [string, number | undefined][] = [
    ['server start', serverMs],
    ['engine start', engineMs],
    ['job', jobMs],
    ['total', totalMs],
  ];
  return named.flatMap(([name, ms]) => (ms === undefined ? [] : [`${name} ${seconds(ms)}`])).join(' · ');
}
