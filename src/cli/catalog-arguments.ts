import { pathToFileURL } from 'node:url';
import { z } from 'zod';
import { CatalogRequest } from '../contract/catalog.js';
import { parse } from '../contract/parse.js';
import { numberOf } from './arguments.js';

/** Options that say how a catalogue is rendered: the same for `catalog` and `schedule create`. */
export const CATALOG_OPTIONS = `  --template TEXT    the prompt, with fields of the row: "{{product}} on a {{colour}} background" (default: each row has
                     its own prompt)
  --rows FORMAT      jsonl or csv (default: what the name ends in)
  --model NAME, --size WxH, --steps N, --count N, --format FORMAT, --quality N
                     what rows leave out, as for render
  --max-batch N      1 to 64 pictures that are drawn at once (default: 8)
  --concurrency N    1 to 256 batches in flight; about twice the GPUs (default: 4)
  --tenant NAME      who it is for: tenants share the GPUs (default: default)`;

export const CATALOG_NAMES = [
  'template',
  'rows',
  'model',
  'size',
  'steps',
  'count',
  'format',
  'quality',
  'max-batch',
  'concurrency',
  'tenant',
] as const;

type Texts = Readonly<Partial<Record<(typeof CATALOG_NAMES)[number], string>>>;

const Size = z.string().regex(/^[^x]+x[^x]+$/, 'expected WIDTHxHEIGHT in pixels, such as 256x256');

/**
 * @param place the catalogue's path or URL
 * @throws InvalidRequest
 */
export function parseCatalogRequest(place: string, texts: Texts, dryRun = false): CatalogRequest {
  const [width, height] =
    texts.size === undefined ? [] : parse(z.object({ size: Size }), texts).size.split('x');
  const hasOutput = texts.format !== undefined || texts.quality !== undefined;
  return parse(CatalogRequest, {
    catalog: /^[a-z][a-z0-9+.-]+:\/\//i.test(place) ? place : pathToFileURL(place).href,
    format: texts.rows,
    template: texts.template,
    defaults: {
      model: texts.model,
      width: numberOf(width),
      height: numberOf(height),
      steps: numberOf(texts.steps),
      count: numberOf(texts.count),
      ...(hasOutput && { output: { format: texts.format, quality: numberOf(texts.quality) } }),
    },
    maxBatch: numberOf(texts['max-batch']),
    concurrency: numberOf(texts.concurrency),
    tenant: texts.tenant,
    dryRun,
  });
}
