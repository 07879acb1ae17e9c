import { createHash } from 'node:crypto';
import { z } from 'zod';
import { SeededItem } from '../contract/batch.js';
import type { CatalogRequest } from '../contract/catalog.js';
import { InvalidRequest } from '../contract/errors.js';
import { parse } from '../contract/parse.js';
import type { RawRow } from './catalog-records.js';

/** A row as the request that it stands for. */
export interface CatalogRow {
  readonly id: string | undefined;
  readonly item: SeededItem;
}

const REQUEST_FIELDS = [
  'prompt',
  'model',
  'width',
  'height',
  'steps',
  'guidance',
  'seed',
  'count',
  'output',
  'tags',
] as const;
const NUMBERS: readonly string[] = ['width', 'height', 'steps', 'guidance', 'seed', 'count', 'quality'];

const Id = z
  .union([z.string().min(1).max(256), z.number()])
  .transform(String)
  .optional();

/**
 * Makes a request of a row: its own fields before the defaults, its prompt by the template. A row without a seed gets
 * one that its request and its `id` decide, so that the same row has the same picture in every run.
 * @throws InvalidRequest that says what is wrong with the row
 */
export function rowOf(
  raw: RawRow,
  { template, defaults, format }: CatalogRequest,
  isCsv = format === 'csv',
): CatalogRow {
  const row = isCsv ? typedCsvRow(raw) : raw;
  const { id, ...fields } = row;
  const given = template === undefined ? fields : pick(fields, REQUEST_FIELDS);
  const prompt = template === undefined ? fields.prompt : fillTemplate(template, row);
  const named = parse(Id, id);
  const request = { ...defaults, ...given, prompt };
  const seeded = 'seed' in given ? request : { ...request, seed: seedOf(request, named) };
  return { id: named, item: parse(SeededItem, seeded) };
}

/** @throws InvalidRequest */
export function fillTemplate(template: string, row: RawRow): string {
  return template.replace(/\{\{\s*([^{}]+?)\s*\}\}/g, (_, name: string) => {
    const value = Object.hasOwn(row, name) ? row[name] : undefined;
    if (['string', 'number', 'boolean'].includes(typeof value)) return String(value);
    throw new InvalidRequest(
      `✖ expected a text or a number for {{${name}}}, got ${value === undefined ? 'no such field' : JSON.stringify(value)}\n  → at ${name}`,
    );
  });
}

/** What tells this row from others, and what was drawn for it from what must be drawn anew: 128 bits in hex. */
export function rowDigest(item: SeededItem, modelDigest: string): string {
  return sha256(canonicalJson({ ...item, modelDigest })).slice(0, 32);
}

function seedOf(request: object, id: string | undefined): number {
  return Number.parseInt(sha256(canonicalJson({ request, id })).slice(0, 8), 16);
}

/** All is text in a CSV: what a request has as numbers becomes some, and `format` and `quality` become the output. */
function typedCsvRow(raw: RawRow): RawRow {
  const typed = Object.fromEntries(
    Object.entries(raw).map(([name, value]) => [name, NUMBERS.includes(name) ? numberOf(value) : value]),
  );
  const { format, quality, ...row } = typed;
  if (format === undefined && quality === undefined) return row;
  return {
    ...row,
    output: { ...(format !== undefined && { format }), ...(quality !== undefined && { quality }) },
  };
}

/** What is no number stays as it is: the contract then says what it expected. */
function numberOf(value: unknown): unknown {
  const number = Number(value);
  return Number.isNaN(number) ? value : number;
}

function pick(row: RawRow, names: readonly string[]): RawRow {
  return Object.fromEntries(Object.entries(row).filter(([name]) => names.includes(name)));
}

function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
