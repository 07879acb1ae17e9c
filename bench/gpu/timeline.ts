/*
 * Draws a start as a picture:
 *
 *   node dist/bench/gpu/timeline.js RESULTS.json OUT.png ["title"]
 */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import type { Span } from '../../src/gpu/spans.js';
import { ResultsFile, type Start } from './results.js';

const WIDTH = 1500;
const LEFT = 150;
const RIGHT = 40;
const TOP = 70;
const ROW = { height: 44, gap: 14 } as const;
const FONT = 'font-family="DejaVu Sans, Liberation Sans, Helvetica, Arial, sans-serif"';
const COLOURS: Readonly<Record<string, string>> = {
  text_encoder: '#3d6fa8',
  transformer: '#d9792b',
  vae: '#4b9151',
  other: '#777f8a',
};
/** Chunks of one component that are nearer than this are one block. */
const JOIN_MS = 5;
/** Width of a letter, on the average, to its height. */
const LETTER = 0.58;

interface Row {
  readonly label: string;
  /** The component that a span is of, or `other`; undefined where it belongs to another row. */
  readonly componentOf: (name: string) => string | undefined;
  /** What stands in its block. */
  readonly nameOf: (name: string) => string;
  /** Whether spans overlap and are many: then blocks of each component, with bytes and rate. */
  readonly isTransfer?: boolean;
}

const afterFirstWord = (name: string) => name.slice(name.indexOf(' ') + 1);

function ofKind(kind: string, label: string, isTransfer = false): Row {
  return {
    label,
    componentOf: (name) => (name.startsWith(`${kind} `) ? afterFirstWord(name) : undefined),
    nameOf: afterFirstWord,
    isTransfer,
  };
}

function ofNames(names: RegExp, label: string, component: string): Row {
  return {
    label,
    componentOf: (name) => (names.test(name) ? component : undefined),
    nameOf: (name) => name,
  };
}

const ROWS: readonly Row[] = [
  ofKind('keeper-process', 'keeper'),
  ofKind('keeper-read', 'keeper reads', true),
  ofKind('keeper-copy', 'keeper copies', true),
  ofKind('restore', 'restore'),
  ofNames(/^(node|modules|checkpoint|device|graphs|tokenizer)$/, 'process', 'other'),
  ofKind('read', 'reads', true),
  ofKind('copy', 'to the device', true),
  ofKind('session', 'sessions'),
  ofKind('keeper', 'awaits keeper'),
  ofKind('warm-up', 'warm-up'),
  ofNames(/^text$/, 'text', 'text_encoder'),
  ofNames(/^step /, 'steps', 'transformer'),
  ofNames(/^decode$/, 'decode', 'vae'),
];

interface Block {
  readonly component: string;
  readonly label: string;
  readonly from: number;
  readonly to: number;
  /** How far up in its row it begins, 0 to 1, and how much of it it takes. */
  readonly lane: readonly [at: number, of: number];
}

/** An SVG picture of a start: a row for each kind of work, a block for each piece of it. */
export function timelineSvg({ spans, firstPictureMs, size }: Start, title: string): string {
  const end = Math.max(firstPictureMs, ...spans.map(({ to }) => to));
  const x = (at: number) => LEFT + (at / end) * (WIDTH - LEFT - RIGHT);
  const rows = ROWS.map((row) => ({ row, blocks: blocksOf(row, spans) })).filter(
    ({ blocks }) => blocks.length > 0,
  );
  const bottom = TOP + rows.length * (ROW.height + ROW.gap);
  const parts = [
    text(LEFT, 28, title, 18, 'font-weight="bold"'),
    text(LEFT, 50, `first picture of ${size}² after ${(firstPictureMs / 1000).toFixed(2)} s`, 14),
  ];
  for (let at = 0; at <= end; at += tickOf(end)) {
    parts.push(
      `<line x1="${x(at)}" x2="${x(at)}" y1="${TOP - 8}" y2="${bottom}" stroke="#dde1e6"/>`,
      text(x(at), bottom + 18, `${at}`, 12, 'text-anchor="middle" fill="#555"'),
    );
  }
  parts.push(text(WIDTH - RIGHT, bottom + 38, 'milliseconds', 12, 'text-anchor="end" fill="#555"'));
  for (const [index, { row, blocks }] of rows.entries()) {
    const y = TOP + index * (ROW.height + ROW.gap);
    parts.push(text(LEFT - 12, y + ROW.height / 2 + 5, row.label, 14, 'text-anchor="end"'));
    for (const block of blocks) parts.push(drawn(block, x, y));
  }
  const pictureX = x(firstPictureMs);
  parts.push(
    `<line x1="${pictureX}" x2="${pictureX}" y1="${TOP - 8}" y2="${bottom}" stroke="#b3202c" stroke-width="2"/>`,
  );
  parts.push(...legend(bottom + 38));
  const height = bottom + 56;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}"><rect width="100%" height="100%" fill="#fff"/>${parts.join('')}</svg>`;
}

function blocksOf(row: Row, spans: readonly Span[]): Block[] {
  const mine = spans
    .flatMap((span) => {
      const component = row.componentOf(span.name);
      return component === undefined ? [] : [{ ...span, component }];
    })
    .sort((a, b) => a.from - b.from);
  if (row.isTransfer) return transferBlocks(mine);
  const lanes = lanesOf(mine);
  const of = Math.max(...lanes) + 1;
  return mine.map(({ name, component, from, to }, index) => ({
    component: component in COLOURS ? component : 'other',
    label: `${row.nameOf(name)} ${Math.round(to - from)}`,
    from,
    to,
    lane: [lanes[index] as number, of],
  }));
}

/** The first lane that is free when each of them begins, so that none covers another. */
function lanesOf(spans: readonly Span[]): number[] {
  const ends: number[] = [];
  return spans.map(({ from, to }) => {
    const free = ends.findIndex((end) => end <= from);
    const lane = free < 0 ? ends.length : free;
    ends[lane] = to;
    return lane;
  });
}

/** What was moved without a pause, a component, with its rate. */
function transferBlocks(spans: readonly (Span & { component: string })[]): Block[] {
  const blocks: { component: string; from: number; to: number; bytes: number }[] = [];
  for (const { component, from, to, bytes = 0 } of spans) {
    const last = blocks.findLast((block) => block.component === component);
    if (last && from - last.to < JOIN_MS) {
      last.to = Math.max(last.to, to);
      last.bytes += bytes;
    } else {
      blocks.push({ component, from, to, bytes });
    }
  }
  return blocks.map(({ component, from, to, bytes }) => ({
    component,
    label: `${(bytes / 1e9).toFixed(bytes < 1e9 ? 2 : 1)} GB, ${(bytes / 1e6 / (to - from)).toFixed(1)} GB/s`,
    from,
    to,
    lane: [0, 1],
  }));
}

function drawn({ component, label, from, to, lane }: Block, x: (at: number) => number, y: number): string {
  const [at, of] = lane;
  const height = ROW.height / of;
  const top = y + at * height;
  const width = Math.max(1.5, x(to) - x(from));
  const colour = COLOURS[component] ?? COLOURS.other;
  const block = `<rect x="${x(from)}" y="${top + 0.5}" width="${width}" height="${height - 1}" rx="2" fill="${colour}" fill-opacity="0.9"/>`;
  return block + lettering(label, { left: x(from) + 4, width: width - 6, top, height });
}

/** In one line, or a word a line where only that fits; nothing where there is no room for it. */
function lettering(
  label: string,
  { left, width, top, height }: { left: number; width: number; top: number; height: number },
): string {
  const words = label.split(' ');
  for (const lines of [[label], [words.slice(0, -1).join(' '), words.at(-1) ?? ''], words]) {
    const fontSize = Math.min(12, height / lines.length - 2);
    const longest = Math.max(...lines.map(({ length }) => length));
    if (fontSize < 8 || longest * fontSize * LETTER > width) continue;
    const first = top + height / 2 - ((lines.length - 1) / 2) * (fontSize + 1) + fontSize * 0.36;
    return lines
      .map((line, index) => text(left, first + index * (fontSize + 1), line, fontSize, 'fill="#fff"'))
      .join('');
  }
  return '';
}

function legend(y: number): string[] {
  return Object.entries(COLOURS).flatMap(([component, colour], index) => {
    const left = LEFT + index * 150;
    return [
      `<rect x="${left}" y="${y - 11}" width="14" height="14" rx="2" fill="${colour}"/>`,
      text(left + 20, y, component, 12),
    ];
  });
}

function text(x: number, y: number, content: string, size: number, attributes = ''): string {
  const safe = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${x}" y="${y}" font-size="${size}" ${FONT} ${attributes}>${safe}</text>`;
}

/** About ten of them. */
function tickOf(end: number): number {
  const steps = [10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000];
  return steps.find((step) => end / step <= 14) ?? 20_000;
}

/** Draws a start into a PNG file. */
export async function drawTimeline(start: Start, title: string, file: string): Promise<void> {
  await sharp(Buffer.from(timelineSvg(start, title)), { density: 144 })
    .png({ palette: true })
    .toFile(file);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [results, out, title = 'From nothing to a picture'] = process.argv.slice(2);
  if (!results || !out) throw new Error('expected RESULTS.json OUT.png');
  const { start } = ResultsFile.parse(JSON.parse(await readFile(results, 'utf8')));
  if (!start) throw new Error(`${results}: expected a start, that of the stage cold`);
  await drawTimeline(start, title, out);
}
