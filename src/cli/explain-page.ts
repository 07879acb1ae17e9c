import type { DrawnBy } from '../contract/attempts.js';
import type { ExplainedAttempt, ExplainedTask, Explanation } from '../contract/explanation.js';
import { packageVersion } from '../package-root.js';
import type { Thumbnail } from './explain-pictures.js';
import { type SpanKind, spansOf, type TimeSpan } from './explain-spans.js';
import { STYLE } from './explain-style.js';
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

/** Rows that a chart has at most; of a catalogue with more batches, the last ones are summed up. */
const MOST_ROWS = 48;
/** Lanes that are told by themselves; where there are more, those that fared alike are told once. */
const MOST_LANES = 12;

/**
 * What became of a job as one page that needs nothing beside it: no script, no font, no picture of elsewhere.
 * @param now milliseconds since 1970: where what is not over ends
 */
export function explanationPage(
  explanation: Explanation,
  thumbnails: readonly Thumbnail[],
  now: number,
): string {
  const { request, workflowId, workflowType, runId, failure, pictures, notes } = explanation;
  const heading = title(request);
  const kind = pillOf(explanation.status);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${html(heading.slice(0, 80))} · ${html(workflowId)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<p><span class="pill ${kind}">${html(outcome(explanation))}</span> <span class="dim">since ${time(explanation.startedAt)}</span></p>
<h1>${html(heading)}</h1>
<ul class="chips">${facts(request)
    .map((fact) => `<li>${html(fact)}</li>`)
    .join('')}</ul>
<p class="mono dim">${html(workflowType)} ${html(workflowId)} · run ${html(runId)}</p>
${failure ? failureCard(explanation) : ''}
${picturesSection(thumbnails, pictures.length)}
<h2>Time</h2>
${tiles(explanation)}
<h2>Course</h2>
<div class="card">${chart(explanation, now)}</div>
<h2>${request.kind === 'image' ? 'Attempts' : 'What did not go straight'}</h2>
${lanes(explanation)}
${failedItems(explanation)}
<h2>Conditions</h2>
<div class="card"><table>${conditions(explanation)}</table></div>
<footer>${notes.map((note) => `<p>${html(note)}</p>`).join('')}<p>Made by temporal-diffusion ${html(packageVersion())} on ${time(now)}.</p></footer>
</main>
</body>
</html>
`;
}

function pillOf(status: Explanation['status']): string {
  if (status === 'completed') return 'good';
  return status === 'running' || status === 'continued-as-new' ? '' : 'bad';
}

function failureCard({ failure }: Explanation): string {
  if (!failure) return '';
  const { type, message, remedy } = failure;
  return `<div class="card failure"><p><b>${html(type)}</b>: ${html(message.replace(/^✖ /, ''))}</p>${remedy ? `<p>→ ${html(remedy)}</p>` : ''}</div>`;
}

function picturesSection(thumbnails: readonly Thumbnail[], all: number): string {
  if (all === 0) return '';
  const more = all > thumbnails.length ? ` · the first ${thumbnails.length} of ${all}` : '';
  return `<h2>${plural(all, 'picture')}${more}</h2>\n<div class="pictures">${thumbnails.map(figure).join('\n')}</div>`;
}

function figure(thumbnail: Thumbnail): string {
  const { picture } = thumbnail;
  const { prompt = '', seed, url, drawnBy } = picture;
  const frame =
    'dataUrl' in thumbnail
      ? `<img src="${thumbnail.dataUrl}" alt="${html(prompt)}">`
      : `<p>not shown: ${html(thumbnail.missing)}</p>`;
  const where = drawnBy ? `<br><span class="dim">on ${html(drawnBy.host)}</span>` : '';
  return `<figure title="${html(prompt)}"><div class="frame">${frame}</div><figcaption><b>seed ${seed}</b><br><span class="dim">${html(pictureWords(picture))}</span>${where}<br><code class="dim">${html(nameOf(url))}</code></figcaption></figure>`;
}

function nameOf(url: string): string {
  return decodeURIComponent(url.split('?')[0]?.split('/').at(-1) ?? url);
}

function tiles({ ms, totals }: Explanation): string {
  const together = totals.attempts > 2 ? ', together' : '';
  const gpuMs = totals.textMs + totals.denoiseMs + totals.decodeMs;
  const entries: [string, string][] = [
    ['in all', duration(ms)],
    [`queue${together}`, duration(totals.queueMs)],
    [`cold start${together}`, totals.coldStartMs > 0 ? duration(totals.coldStartMs) : 'none'],
    [`drawing${together}`, duration(gpuMs)],
    [
      'encode, upload',
      totals.encodeMs + totals.storeMs > 0 ? duration(totals.encodeMs + totals.storeMs) : '–',
    ],
    [totals.drawn === 1 ? 'image drawn' : 'images drawn', String(totals.drawn)],
    [
      totals.failedAttempts > 0 ? `attempts, ${totals.failedAttempts} failed` : 'attempts',
      String(totals.attempts),
    ],
  ];
  return `<div class="tiles">${entries.map(([name, value]) => `<div><b>${html(value)}</b><span>${name}</span></div>`).join('')}</div>`;
}

const KINDS: Readonly<Record<SpanKind, string>> = {
  wait: 'waits',
  start: 'engine starts',
  text: 'text',
  steps: 'steps',
  decode: 'decode',
  encode: 'encode',
  upload: 'upload',
  other: 'other',
  lost: 'in vain',
};

function chart(explanation: Explanation, now: number): string {
  const { startedAt, ms } = explanation;
  const length = Math.max(1, ms);
  const percent = (at: number) =>
    `${(Math.min(1, Math.max(0, (at - startedAt) / length)) * 100).toFixed(3)}%`;
  const marks = ticks(length);
  const grid = marks.map((at) => `<i style="left:${percent(startedAt + at)}"></i>`).join('');
  const seen = new Set<SpanKind>();
  const rows = rowsOf(explanation).map(({ name, tasks }) => {
    const spans = tasks.flatMap((task) => spansOf(task, now).map((span) => ({ span, task })));
    const bars = spans.map(({ span, task }) => {
      seen.add(span.kind);
      const width = `${(((span.to - span.from) / length) * 100).toFixed(3)}%`;
      return `<b class="${span.kind}" style="left:${percent(span.from)};width:${width}" title="${html(spanWords(span, task))}"></b>`;
    });
    return `<div class="name" title="${html(name)}">${html(name)}</div><div class="track">${grid}${bars.join('')}</div>`;
  });
  const axis = marks.map((at) => `<span style="left:${percent(startedAt + at)}">${tick(at)}</span>`).join('');
  const legend = (Object.keys(KINDS) as SpanKind[])
    .filter((kind) => seen.has(kind))
    .map((kind) => `<span class="${kind}">${KINDS[kind]}</span>`)
    .join('');
  return `<div class="chart"><div class="name"></div><div class="axis">${axis}</div>${rows.join('\n')}</div><div class="legend">${legend}</div>`;
}

/** In a batch, a row for each drawing and storing; where there are too many, and for all else, a row for each type. */
function rowsOf(explanation: Explanation): Lane[] {
  const lanes = lanesOf(explanation);
  if (explanation.request.kind === 'image' && lanes.length <= MOST_ROWS) return lanes;
  const isOwn = ({ tasks }: Lane) => /^(generate|publish)/.test(tasks[0]?.type ?? '');
  const own = explanation.request.kind === 'image' ? lanes : lanes.filter(isOwn);
  const shown = own.length <= MOST_ROWS ? own : [];
  const rest = explanation.tasks.filter((task) => !shown.some(({ tasks }) => tasks.includes(task)));
  const sums = [...new Set(rest.map(({ type }) => type))].map((type) => {
    const tasks = rest.filter((task) => task.type === type);
    return { name: tasks.length > 1 ? `${type} ×${tasks.length}` : type, tasks };
  });
  return [...shown, ...sums].sort((a, b) => beginOf(a) - beginOf(b));
}

const beginOf = ({ tasks }: Lane): number => tasks[0]?.scheduledAt ?? 0;

function spanWords({ kind, from, to, attempt }: TimeSpan, task: ExplainedTask): string {
  const number = attempt && (attempt.to > 1 ? `, attempt ${ranges([attempt.from, attempt.to])}` : '');
  const failure = kind === 'lost' && attempt?.failure ? `: ${attempt.failure.type}` : '';
  return `${verb(task.type, false)}${number ?? ''}: ${KINDS[kind]}${failure} ${duration(to - from)}`;
}

/** A round time, without the digits that are 0. */
function tick(ms: number): string {
  return ms === 0
    ? '0'
    : duration(ms)
        .replace(/\.?0+ s$/, ' s')
        .replace(/ 0 s$/, '');
}

/** Where an axis has its marks: up to seven, at round numbers. */
function ticks(ms: number): number[] {
  const [one] = [1, 2, 5, 10]
    .map((unit) => unit * 10 ** Math.floor(Math.log10(ms / 6)))
    .filter((unit) => ms / unit <= 7);
  const unit = one ?? ms;
  return Array.from({ length: Math.floor(ms / unit) + 1 }, (_, mark) => mark * unit).filter(
    (at) => at <= ms * 0.97 || at === 0,
  );
}

function lanes(explanation: Explanation): string {
  const isImage = explanation.request.kind === 'image';
  const all = lanesOf(explanation);
  const told = isImage ? all : all.filter(({ tasks }) => tasks.some((task) => !isQuiet(task)));
  if (told.length === 0)
    return `<div class="card"><p class="dim">${isImage ? 'Nothing was begun.' : 'Nothing: every task was done at its first attempt.'}</p></div>`;
  const groups = new Map<string, Lane[]>();
  for (const [place, lane] of told.entries()) {
    const key = isImage && told.length <= MOST_LANES ? String(place) : signatureOf(lane);
    groups.set(key, [...(groups.get(key) ?? []), lane]);
  }
  return [...groups.values()].map((group) => laneCard(group, explanation)).join('\n');
}

function laneCard(group: readonly Lane[], explanation: Explanation): string {
  const [lane] = group;
  if (!lane) return '';
  const about = imagesWords({ images: group.flatMap(({ tasks }) => tasks.flatMap(({ images }) => images)) });
  const name =
    group.length === 1
      ? html(lane.name)
      : `${html(about)} <span class="dim">· ${group.length} that fared alike; the first one's times</span>`;
  const steps = explanation.request.kind === 'image' ? explanation.request.steps : undefined;
  const items = lane.tasks.flatMap((task) =>
    gathered(task.attempts).map((attempts) => attemptItem(attempts, task, steps)),
  );
  return `<div class="card lane"><h3>${name}</h3><ol>${items.join('\n')}</ol></div>`;
}

const MARKS: Readonly<Record<ExplainedAttempt['state'], string>> = {
  waiting: '…',
  running: '▶',
  done: '✔',
  failed: '✖',
  cancelled: '■',
};

function attemptItem(
  group: readonly ExplainedAttempt[],
  task: ExplainedTask,
  steps: number | undefined,
): string {
  const [first, last] = [group[0], group.at(-1)];
  if (!first || !last) return '';
  const several = numberOf(group);
  const isOnly = task.attempts.length === 1 && last.to === 1;
  const number = isOnly ? '' : `, attempt${several === 1 ? ` ${first.from}` : `s ${first.from}–${last.to}`}`;
  const at = several === 1 && step(last) ? ` at ${step(last)}` : '';
  const known = group.every(({ ms }) => ms !== undefined);
  const spent = known ? duration(group.reduce((sum, { ms = 0 }) => sum + ms, 0)) : undefined;
  const lines: string[] = [];
  const doing = `${verb(task.type, last.state === 'done')}${number}`;
  const what: Record<ExplainedAttempt['state'], string> = {
    done: `${doing} in ${spent ?? 'unknown time'}`,
    failed: `${doing}: ${last.failure?.type ?? 'failed'}${several === 1 ? '' : ` ×${several}`}${at}${spent ? ` after ${spent}` : ''}`,
    cancelled: `${doing}: cancelled${at}${spent ? ` after ${spent}` : ' before it began'}`,
    running: `${doing}${at}${spent ? ` for ${spent}` : ''}`,
    waiting: `${doing}: waits in the queue ${task.queue}`,
  };
  lines.push(`<div class="what">${html(what[last.state])}</div>`);
  if (last.failure) {
    const { message, remedy } = last.failure;
    lines.push(
      `<div class="why">${html(message.slice(0, 600))}${remedy ? ` <span class="remedy">→ ${html(remedy)}</span>` : ''}</div>`,
    );
  }
  const where = [
    hostsOf(group),
    several === 1 && last.engine ? engineWords(last.engine, last.coldStartMs) : undefined,
    several === 1 && last.queueMs !== undefined ? `queue ${duration(last.queueMs)}` : undefined,
    several === 1 && last.coldStartMs ? `cold start ${duration(last.coldStartMs)}` : undefined,
  ].filter((text) => text !== undefined);
  const isStored = last.state === 'done' && task.type !== 'generate';
  if (where.length > 0 && !isStored) lines.push(`<div class="where">${html(where.join(' · '))}</div>`);
  const parts = last.state === 'done' ? stageWords(task, steps) : [];
  if (parts.length > 0) lines.push(`<div class="stages">${html(parts.join(' · '))}</div>`);
  return `<li class="${last.state}"><span class="mark">${MARKS[last.state]}</span><div>${lines.join('')}</div></li>`;
}

function failedItems({ failedItems, request }: Explanation): string {
  if (failedItems.length === 0) return '';
  const name = request.kind === 'catalog' ? 'row' : 'item';
  const rows = failedItems.map(
    ({ index, failure }) =>
      `<tr><th>${name} ${index}</th><td><b>${html(failure.type)}</b>: ${html(failure.message)}${failure.remedy ? `<br><span class="dim">→ ${html(failure.remedy)}</span>` : ''}</td></tr>`,
  );
  return `<h2>Failed ${name}s</h2><div class="card"><table>${rows.join('')}</table></div>`;
}

function conditions(explanation: Explanation): string {
  const { request, pictures, marks, runs, startedAt } = explanation;
  const drawers = pictures.flatMap(({ drawnBy }) => drawnBy ?? []);
  const each = (value: (by: DrawnBy) => string) => [...new Set(drawers.map(value))].join(', ');
  const rows: [string, string][] = [
    ['model', request.kind === 'image' ? [request.model, request.modelDigest].filter(Boolean).join(' ') : ''],
    ['graph', each(({ graphDigest }) => graphDigest)],
    [
      'device',
      each(({ engine }) => (engine.deviceName ? `${engine.deviceName} (${engine.device})` : engine.device)),
    ],
    ['hosts', each(({ host }) => host)],
    [
      'engines',
      each(({ engine }) => `${engine.instance} (${engine.start}, ready in ${duration(engine.loadMs)})`),
    ],
    [
      'versions',
      each(
        ({ versions: { package: own, node, onnxruntime } }) =>
          `temporal-diffusion ${own}, Node ${node}, ONNX Runtime ${onnxruntime}`,
      ),
    ],
    ['asked meanwhile', marks.map(({ at, what }) => `${what} after ${duration(at - startedAt)}`).join(', ')],
    ['runs', runs.map(({ runId, status, events }) => `${runId} ${status}, ${events} events`).join('; ')],
  ];
  return rows
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `<tr><th>${name}</th><td class="mono">${html(value)}</td></tr>`)
    .join('');
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function html(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? character);
}
