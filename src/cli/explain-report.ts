import type {
  ExplainedAttempt,
  ExplainedFailure,
  ExplainedTask,
  Explanation,
} from '../contract/explanation.js';
import { type SpanKind, spansOf } from './explain-spans.js';
import {
  duration,
  engineWords,
  facts,
  gathered,
  hostsOf,
  imagesWords,
  isQuiet,
  type Lane,
  lanesOf,
  numberOf,
  oneLine,
  outcome,
  pictureWords,
  plural,
  ranges,
  signatureOf,
  stageWords,
  step,
  time,
  title,
  verb,
} from './explain-words.js';

/** A screen, less what stands above and below the tasks. */
const LINES = 44;
const BAR = 40;

/**
 * What became of a job, for a person at a terminal: one screen, however much happened.
 * @param now milliseconds since 1970: where what is not over ends
 */
export function describeExplanation(explanation: Explanation, now: number): string {
  const { workflowId, runId, workflowType, request, failure, pictures } = explanation;
  const lines = [
    oneLine(title(request), MOST_FACTS),
    `${outcome(explanation)} · since ${time(explanation.startedAt)}`,
    oneLine(facts(request).join(' · '), MOST_FACTS),
    `${workflowType} ${workflowId} · run ${runId}`,
    ...chainLines(explanation),
    ...(failure ? ['', ...failureLines(failure, '')] : []),
    ...(request.kind === 'image' ? imageLines(explanation, now) : summedLines(explanation, now)),
    ...failedItemLines(explanation),
    ...markLines(explanation),
    '',
    totalLine(explanation),
    ...(request.kind === 'image' || pictures.length === 0
      ? []
      : [`${pictures.length} pictures, the last one ${pictures.at(-1)?.url}`]),
    ...explanation.notes.map((note) => `note: ${note}`),
  ];
  return `${lines.join('\n')}\n`;
}

function chainLines({ runs }: Explanation): string[] {
  if (runs.length < 2) return [];
  const events = runs.reduce((sum, run) => sum + run.events, 0);
  return [`${runs.length} runs, one after the other, of ${events} events together`];
}

function failureLines({ type, message, remedy }: ExplainedFailure, indent: string): string[] {
  return [
    `${indent}✖ ${type}: ${oneLine(message, MOST_WORDS)}`,
    ...(remedy ? [`${indent}  → ${remedy}`] : []),
  ];
}

/** Of what a failure says: the rest is in the JSON. */
const MOST_WORDS = 160;
/** Of a prompt, and of tags. */
const MOST_FACTS = 240;
/** Columns that most terminals have. */
const WIDTH = 100;

/** Each image by itself; where that is more than a screen, images that fared alike are told once. */
function imageLines(explanation: Explanation, now: number): string[] {
  const lanes = lanesOf(explanation);
  if (lanes.length === 0)
    return ['', explanation.status === 'running' ? 'nothing has begun yet' : 'nothing was begun'];
  const each = lanes.map((lane) => [lane]);
  const whole = each.flatMap((group) => laneLines(group, explanation, now));
  const lines =
    whole.length <= LINES ? whole : alike(lanes).flatMap((group) => laneLines(group, explanation, now));
  return ['', ...scale(explanation), ...fitting(lines)];
}

const DETAIL = /^ {6}/;

/** What there is room for: heads before details, and what comes first before what comes later. */
function fitting(lines: readonly string[]): readonly string[] {
  if (lines.length <= LINES) return lines;
  const heads = lines.filter((line) => !DETAIL.test(line));
  const rest = heads.length - LINES;
  const more = rest > 0 ? `and ${rest} more lines: ` : '';
  return [...heads.slice(0, LINES), `${more}all details by --html or --json`];
}

function alike(lanes: readonly Lane[]): Lane[][] {
  const groups = new Map<string, Lane[]>();
  for (const lane of lanes) {
    const signature = signatureOf(lane);
    groups.set(signature, [...(groups.get(signature) ?? []), lane]);
  }
  return [...groups.values()];
}

const NAME = 26;

function laneLines(group: readonly Lane[], explanation: Explanation, now: number): string[] {
  const [lane] = group;
  if (!lane) return [];
  const isOne = group.length === 1;
  const name = isOne ? lane.name : `${group.length} images`;
  const which = ranges(group.flatMap(({ tasks }) => tasks.flatMap(({ images }) => images)));
  const steps = explanation.request.kind === 'image' ? explanation.request.steps : undefined;
  const pictures = isOne ? [] : pictureLine(group, explanation);
  const rest = isOne ? [] : [`  images ${which} fared alike; this is image ${lane.tasks[0]?.images[0]}`];
  return [
    `${name.padEnd(NAME)}${bar(lane.tasks, explanation, now)}`,
    ...rest,
    ...lane.tasks.flatMap((task) => taskLines(task, explanation, steps, isOne)),
    ...pictures,
  ];
}

/** Where the pictures of lanes that are told once lie: their names are in the JSON. */
function pictureLine(group: readonly Lane[], { pictures }: Explanation): string[] {
  const own = pictures.filter(({ index }) =>
    group.some(({ tasks }) => tasks.some(({ images }) => images.includes(index))),
  );
  const folders = new Set(own.map(({ url }) => url.slice(0, url.lastIndexOf('/') + 1)));
  return [...folders].map((folder) => `      ${plural(own.length, 'picture')} in ${folder}`);
}

function taskLines(
  task: ExplainedTask,
  explanation: Explanation,
  steps: number | undefined,
  hasPlace = true,
): string[] {
  const groups = gathered(task.attempts);
  return groups.flatMap((group) => attemptLines(group, task, explanation, steps, hasPlace));
}

function attemptLines(
  group: readonly ExplainedAttempt[],
  task: ExplainedTask,
  explanation: Explanation,
  steps: number | undefined,
  hasPlace: boolean,
): string[] {
  const [first, last] = [group[0], group.at(-1)];
  if (!first || !last) return [];
  const several = numberOf(group);
  const isOne = several === 1;
  const number = isOne ? `attempt ${first.from}` : `attempts ${first.from}–${last.to}`;
  const isOnly = task.attempts.length === 1 && last.to === 1;
  const engine = last.engine && engineWords(last.engine, last.coldStartMs);
  const where = [hostsOf(group), isOne ? engine : undefined, ...(isOne ? waitWords(last) : [])]
    .filter((text) => text !== undefined)
    .join(' · ');
  const place = where === '' ? [] : [`      ${where}`];
  const doing = `${verb(task.type, false)}${isOnly ? '' : `, ${number}`}`;
  const at = isOne && step(last) ? ` at ${step(last)}` : '';
  switch (last.state) {
    case 'failed': {
      const { type, message, remedy } = last.failure ?? { type: 'failed', message: 'nobody told how' };
      const why = `      ${oneLine(message, MOST_WORDS)}`;
      const what = remedy === undefined ? '' : ` → ${remedy}`;
      return [
        `  ✖ ${doing}: ${type}${at}${isOne ? '' : ` ×${several}`}${lost(group)}`,
        ...place,
        ...(why.length + what.length > WIDTH && what !== ''
          ? [why, `      ${what.trim()}`]
          : [`${why}${what}`]),
      ];
    }
    case 'done': {
      const parts = stageWords(task, steps).join(' · ');
      const isDrawing = task.type === 'generate';
      const picture =
        task.type === 'publish'
          ? explanation.pictures.find(({ index }) => task.images.includes(index))
          : undefined;
      const done = `  ✔ ${verb(task.type, true)} in ${duration(last.ms ?? 0)}${isOnly ? '' : `, ${number}`}`;
      if (isDrawing) return [done, ...place, ...(parts === '' ? [] : [`      ${parts}`])];
      return [
        [done, ...(parts === '' ? [] : [parts]), ...(picture ? [pictureWords(picture)] : [])].join(' · '),
        ...(picture && hasPlace ? [`      ${picture.url}`] : []),
      ];
    }
    case 'cancelled': {
      const when = last.ms === undefined ? ' before it began' : ` after ${duration(last.ms)}`;
      return [`  ■ ${doing}: cancelled${at}${when}`, ...place];
    }
    case 'running':
      return [`  ▶ ${doing}${at}${last.ms === undefined ? '' : `, for ${duration(last.ms)}`}`, ...place];
    case 'waiting':
      return [`  … ${doing}: waits in the queue ${task.queue}`];
  }
}

/** How long failed attempts took, where all of them told. */
function lost(group: readonly ExplainedAttempt[]): string {
  if (group.some(({ ms }) => ms === undefined)) return '';
  return ` after ${duration(group.reduce((sum, { ms = 0 }) => sum + ms, 0))}`;
}

function waitWords({ queueMs, coldStartMs }: ExplainedAttempt): string[] {
  return [
    ...(queueMs === undefined ? [] : [`queue ${duration(queueMs)}`]),
    ...(coldStartMs ? [`cold start ${duration(coldStartMs)}`] : []),
  ];
}

const CELLS: Readonly<Record<SpanKind, string>> = {
  wait: '·',
  start: '▒',
  lost: '×',
  text: '█',
  steps: '█',
  decode: '█',
  other: '▪',
  encode: '▓',
  upload: '▓',
};

const LEGEND = '· waits   ▒ engine starts   █ draws   ▓ stores   ▪ other   × in vain';

function scale({ ms }: Explanation): string[] {
  return [`${''.padEnd(NAME)}${LEGEND}`, `${''.padEnd(NAME)}0${duration(ms).padStart(BAR - 1)}`];
}

/** What the job's time went to, in cells of the same length; in each, what took most of it. */
function bar(tasks: readonly ExplainedTask[], { startedAt, ms }: Explanation, now: number): string {
  const cell = Math.max(1, ms) / BAR;
  const spans = tasks.flatMap((task) => spansOf(task, now));
  const cells = Array.from({ length: BAR }, (_, place) => {
    const from = startedAt + place * cell;
    const shares = new Map<string, number>();
    for (const span of spans) {
      const share = Math.min(span.to, from + cell) - Math.max(span.from, from);
      if (share <= 0) continue;
      const mark = CELLS[span.kind];
      shares.set(mark, (shares.get(mark) ?? 0) + share);
    }
    const [most] = [...shares].sort(([, a], [, b]) => b - a);
    return most?.[0] ?? ' ';
  });
  return cells.join('').trimEnd();
}

/** Tasks of one type summed up, and those apart with which something went wrong. */
function summedLines(explanation: Explanation, now: number): string[] {
  const { tasks } = explanation;
  const types = [...new Set(tasks.map(({ type }) => type))];
  const sums = types.flatMap((type) => {
    const own = tasks.filter((task) => task.type === type);
    const by = (state: ExplainedTask['state']) => own.filter((task) => task.state === state).length;
    const states = (['done', 'running', 'waiting', 'failed', 'timed-out', 'cancelled'] as const)
      .filter((state) => by(state) > 0)
      .map((state) => `${by(state)} ${state}`);
    const images = own
      .filter(({ state }) => state === 'done')
      .reduce((sum, each) => sum + each.images.length, 0);
    const retried = own.filter((task) => task.attempts.length > 1 || task.attempts[0]?.from !== 1).length;
    return [
      `${type.padEnd(NAME)}${bar(own, explanation, now)}`,
      `  ${[...states, ...(images > 0 ? [`${images} images`] : []), ...(retried > 0 ? [`${retried} in more than one attempt`] : []), ...spread(own)].join(' · ')}`,
    ];
  });
  const troubled = lanesOf(explanation).filter(({ tasks }) =>
    tasks.some((task) => !isQuiet(task) && task.type !== 'discard'),
  );
  const room = Math.max(6, LINES - sums.length);
  const lines = [];
  let told = 0;
  for (const group of alike(troubled)) {
    const more = troubledLines(group, explanation);
    if (lines.length + more.length > room && told > 0) break;
    lines.push(...more);
    told += group.length;
  }
  if (told < troubled.length) lines.push(`and ${troubled.length - told} more tasks that did not go straight`);
  const hosts = hostLines(tasks);
  return [
    '',
    ...scale(explanation),
    ...sums,
    ...(hosts.length > 0 ? ['', ...hosts] : []),
    ...(lines.length > 0 ? ['', ...lines] : []),
  ];
}

function troubledLines(group: readonly Lane[], explanation: Explanation): string[] {
  const [lane] = group;
  const [task] = lane?.tasks ?? [];
  if (!task) return [];
  const about = imagesWords({ images: group.flatMap(({ tasks }) => tasks.flatMap(({ images }) => images)) });
  return [
    `${task.type}${about === '' ? '' : ` of ${about}`}${group.length > 1 ? ` (${group.length} tasks that fared alike)` : ''}`,
    ...taskLines(task, explanation, undefined),
  ];
}

function spread(tasks: readonly ExplainedTask[]): string[] {
  const times = tasks
    .filter(({ state }) => state === 'done')
    .flatMap(({ attempts }) => attempts.at(-1)?.ms ?? [])
    .sort((a, b) => a - b);
  const [least, most] = [times[0], times.at(-1)];
  if (least === undefined || most === undefined) return [];
  if (times.length === 1) return [duration(most)];
  return [`${duration(least)} to ${duration(most)}, median ${duration(times[times.length >> 1] ?? most)}`];
}

const MOST_HOSTS = 8;

/** Which hosts drew, on what, and how much. */
function hostLines(tasks: readonly ExplainedTask[]): string[] {
  const engines = new Map<string, { words: string; images: number }>();
  for (const { type, state, images, attempts } of tasks) {
    const last = attempts.at(-1);
    if (type !== 'generate' || state !== 'done' || !last?.host) continue;
    const key = `${last.host} ${last.engine?.instance}`;
    const words = `${last.host}${last.engine ? ` · ${engineWords(last.engine, last.coldStartMs)}` : ''}`;
    const known = engines.get(key) ?? { words, images: 0 };
    engines.set(key, { words: known.words, images: known.images + images.length });
  }
  const lines = [...engines.values()].map(({ words, images }) => `  ${words}: ${images} images`);
  if (lines.length === 0) return [];
  const rest = lines.length > MOST_HOSTS ? [`  and ${lines.length - MOST_HOSTS} more engines`] : [];
  return ['drawn by', ...lines.slice(0, MOST_HOSTS), ...rest];
}

function failedItemLines({ failedItems, request }: Explanation): string[] {
  if (failedItems.length === 0) return [];
  const name = request.kind === 'catalog' ? 'row' : 'item';
  return [
    '',
    ...failedItems.flatMap(({ index, failure }) => [
      `✖ ${name} ${index}: ${failure.type}: ${oneLine(failure.message, MOST_WORDS)}`,
    ]),
  ];
}

function markLines({ marks, startedAt }: Explanation): string[] {
  if (marks.length === 0) return [];
  return [
    '',
    `asked for meanwhile: ${marks.map(({ at, what }) => `${what} after ${duration(at - startedAt)}`).join(' · ')}`,
  ];
}

function totalLine({ totals }: Explanation): string {
  const { drawn, attempts, failedAttempts } = totals;
  const parts: [string, number][] = [
    ['queue', totals.queueMs],
    ['cold start', totals.coldStartMs],
    ['text', totals.textMs],
    ['steps', totals.denoiseMs],
    ['decode', totals.decodeMs],
    ['encode', totals.encodeMs],
    ['upload', totals.storeMs],
  ];
  const count = `${plural(drawn, 'image')} drawn, ${plural(attempts, 'attempt')}${failedAttempts > 0 ? `, ${failedAttempts} failed` : ''}`;
  const shown = parts.filter(([, ms]) => ms > 0).map(([name, ms]) => `${name} ${duration(ms)}`);
  return [`in all: ${count}`, ...shown].join(' · ');
}
