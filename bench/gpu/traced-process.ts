/*
 * An engine or a keeper, with the arguments of either, that writes down what it spends its time on: a line a span, in
 * milliseconds since 1970, into the file that `traced.json` in its cache folder names. `traced-start.ts` starts it.
 */
import { subscribe } from 'node:diagnostics_channel';
import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SPANS, type Span } from '../../src/gpu/spans.js';
import { TRACED_FILE, type Traced, type TracedSpan, WRITE_MS } from './traced.js';

const { cacheFolder, prepare } = JSON.parse(process.argv[2] ?? '{}') as {
  cacheFolder?: string;
  prepare?: { cacheFolder: string };
};
const traced = JSON.parse(
  readFileSync(join(cacheFolder ?? prepare?.cacheFolder ?? '', TRACED_FILE), 'utf8'),
) as Traced;
const who = prepare ? 'keeper' : 'engine';
/** A write for each of thousands would be most of what is measured. */
let lines = '';
setInterval(() => {
  if (lines !== '') appendFileSync(traced.file, lines);
  lines = '';
}, WRITE_MS).unref();

function tell({ name, from, to, bytes }: Span): void {
  // Not once for all: a restored process has another clock than the one that was captured.
  const origin = Date.now() - performance.now();
  const span: TracedSpan = {
    ...{ who, name, from: from + origin, to: to + origin },
    ...(bytes !== undefined && { bytes }),
  };
  lines += `${JSON.stringify(span)}\n`;
}
tell({ name: 'node', from: 0, to: performance.now() });
subscribe(SPANS, (span) => tell(span as Span));
await import(traced[who]);
