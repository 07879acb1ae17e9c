import type { EngineRecord } from '../contract/attempts.js';
import type {
  ExplainedAttempt,
  ExplainedFailure,
  ExplainedPicture,
  ExplainedRequest,
  ExplainedTask,
  Explanation,
} from '../contract/explanation.js';

/*
 * What the terminal and the page say in the same words.
 */

/** Three digits that matter: `4 ms`, `0.81 s`, `12.3 s`, `4 min 10 s`, `3 h 5 min`. */
export function duration(ms: number): string {
  if (ms < 99.5) return `${ms < 9.95 && ms % 1 !== 0 ? ms.toFixed(1) : Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 9.995) return `${seconds.toFixed(2)} s`;
  if (seconds < 99.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.round((whole % 3600) / 60)} min`;
}

export function bytes(count: number): string {
  return count < 2 ** 20 ? `${(count / 2 ** 10).toFixed(0)} KB` : `${(count / 2 ** 20).toFixed(1)} MB`;
}

export function time(at: number): string {
  return `${new Date(at).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

/** `0`, `3–15`, `1, 4–6`. */
export function ranges(numbers: readonly number[]): string {
  const parts: [number, number][] = [];
  for (const number of [...new Set(numbers)].sort((a, b) => a - b)) {
    const last = parts.at(-1);
    if (last && last[1] + 1 === number) last[1] = number;
    else parts.push([number, number]);
  }
  const texts = parts.map(([from, to]) => (from === to ? `${from}` : `${from}–${to}`));
  return texts.length > 6 ? `${texts.slice(0, 5).join(', ')} … ${texts.at(-1)}` : texts.join(', ');
}

/** The job in one line, as whoever asked for it thinks of it. */
export function title(request: ExplainedRequest): string {
  switch (request.kind) {
    case 'image':
      return request.prompt;
    case 'batch':
      return `${request.items} items: ${request.prompts.join(' · ')}${request.prompts.length === 3 ? ' …' : ''}`;
    case 'catalog':
      return request.template ? `${request.catalog} · ${request.template}` : request.catalog;
  }
}

/** What was asked for, in parts. */
export function facts(request: ExplainedRequest): string[] {
  const tags = 'tags' in request ? Object.entries(request.tags).map(([key, value]) => `${key}=${value}`) : [];
  const tenant = request.tenant === 'default' ? [] : [`tenant ${request.tenant}`];
  switch (request.kind) {
    case 'image': {
      const { width, height, steps, model, modelDigest, seed, count, output } = request;
      const seeds =
        count === 1 ? `seed ${seed}` : `${count} images, seeds ${ranges([seed])}–${seed + count - 1}`;
      const cut = request.truncated ? [`cut off: ${request.tokens} tokens`] : [];
      return [
        ...(width !== undefined && height !== undefined ? [`${width}×${height}`] : []),
        `${steps === undefined ? '' : `${steps} steps of `}${model}${modelDigest ? ` ${modelDigest.slice(0, 8)}` : ''}`,
        seeds,
        `${output.format}${output.quality === undefined ? '' : ` at ${output.quality}`}`,
        ...cut,
        ...tags,
        ...tenant,
      ];
    }
    case 'batch':
      return [
        `${request.items} items, ${request.images} images`,
        request.models.join(', '),
        `up to ${request.maxBatch} together`,
        ...tags,
        ...tenant,
      ];
    case 'catalog':
      return [
        ...(request.dryRun ? ['dry run'] : []),
        `up to ${request.maxBatch} together`,
        `${request.concurrency} batches at a time`,
        ...tenant,
      ];
  }
}

/** `completed in 3.42 s`. */
export function outcome({ status, ms }: Pick<Explanation, 'status' | 'ms'>): string {
  const span = duration(ms);
  switch (status) {
    case 'running':
      return `running for ${span}`;
    case 'continued-as-new':
      return `handed on after ${span}`;
    case 'timed-out':
      return `out of time after ${span}`;
    case 'completed':
      return `completed in ${span}`;
    default:
      return `${status} after ${span}`;
  }
}

export function device({ device, deviceName }: EngineRecord): string {
  return deviceName === undefined ? device : `${deviceName} (${device})`;
}

/** `engine 3f2a91c4, restored in 0.41 s, on NVIDIA H100 (cuda:0)`. */
export function engineWords(engine: EngineRecord, coldStartMs = 0): string {
  const { instance, start, loadMs } = engine;
  const started = coldStartMs > 0 ? `${start} in ${duration(loadMs)}` : `warm (${start})`;
  return `engine ${instance.slice(0, 8)}, ${started}, on ${device(engine)}`;
}

/** Of attempts that are one: where they were, or `undefined`. */
export function hostsOf(attempts: readonly ExplainedAttempt[]): string | undefined {
  const hosts = [...new Set(attempts.flatMap(({ host }) => host ?? []))];
  if (hosts.length === 0) return undefined;
  return hosts.length > 3 ? `${hosts.slice(0, 3).join(', ')} and ${hosts.length - 3} more` : hosts.join(', ');
}

export function step({ step, of }: Pick<ExplainedAttempt, 'step' | 'of'>): string | undefined {
  return step === undefined || of === undefined ? undefined : `step ${step} of ${of}`;
}

/** Attempts that failed in the same way, one after the other: more than two are told once. */
export function gathered(attempts: readonly ExplainedAttempt[]): ExplainedAttempt[][] {
  const groups: ExplainedAttempt[][] = [];
  for (const attempt of attempts) {
    const last = groups.at(-1);
    if (last?.[0] && failsLike(last[0], attempt)) last.push(attempt);
    else groups.push([attempt]);
  }
  return groups.flatMap((group) => (numberOf(group) > 2 ? [group] : group.map((attempt) => [attempt])));
}

export function numberOf(group: readonly ExplainedAttempt[]): number {
  return group.reduce((sum, { from, to }) => sum + to - from + 1, 0);
}

function failsLike(a: ExplainedAttempt, b: ExplainedAttempt): boolean {
  const alike = (failure: ExplainedFailure | undefined) =>
    failure && `${failure.type} ${failure.message.replace(/\s*\[[^\]]*\]/g, '').replace(/\d+/g, '#')}`;
  return a.state === 'failed' && b.state === 'failed' && alike(a.failure) === alike(b.failure);
}

/** The parts of an attempt that came to its end. */
export function stageWords({ stages = {} }: ExplainedTask, steps: number | undefined): string[] {
  const { engineMs, textMs, denoiseMs, decodeMs, encodeMs, storeMs } = stages;
  const each = steps && denoiseMs !== undefined ? ` (${duration(denoiseMs / steps)} each)` : '';
  const named: [string, number | undefined][] = [
    ['engine', engineMs && engineMs >= 1 ? engineMs : undefined],
    ['text', textMs],
    [steps ? `${steps} steps` : 'steps', denoiseMs],
    ['decode', decodeMs],
    ['encode', encodeMs],
    ['upload', storeMs],
  ];
  return named.flatMap(([name, ms]) =>
    ms === undefined ? [] : [`${name} ${duration(ms)}${name.endsWith('steps') ? each : ''}`],
  );
}

/** What a kind of task has done, and what it does. */
const VERBS: Readonly<Record<string, readonly [string, string]>> = {
  generate: ['drawn', 'drawing'],
  publish: ['stored', 'storing'],
  publishMany: ['stored', 'storing'],
  preparePrompt: ['prepared', 'preparing'],
  prepareBatch: ['prepared', 'preparing'],
  discard: ['pixels dropped', 'dropping pixels'],
  readCatalogPage: ['page read', 'reading a page'],
  writeShard: ['results written', 'writing results'],
  finishCatalog: ['summed up', 'summing up'],
};

export function verb(type: string, isDone: boolean): string {
  const [done, doing] = VERBS[type] ?? [type, type];
  return isDone ? done : doing;
}

/** One line of a message; what was quoted from elsewhere has several, and marks of its own. */
export function oneLine(message: string, most: number): string {
  const line = message
    .replace(/^✖ /, '')
    .replace(/\s*\n\s*/g, ' ')
    .trim();
  return line.length > most ? `${line.slice(0, most)}…` : line;
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** What a task is about, where an image is not meant alone. */
export function imagesWords({ images }: Pick<ExplainedTask, 'images'>): string {
  if (images.length === 0) return '';
  return images.length === 1 ? `image ${images[0]}` : `images ${ranges(images)}`;
}

/** Tasks that belong together: all of an image; in a batch, each by itself. */
export interface Lane {
  readonly name: string;
  readonly tasks: readonly ExplainedTask[];
}

export function lanesOf({ request, tasks }: Explanation): Lane[] {
  if (request.kind !== 'image') {
    return tasks.map((task) => ({ name: `${task.type} ${imagesWords(task)}`.trim(), tasks: [task] }));
  }
  const lanes = new Map<string, ExplainedTask[]>();
  for (const task of tasks) {
    const [index] = task.images;
    const name = index === undefined ? 'request' : `image ${index} · seed ${task.seeds[0]}`;
    lanes.set(name, [...(lanes.get(name) ?? []), task]);
  }
  return [...lanes].map(([name, tasks]) => ({ name, tasks }));
}

/** Whether everything went as it should: in one attempt, and to its end. */
export function isQuiet({ state, attempts }: ExplainedTask): boolean {
  return state === 'done' && attempts.length === 1 && attempts[0]?.from === 1;
}

/** What tells two lanes apart beside their times: lanes that are alike are told once where there is no room for all. */
export function signatureOf({ tasks }: Lane): string {
  return JSON.stringify(
    tasks.map(({ type, state, attempts }) => [
      type,
      state,
      gathered(attempts).map((group) => [
        group[0]?.from,
        group.at(-1)?.to,
        group[0]?.state,
        group[0]?.failure?.type,
      ]),
    ]),
  );
}

/** Where a picture lies, and what it is. */
export function pictureWords({ bytes: size, width, height, format }: ExplainedPicture): string {
  return `${width}×${height} · ${bytes(size)}${format ? ` of ${format}` : ''}`;
}
