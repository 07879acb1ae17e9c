import { table, timing } from '../report.js';
import type { ReferenceFile } from './reference.js';
import type { Results } from './results.js';

/** Milliseconds; those of one warm picture come on top where it says so. */
const GOALS = { firstPictureMs: 2200, ofFloor: 1.3, replacedMs: 1000, standbyMs: 500, swapMs: 300 } as const;
/** Of the transformer that the goal of standby is about. */
const STANDBY_BYTES = 18e9;

interface Shapes {
  readonly shape: string;
  readonly turns: string;
}

/** The goals, then what else was measured, as far as there are figures. */
export function outliveSection(
  results: Results,
  reference: ReferenceFile | undefined,
  shapes: Shapes,
): string {
  const parts = [
    facts(results),
    `### Goals\n\n${goals(results, shapes)}`,
    `### Ways to start\n\n${starts(results, reference)}`,
    antiPatterns(results),
    results.start &&
      `### What ran when\n\n![A start beside a keeper that starts too](keeper-timeline.png)\n\nThe start in the picture wrote down what it was made of, and took ${seconds(results.start.firstPictureMs)}.`,
    failures(results),
  ];
  return parts.filter((part) => part).join('\n\n');
}

const samplesOf = ({ figures = {} }: Results, name: string) => {
  const samples = figures[name];
  return samples && samples.length > 0 ? timing(samples) : undefined;
};
const medianOf = (results: Results, name: string) => samplesOf(results, name)?.median;

function facts(results: Results): string {
  const { card } = results;
  const lines = ['Weights in host memory; medians, with the least and the most.'];
  if (card) {
    lines.unshift(
      `${card.name}, driver ${card.driver ?? 'unknown'}, CUDA ${card.cuda}. Pinned memory to the device: ${(card.pinnedPeak / 1e9).toFixed(1)} GB/s. CUDA begins in ${seconds(card.initMs)}.`,
    );
  }
  const warm = samplesOf(results, 'warm');
  if (warm) lines.push(`One warm picture: ${ranged(warm)}.`);
  const floor = floorOf(results);
  if (floor !== undefined) {
    const gigabytes = ((medianOf(results, 'bytes') ?? 0) / 1e9).toFixed(2);
    lines.push(
      `Floor of a start: ${gigabytes} GB at that rate, CUDA and one warm picture: ${seconds(floor)}.`,
    );
  }
  return lines.join('\n\n');
}

function floorOf(results: Results): number | undefined {
  const { card } = results;
  const [bytes, warm] = [medianOf(results, 'bytes'), medianOf(results, 'warm')];
  if (!card || bytes === undefined || warm === undefined) return undefined;
  return (bytes / card.pinnedPeak) * 1000 + card.initMs + warm;
}

type Row = readonly [figure: string, goal: string, measured: string, met: boolean | undefined];

function goals(results: Results, { turns }: Shapes): string {
  const warm = medianOf(results, 'warm');
  const rows: Row[] = [];
  const add = (figure: string, name: string, limit: number, warmMs?: number) => {
    const found = samplesOf(results, name);
    if (!found) return;
    const goal =
      warmMs === undefined ? seconds(limit) : `${seconds(limit)} + ${seconds(warmMs)} of a warm picture`;
    rows.push([figure, `≤ ${goal}`, ranged(found), found.median <= limit + (warmMs ?? 0)]);
  };
  const cold = 'no engine, no keeper → first picture';
  for (const [how, name] of COLD) add(`${cold}: ${how}`, name, GOALS.firstPictureMs);
  const floor = floorOf(results);
  if (floor !== undefined) {
    for (const [how, name] of COLD) {
      const found = medianOf(results, name);
      if (found === undefined) continue;
      const ratio = found / floor;
      rows.push([
        `… to the floor: ${how}`,
        `≤ ${GOALS.ofFloor} ×`,
        `${ratio.toFixed(2)} ×`,
        ratio <= GOALS.ofFloor,
      ]);
    }
  }
  for (const way of ['fresh', 'restored']) {
    add(`engine killed, keeper alive → first picture: ${way}`, `killed: ${way}`, GOALS.replacedMs, warm);
  }
  for (const way of ['fresh', 'restored']) {
    const what = `engine replaced after it ran out of memory, keeper alive → first picture: ${way}`;
    add(what, `out of memory: ${way}`, GOALS.replacedMs, warm);
  }
  const kept = medianOf(results, 'standby, keeper: warm');
  add('standby → first picture, the keeper has kept the weights', 'standby, keeper', GOALS.standbyMs, kept);
  const alone = medianOf(results, 'standby: warm');
  const gigabytes = (medianOf(results, 'bytes') ?? 0) / 1e9;
  const all = gigabytes > 0 ? `all ${gigabytes.toFixed(1)} GB` : 'all weights';
  add(
    `standby → first picture, after 3 s, without a keeper: ${all} streamed again`,
    'standby',
    GOALS.standbyMs,
    alone,
  );
  const first = medianOf(results, 'standby');
  const bytes = medianOf(results, 'bytes');
  if (first !== undefined && alone !== undefined && bytes !== undefined && bytes > STANDBY_BYTES) {
    const more = ((first - alone) * STANDBY_BYTES) / bytes;
    rows.push([
      `… of that 18 GB’s part, computed: what is more than a warm picture, by proportion of bytes`,
      `≤ ${seconds(GOALS.standbyMs)} + a warm picture`,
      `${seconds(more)} + a warm picture`,
      more <= GOALS.standbyMs,
    ]);
  }
  const turnsWarm = medianOf(results, 'turns: warm');
  const what = `two models of shape ${turns} taking turns, one has memory → picture`;
  add(what, 'turns', GOALS.swapMs, turnsWarm);
  return table(
    ['figure', 'goal', 'measured', 'met'],
    rows.map(([figure, goal, measured, met]) => [figure, goal, measured, met ? 'yes' : 'no']),
  );
}

const COLD = [
  ['fresh, without a keeper', 'fresh'],
  ['fresh, a keeper starts too', 'fresh, keeper starts'],
  ['restored, a keeper starts too', 'restored, keeper starts'],
] as const;

/** Every way to a first picture, and how it compares with a fresh start and with diffusers'. */
function starts(results: Results, reference: ReferenceFile | undefined): string {
  const fresh = medianOf(results, 'fresh');
  const torch = reference?.cold && reference.cold.total * 1000;
  const ways = [
    ...COLD,
    ['restored, without a keeper', 'restored'],
    ['engine killed, keeper alive: fresh', 'killed: fresh'],
    ['engine killed, keeper alive: restored', 'killed: restored'],
    ['out of memory, keeper alive: fresh', 'out of memory: fresh'],
    ['out of memory, keeper alive: restored', 'out of memory: restored'],
    ['standby, with a keeper', 'standby, keeper'],
    ['standby, without a keeper', 'standby'],
  ] as const;
  const rows = ways.flatMap(([what, name]) => {
    const found = samplesOf(results, name);
    if (!found) return [];
    const to = (other: number | undefined) => (other ? `${(found.median / other).toFixed(2)} ×` : '');
    return [[what, ranged(found), String(found.runs), to(fresh), to(torch)]];
  });
  if (torch !== undefined) {
    rows.push(['diffusers, cold', seconds(torch), '1', fresh ? `${(torch / fresh).toFixed(2)} ×` : '', '']);
  }
  const lines = [
    table(['first picture after', 'measured', 'runs', 'to a fresh start', 'to diffusers’ start'], rows),
  ];
  const measured = results.figures?.['auto: fresh, restored'];
  if (measured) {
    const [freshMs = 0, restoredMs = 0] = measured;
    const took = medianOf(results, 'capture');
    const picked = medianOf(results, 'auto picks: restored');
    lines.push(
      `A capture took ${seconds(took ?? Number.NaN)}. By its own measurement, without a keeper, a fresh start takes ${seconds(freshMs)} and a restored one ${seconds(restoredMs)}${picked === undefined ? '' : `: \`auto\` started ${picked === 1 ? 'restored' : 'fresh'}`}.`,
    );
  }
  return lines.join('\n\n');
}

/** What is advised against elsewhere, and what it would have cost or gained here. */
function antiPatterns(results: Results): string | undefined {
  const rows: string[][] = [];
  const [gpu, cpu] = [samplesOf(results, 'text'), samplesOf(results, 'text on the CPU')];
  if (cpu) {
    const open = seconds(medianOf(results, 'text on the CPU: open') ?? Number.NaN);
    const there = gpu ? `${ranged(gpu)} on the GPU` : '';
    rows.push([
      'text encoder on the CPU',
      `a prompt of all tokens in ${ranged(cpu)}, after ${open} to open it`,
      there,
    ]);
  }
  const [one, three] = [medianOf(results, 'capture, one size'), medianOf(results, 'capture, three sizes')];
  if (one !== undefined && three !== undefined) {
    const sizes = Object.keys(results.figures ?? {}).flatMap((name) => {
      const size = /^three sizes: first (\d+)$/.exec(name)?.[1];
      return size === undefined ? [] : [Number(size)];
    });
    const first = (name: string, size: number) => medianOf(results, `${name}: first ${size}`) ?? Number.NaN;
    const after = (name: string) => sizes.map((size) => `${size}²: ${seconds(first(name, size))}`).join(', ');
    rows.push([
      `${sizes.join(', ')} warmed before the capture, in the place of the last alone`,
      `a capture in ${seconds(three)}; first pictures of a restored engine, ${after('three sizes')}`,
      `a capture in ${seconds(one)}; ${after('one size')}`,
    ]);
  }
  if (rows.length === 0) return undefined;
  return `### Not done here, measured\n\n${table(['what', 'with it', 'without'], rows)}`;
}

function failures({ failures: all }: Results): string | undefined {
  const lines = Object.entries(all).map(([stage, reason]) => `- ${stage}: ${reason.split('\n')[0]}`);
  return lines.length > 0 ? `### What has no figures\n\n${lines.join('\n')}` : undefined;
}

const seconds = (ms: number) => `${(ms / 1000).toFixed(3)} s`;
const ranged = ({ median, min, max }: { median: number; min: number; max: number }) =>
  `${seconds(median)} (${(min / 1000).toFixed(3)}–${(max / 1000).toFixed(3)})`;
