import { table, timing } from '../report.js';
import type { ReferenceFile, TorchTiming } from './reference.js';
import type { BatchTiming, Results } from './results.js';

/** Of the issue that this benchmark was written for. */
const GOALS = {
  stepError: 1e-2,
  toEager: 1,
  toCompiled: 1.2,
  bytesPerSecond: 40e9,
  ofPinnedPeak: 0.75,
  firstPictureMs: 3000,
  batchOf10: 0.73,
} as const;

const COMPILED = ['compile-blocks', 'compile', 'autotune'] as const;

/** The whole section: what it ran on, the goals, then every table. */
export function sectionOf(results: Results, reference: ReferenceFile | undefined): string {
  const parts = [
    facts(results, reference),
    `### Goals\n\n${goals(results, reference)}`,
    warm(results, reference) && `### Warm, batch 1\n\n${warm(results, reference)}`,
    results.batches && `### Batches, whole pipeline\n\n${batches(results, reference)}`,
    results.distances && `### Distances\n\n${distances(results)}`,
    results.cold && `### Cold start\n\n${cold(results, reference)}`,
    failures(results),
  ];
  return parts.filter((part) => part).join('\n\n');
}

function facts({ card, digestSeconds }: Results, reference: ReferenceFile | undefined): string {
  const lines: string[] = [];
  if (card) {
    lines.push(
      `${card.name}, ${gigabytes(card.totalBytes)}; driver ${card.driver ?? 'unknown'}, CUDA ${card.cuda}. Pinned memory to the device: ${rate(card.pinnedPeak)}. CUDA begins in ${ms(card.initMs)}.`,
    );
  }
  if (reference) {
    const versions = Object.entries(reference.machine).map(([name, version]) => `${name} ${version}`);
    lines.push(`Torch's side: ${versions.join(', ')}.`);
  }
  if (digestSeconds !== undefined)
    lines.push(`The checkpoint's first digest took ${digestSeconds.toFixed(1)} s; it is remembered.`);
  return lines.join('\n\n');
}

function goals(results: Results, reference: ReferenceFile | undefined): string {
  const rows = [
    ...stepErrors(results),
    ...ratios(results, reference),
    ...streaming(results),
    ...firstPicture(results, reference),
    ...batchOf10(results),
  ];
  return table(
    ['figure', 'goal', 'measured', 'met'],
    rows.map(([figure, goal, measured, met]) => [
      figure,
      goal,
      measured,
      met === undefined ? '' : met ? 'yes' : 'no',
    ]),
  );
}

type Goal = readonly [figure: string, goal: string, measured: string, met: boolean | undefined];

function stepErrors({ distances = [] }: Results): Goal[] {
  const steps = distances.filter(({ what }) => what.startsWith('step '));
  return [...new Set(steps.map(({ size }) => size))].flatMap((size) => {
    const mine = steps.filter((step) => step.size === size);
    const worst = Math.max(...mine.map(({ oursToTorch }) => oursToTorch));
    const rows: Goal[] = [
      [
        `${size}²: a step's output to torch bf16, the worst`,
        `≤ ${GOALS.stepError}`,
        small(worst),
        worst <= GOALS.stepError,
      ],
    ];
    const exact = mine.filter(({ oursToFloat32 }) => oursToFloat32 !== undefined);
    if (exact.length > 0) {
      const ours = Math.max(...exact.map(({ oursToFloat32 = Number.NaN }) => oursToFloat32));
      const torch = Math.max(...exact.map(({ torchToFloat32 = Number.NaN }) => torchToFloat32));
      rows.push([
        `${size}²: a step's output to float32, the worst`,
        `≤ torch bf16: ${small(torch)}`,
        small(ours),
        ours <= torch,
      ]);
    }
    return rows;
  });
}

/** Medians of one picture at a time, ours and torch's. */
function pairs(results: Results, reference: ReferenceFile | undefined) {
  const sizes = [...new Set((results.batches ?? []).map(({ size }) => size))].sort((a, b) => b - a);
  return sizes.flatMap((size) =>
    (['step', 'pipeline'] as const).map((what) => {
      const steps = results.steps?.find((entry) => entry.size === size && entry.batch === 1);
      const whole = results.batches?.find((entry) => entry.size === size && entry.batch === 1);
      const samples = what === 'step' ? steps?.samples : whole?.samples;
      const ours = samples && samples.length > 0 ? timing(samples).median : undefined;
      const find = (timings: readonly TorchTiming[] = []) =>
        timings.find((entry) => entry.what === what && entry.size === size && entry.batch === 1)?.median_ms;
      const compiled = COMPILED.flatMap((stage) => find(reference?.[stage]) ?? []);
      return {
        size,
        what,
        ours,
        eager: find(reference?.eager),
        compiled: compiled.length > 0 ? Math.min(...compiled) : undefined,
      };
    }),
  );
}

const NAMES = { step: 'transformer only', pipeline: 'whole pipeline' } as const;

function ratios(results: Results, reference: ReferenceFile | undefined): Goal[] {
  return pairs(results, reference).flatMap(({ size, what, ours, eager, compiled }) => {
    const row = (other: number | undefined, name: string, goal: number): Goal[] =>
      ours === undefined || other === undefined
        ? []
        : [
            [
              `${size}², ${NAMES[what]}: to ${name}`,
              `≤ ${goal.toFixed(2)} ×`,
              `${(ours / other).toFixed(3)} ×`,
              ours / other <= goal,
            ],
          ];
    return [...row(eager, 'torch eager', GOALS.toEager), ...row(compiled, 'torch.compile', GOALS.toCompiled)];
  });
}

function streaming({ streaming: measured, card }: Results): Goal[] {
  if (!measured || !card) return [];
  const bytesPerSecond = measured.bytes / (timing(measured.milliseconds).median / 1000);
  const share = bytesPerSecond / card.pinnedPeak;
  return [
    [
      `streaming ${gigabytes(measured.bytes)} to the device`,
      `≥ ${rate(GOALS.bytesPerSecond)}`,
      rate(bytesPerSecond),
      bytesPerSecond >= GOALS.bytesPerSecond,
    ],
    [
      'the same, of the pinned peak',
      `≥ ${GOALS.ofPinnedPeak * 100}%`,
      `${(share * 100).toFixed(0)}%`,
      share >= GOALS.ofPinnedPeak,
    ],
  ];
}

function firstPicture(results: Results, reference: ReferenceFile | undefined): Goal[] {
  const rows: Goal[] = [];
  if (results.cold && results.cold.length > 0) {
    const { median } = timing(results.cold.map(({ firstPictureMs }) => firstPictureMs));
    rows.push([
      'fresh engine to first picture',
      `≤ ${ms(GOALS.firstPictureMs)}`,
      ms(median),
      median <= GOALS.firstPictureMs,
    ]);
    const floor = floorOf(results);
    if (floor !== undefined) rows.push(['the floor of that', '', ms(floor), undefined]);
  }
  const torch = reference?.cold;
  if (torch) rows.push(["the same for diffusers' from_pretrained", '', ms(torch.total * 1000), undefined]);
  return rows;
}

/** All bytes at the pinned peak, CUDA's begin and one warm picture: what a start can't be faster than. */
function floorOf({ card, streaming: measured, cold: starts = [] }: Results): number | undefined {
  if (!card || !measured || starts.length === 0) return undefined;
  const warmMs = timing(starts.map((start) => start.warmMs)).median;
  return (measured.bytes / card.pinnedPeak) * 1000 + card.initMs + warmMs;
}

function batchOf10({ batches: timings = [] }: Results): Goal[] {
  const perPicture = (batch: number) => {
    const found = timings.find((entry) => entry.size === 512 && entry.batch === batch);
    return found && timing(found.samples).median / batch;
  };
  const [one, ten] = [perPicture(1), perPicture(10)];
  if (one === undefined || ten === undefined) return [];
  const share = ten / one;
  return [
    [
      'batch of 10 at 512², a picture, to one alone',
      `≤ ${GOALS.batchOf10} ×`,
      `${share.toFixed(3)} ×`,
      share <= GOALS.batchOf10,
    ],
  ];
}

function warm(results: Results, reference: ReferenceFile | undefined): string | undefined {
  const rows = pairs(results, reference)
    .filter(({ ours }) => ours !== undefined)
    .map(({ size, what, ours, eager, compiled }) => [
      `${size}²`,
      NAMES[what],
      msOrNothing(ours),
      msOrNothing(eager),
      msOrNothing(compiled),
    ]);
  if (rows.length === 0) return undefined;
  return `${table(['size', 'what', 'ours', 'torch eager', 'torch.compile, the best'], rows)}\n\nMedians. Ours by the clock, from the call until its outputs are there; torch's between two events of the device.`;
}

function batches({ batches: timings = [] }: Results, reference: ReferenceFile | undefined): string {
  const torchOf = ({ size, batch }: BatchTiming) =>
    reference?.eager.find(
      (entry) => entry.what === 'pipeline' && entry.size === size && entry.batch === batch,
    );
  const rows = [...timings]
    .sort((a, b) => b.size - a.size || a.batch - b.batch)
    .map((entry) => {
      const { median, min, max, runs } = timing(entry.samples);
      const one = timings.find(({ size, batch }) => size === entry.size && batch === 1);
      const alone = one && timing(one.samples).median;
      const torch = torchOf(entry);
      return [
        `${entry.size}²`,
        String(entry.batch),
        seconds(median / entry.batch),
        seconds(min / entry.batch),
        seconds(max / entry.batch),
        String(runs),
        seconds(timing(entry.denoise).median / entry.batch),
        alone === undefined ? '' : (median / entry.batch / alone).toFixed(2),
        torch ? seconds(torch.median_ms / entry.batch) : '',
        entry.peakBytes === undefined ? '' : gigabytes(entry.peakBytes),
        torch?.peak_reserved_bytes === undefined ? '' : gigabytes(torch.peak_reserved_bytes),
      ];
    });
  const header = [
    'size',
    'batch',
    's a picture',
    'min',
    'max',
    'n',
    'steps alone',
    'to batch 1',
    'torch eager',
    'VRAM in use',
    'torch reserved',
  ];
  return `${table(header, rows)}\n\nVRAM in use: the most that the card had in use since the engine began, the driver's own among it; batches were drawn smallest first.`;
}

function distances({ distances: all = [] }: Results): string {
  const rows = all.map(({ size, what, oursToTorch, oursToFloat32, torchToFloat32 }) => [
    `${size}²`,
    what,
    small(oursToTorch),
    oursToFloat32 === undefined ? '' : small(oursToFloat32),
    torchToFloat32 === undefined ? '' : small(torchToFloat32),
  ]);
  return `${table(['size', 'what', 'ours to torch bf16', 'ours to float32', 'torch bf16 to float32'], rows)}\n\n‖a − b‖ / ‖b‖; of pixels, the mean difference in levels of 255. Steps: each side is given the latents, text and timestep that torch had in bf16. Own way: each side from the same noise and prompt through its own text encoder and steps; torch rounds timesteps to bf16 there.`;
}

function cold(results: Results, reference: ReferenceFile | undefined): string {
  const starts = results.cold ?? [];
  const rows = starts.map(({ readyMs, firstPictureMs, warmMs }, index) => [
    `ours, start ${index + 1}`,
    ms(readyMs),
    ms(firstPictureMs),
    ms(warmMs),
  ]);
  const torch = reference?.cold;
  if (torch) rows.push(['diffusers', ms(loadSeconds(torch) * 1000), ms(torch.total * 1000), '']);
  const lines = [table(['start', 'ready', 'first picture', 'one more'], rows)];
  if (torch) {
    const split = Object.entries(torch).flatMap(([name, value]) =>
      name === 'size' || name === 'total' ? [] : [`${name.replaceAll('_', ' ')} ${value.toFixed(2)} s`],
    );
    lines.push(`diffusers: ${split.join(', ')}.`);
  }
  const { streaming: measured, card } = results;
  const floor = floorOf(results);
  if (floor !== undefined && measured && card) {
    lines.push(
      `Floor: ${gigabytes(measured.bytes)} at ${rate(card.pinnedPeak)}, CUDA's ${ms(card.initMs)} and one warm picture: ${ms(floor)}.`,
    );
  }
  if (results.start) {
    lines.push(
      `![What a start is made of](cold-timeline.png)\n\nThe start in the picture told what it was made of, and took ${ms(results.start.firstPictureMs)}.`,
    );
  }
  return lines.join('\n\n');
}

function loadSeconds(load: ReferenceFile['load']): number {
  return load.interpreter_and_imports + load.from_pretrained + load.to_device;
}

function failures({ failures: all }: Results): string | undefined {
  const lines = Object.entries(all).map(([stage, reason]) => `- ${stage}: ${reason.split('\n')[0]}`);
  return lines.length > 0 ? `### Not measured\n\n${lines.join('\n')}` : undefined;
}

const ms = (value: number) => `${value.toFixed(value < 100 ? 1 : 0)} ms`;
const msOrNothing = (value: number | undefined) => (value === undefined ? '' : ms(value));
const seconds = (value: number) => (value / 1000).toFixed(3);
const small = (value: number) => value.toPrecision(3);
const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(2)} GB`;
const rate = (bytesPerSecond: number) => `${(bytesPerSecond / 1e9).toFixed(1)} GB/s`;
