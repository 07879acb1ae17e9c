/*
 * What a process that writes down its spans (`traced-process.ts`) and whoever reads them agree on. Nothing but types is
 * imported here: it would be read before the process begins what is measured.
 */
import type { Span } from '../../src/gpu/spans.js';

/** In the cache folder of such a process: a `Traced`. */
export const TRACED_FILE = 'traced.json';

/** Milliseconds after which what it knows is written, at the latest. */
export const WRITE_MS = 50;

export interface Traced {
  /** Where spans go, a line each. */
  readonly file: string;
  /** Modules that make a process an engine, or a keeper. */
  readonly engine: string;
  readonly keeper: string;
}

/** A line of that file. Milliseconds since 1970. */
export interface TracedSpan extends Span {
  readonly who: 'engine' | 'keeper';
}
