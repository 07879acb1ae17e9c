import { z } from 'zod';
import type { AttemptRecord, EngineRecord } from '../contract/attempts.js';
import { BatchJob, BatchResult, PictureOutcome, PublishManyInput } from '../contract/batch.js';
import { CatalogRequest, WriteShardInput } from '../contract/catalog.js';
import { ClaimLost, ModelReplaced } from '../contract/errors.js';
import type {
  ExplainedAttempt,
  ExplainedFailure,
  ExplainedPicture,
  ExplainedRequest,
  ExplainedStages,
  ExplainedTask,
  ExplainedTotals,
  Explanation,
} from '../contract/explanation.js';
import { GenerateInput, PixelClaim, PublishedImage, PublishInput, RenderPlan } from '../contract/job.js';
import { remedyOf } from '../contract/remedies.js';
import { GenerateJob } from '../contract/request.js';
import { GENERATE_BATCH, GENERATE_IMAGE } from '../contract/workflow-types.js';
import type { RecordedActivity, RecordedRun } from './recorded-run.js';

/** Fields of a later release are no reason to know nothing of the others. */
const Claim = z.object(PixelClaim.shape);
const Drawn = z.array(Claim);
const Stored = z.object(PublishedImage.shape);
const Storing = z.object({ claim: Claim });
const StoringMany = z.object({
  claims: z.array(z.object({ ...Claim.shape, prompt: z.string() })),
  pictures: PublishManyInput.shape.pictures,
});
const Prepared = z.object({ plan: z.object(RenderPlan.shape) });

const read = <T>(schema: z.ZodType<T>, value: unknown): T | undefined => schema.safeParse(value).data;

/**
 * What became of a job, out of what its runs' histories hold.
 * @param runs one after the other, at least one
 * @param now milliseconds since 1970: until then has lasted what is not over
 * @param notes what could not be looked at
 */
export function explain(
  runs: readonly RecordedRun[],
  now: number,
  notes: readonly string[] = [],
): Explanation {
  const [first, last] = [runs[0], runs.at(-1)];
  if (!first || !last) throw new Error('expected the history of one run at least, got none');
  const tasks = runs.flatMap(({ activities }, run) =>
    activities.map((activity) => taskOf(activity, run, now)),
  );
  const endedAt = last.endedAt;
  return {
    version: 1,
    workflowId: last.workflowId,
    runId: last.runId,
    workflowType: last.workflowType,
    status: last.status,
    startedAt: first.startedAt,
    ...(endedAt !== undefined && { endedAt }),
    ms: Math.max(0, (endedAt ?? now) - first.startedAt),
    request: requestOf(first),
    ...(last.failure && { failure: last.failure }),
    failedItems: failedItemsOf(runs),
    tasks,
    marks: runs.flatMap(({ marks }) => marks),
    pictures: runs.flatMap(picturesOf),
    totals: totalsOf(tasks),
    runs: runs.map(({ runId, status, startedAt, endedAt, events }) => ({
      runId,
      status,
      startedAt,
      ...(endedAt !== undefined && { endedAt }),
      events,
    })),
    notes: [...notes, ...lacksOf(tasks)],
  };
}

function requestOf(run: RecordedRun): ExplainedRequest {
  const [input] = run.input;
  if (run.workflowType === GENERATE_IMAGE) return imageRequestOf(run, GenerateJob.parse(input));
  if (run.workflowType === GENERATE_BATCH) {
    const { items, maxBatch, tags, tenant } = BatchJob.parse(input);
    return {
      kind: 'batch',
      items: items.length,
      images: items.reduce((sum, { count }) => sum + count, 0),
      models: [...new Set(items.map(({ model }) => model))],
      prompts: [...new Set(items.map(({ prompt }) => prompt))].slice(0, 3),
      maxBatch,
      tags,
      tenant,
    };
  }
  const { catalog, template, maxBatch, concurrency, dryRun, tenant } = CatalogRequest.parse(input);
  return {
    kind: 'catalog',
    catalog,
    ...(template !== undefined && { template }),
    maxBatch,
    concurrency,
    dryRun,
    tenant,
  };
}

function imageRequestOf({ local, activities }: RecordedRun, job: GenerateJob): ExplainedRequest {
  const prepared = [
    ...activities.filter(({ type }) => type === 'preparePrompt').map(({ result }) => result),
    local.get('preparePromptAtOnce'),
  ].map((value) => read(Prepared, value)?.plan);
  const plan = prepared.find((each) => each !== undefined);
  const { prompt, model, width, height, steps, seed, count, output, tags, tenant } = { ...job, ...plan };
  return {
    kind: 'image',
    prompt,
    model,
    ...(plan && { modelDigest: plan.modelDigest, tokens: plan.tokens, truncated: plan.truncated }),
    ...(width !== undefined && { width }),
    ...(height !== undefined && { height }),
    ...(steps !== undefined && { steps }),
    seed,
    count,
    output,
    tags,
    tenant,
  };
}

function taskOf(activity: RecordedActivity, run: number, now: number): ExplainedTask {
  const { event, type, queue, state, scheduledAt, endedAt } = activity;
  const stages = stagesOf(activity);
  return {
    run,
    event,
    type,
    queue,
    state,
    ...imagesOf(activity),
    scheduledAt,
    ...(endedAt !== undefined && { endedAt }),
    attempts: attemptsOf(activity, now),
    ...(stages && { stages }),
  };
}

function imagesOf({ type, input }: RecordedActivity): Pick<ExplainedTask, 'images' | 'seeds'> {
  const told = (images: readonly { index: number; seed: number }[]) => ({
    images: images.map(({ index }) => index),
    seeds: images.map(({ seed }) => seed),
  });
  switch (type) {
    case 'generate':
      return told(read(GenerateInput, input)?.items ?? []);
    case 'publish': {
      const claim = read(Storing, input)?.claim;
      return told(claim ? [claim] : []);
    }
    case 'publishMany': {
      const { claims, pictures } = read(StoringMany, input) ?? { claims: [], pictures: [] };
      return told(pictures.map(({ index, claim }) => ({ index, seed: claims[claim]?.seed ?? 0 })));
    }
    case 'discard':
      return told(read(Drawn, input) ?? []);
    default:
      return { images: [], seeds: [] };
  }
}

/** What was drawn together has one batch's stages, or those of each part that fitted: they are counted once each. */
function stagesOf({ type, result }: RecordedActivity): ExplainedStages | undefined {
  if (type === 'publish') {
    const stored = read(Stored, result);
    return stored && { encodeMs: stored.stages.encodeMs, storeMs: stored.stages.storeMs };
  }
  const claims = type === 'generate' ? read(Drawn, result) : undefined;
  if (!claims?.[0]) return undefined;
  const parts = new Map(
    claims.map(({ stages }) => [`${stages.textMs} ${stages.denoiseMs} ${stages.decodeMs}`, stages]),
  );
  const sum = (stage: 'textMs' | 'denoiseMs' | 'decodeMs') =>
    [...parts.values()].reduce((total, stages) => total + stages[stage], 0);
  return {
    engineMs: claims[0].stages.engineMs,
    textMs: sum('textMs'),
    denoiseMs: sum('denoiseMs'),
    decodeMs: sum('decodeMs'),
  };
}

/** All attempts, from the first one on: what they said of themselves, and gaps where nobody knows. */
function attemptsOf(activity: RecordedActivity, now: number): ExplainedAttempt[] {
  const claim = activity.type === 'generate' ? read(Drawn, activity.result)?.[0] : undefined;
  const records = [...activity.records, ...(claim?.earlier ?? [])]
    .filter((record) => endOf(record) < activity.attempt)
    .sort(
      (a, b) =>
        a.attempt - b.attempt ||
        endOf(b) - endOf(a) ||
        Number(b.error !== undefined) - Number(a.error !== undefined),
    );
  const attempts: ExplainedAttempt[] = [];
  let known = 0;
  for (const record of records) {
    if (endOf(record) <= known) continue;
    if (record.attempt > known + 1) attempts.push(unknown(activity, known + 1, record.attempt - 1));
    attempts.push(failedAttempt(activity, record));
    known = endOf(record);
  }
  if (known + 1 < activity.attempt) attempts.push(unknown(activity, known + 1, activity.attempt - 1));
  return [...attempts, lastAttempt(activity, claim, now)];
}

const endOf = ({ attempt, to = attempt }: AttemptRecord): number => to;

function unknown({ attempt, lastFailure }: RecordedActivity, from: number, to: number): ExplainedAttempt {
  return { from, to, state: 'failed', ...(to === attempt - 1 && lastFailure && { failure: lastFailure }) };
}

function failedAttempt({ attempt, lastFailure }: RecordedActivity, record: AttemptRecord): ExplainedAttempt {
  const own = endOf(record) === attempt - 1 ? lastFailure : undefined;
  const remedy = record.error && remedyOf(record.error.type);
  return {
    from: record.attempt,
    to: endOf(record),
    state: 'failed',
    startedAt: record.startedAt,
    ms: record.ms,
    ...waitOf(record),
    ...(record.host !== undefined && { host: record.host }),
    ...(record.step !== undefined && { step: record.step }),
    ...(record.of !== undefined && { of: record.of }),
    failure: own ??
      (record.error && { ...record.error, ...(remedy !== undefined && { remedy }) }) ?? {
        type: 'Timeout',
        message: 'its worker was never heard of again',
      },
  };
}

/** The one that ended the activity, or that runs or waits. */
function lastAttempt(
  activity: RecordedActivity,
  claim: z.output<typeof Claim> | undefined,
  now: number,
): ExplainedAttempt {
  const { attempt, startedAt, endedAt, scheduledAt, state, failure } = activity;
  const own = activity.records.findLast((record) => record.attempt === attempt && record.to === undefined);
  const host = claim?.drawnBy?.host ?? own?.host ?? activity.host;
  const queued = startedAt !== undefined && attempt === 1 ? startedAt - scheduledAt : undefined;
  const queueMs = claim?.stages.queueMs ?? own?.queueMs ?? (queued && Math.max(0, queued));
  const ms = startedAt === undefined ? undefined : Math.max(0, (endedAt ?? now) - startedAt);
  const engine = claim?.drawnBy?.engine ?? own?.engine;
  const isOver = state === 'done';
  return {
    from: attempt,
    to: attempt,
    state: state === 'timed-out' ? 'failed' : state,
    ...(startedAt !== undefined && { startedAt }),
    ...(ms !== undefined && { ms }),
    ...waitOf({ startedAt, ms: ms ?? 0, queueMs, engine }),
    ...(host !== undefined && { host }),
    ...(!isOver && own?.step !== undefined && { step: own.step }),
    ...(!isOver && own?.of !== undefined && { of: own.of }),
    ...(failure && { failure: asLast(failure, activity) }),
  };
}

/** What an activity ends with is not tried again as it is: what is done about it is the workflow's. */
function asLast({ type, message }: ExplainedFailure, { type: activity, input }: RecordedActivity) {
  const isLost = type === ClaimLost.type || type === 'Timeout';
  const many = (read(GenerateInput, input)?.items.length ?? 0) > 1;
  const remedy =
    activity.startsWith('publish') && isLost
      ? 'drawn again by whichever host is free'
      : activity === 'generate' && many
        ? 'each image is tried alone'
        : type === ModelReplaced.type
          ? remedyOf(type)
          : undefined;
  return { type, message, ...(remedy !== undefined && { remedy }) };
}

interface Wait {
  readonly startedAt?: number | undefined;
  readonly ms: number;
  readonly queueMs?: number | undefined;
  readonly engine?: EngineRecord | undefined;
}

/** Which part of the wait was the engine's start: a worker takes no task before its engine can draw. */
function waitOf({
  startedAt,
  ms,
  queueMs,
  engine,
}: Wait): Pick<ExplainedAttempt, 'queueMs' | 'coldStartMs' | 'engine'> {
  if (!engine) return queueMs === undefined ? {} : { queueMs };
  const [from, to] = [engine.readyAt - engine.loadMs, engine.readyAt];
  const overlap = (begin: number, end: number) => Math.max(0, Math.min(to, end) - Math.max(from, begin));
  const start = startedAt ?? engine.readyAt;
  const before = overlap(start - (queueMs ?? 0), start);
  return {
    ...(queueMs !== undefined && { queueMs: Math.max(0, queueMs - before) }),
    coldStartMs: Math.round(before + overlap(start, start + ms)),
    engine,
  };
}

function picturesOf({ activities, local }: RecordedRun): ExplainedPicture[] {
  const plan = read(Prepared, local.get('preparePromptAtOnce'))?.plan;
  const pictures = new Map<number, ExplainedPicture>();
  for (const { type, input, result } of activities) {
    if (type === 'publish') {
      const image = read(Stored, result);
      const storing = read(z.object({ ...Storing.shape, origin: PublishInput.shape.origin }), input);
      if (!image) continue;
      const { index, seed, url, sha256, pixelsSha256, bytes, width, height, format } = image;
      const prompt = storing?.origin.prompt ?? plan?.prompt;
      const drawnBy = storing?.claim.drawnBy;
      pictures.set(index, {
        ...{ index, seed, url, sha256, pixelsSha256, bytes, width, height, format },
        ...(prompt !== undefined && { prompt }),
        ...(drawnBy && { drawnBy }),
      });
    } else if (type === 'publishMany') {
      const storing = read(StoringMany, input);
      for (const outcome of read(z.array(PictureOutcome), result) ?? []) {
        if (!('image' in outcome)) continue;
        const picture = storing?.pictures.find(({ index }) => index === outcome.index);
        const claim = picture && storing?.claims[picture.claim];
        pictures.set(outcome.index, {
          ...outcome.image,
          index: outcome.index,
          ...(claim && { prompt: claim.prompt }),
          ...(claim?.drawnBy && { drawnBy: claim.drawnBy }),
          ...(picture && { format: picture.output.format }),
        });
      }
    }
  }
  return [...pictures.values()].sort((a, b) => a.index - b.index);
}

const MOST_FAILED_ITEMS = 10;

function failedItemsOf(runs: readonly RecordedRun[]): Explanation['failedItems'] {
  const failed = runs.flatMap(({ result, activities }) => [
    ...(read(z.object(BatchResult.shape), result)?.items ?? []).map((item) => ({
      ...item,
      place: item.index,
    })),
    ...activities
      .filter(({ type }) => type === 'writeShard')
      .flatMap(({ input }) => read(WriteShardInput, input)?.lines ?? [])
      .map((line) => ({ ...line, place: line.row })),
  ]);
  return failed
    .flatMap((item) => {
      if (item.status !== 'failed') return [];
      const remedy = remedyOf(item.error.type);
      return [{ index: item.place, failure: { ...item.error, ...(remedy !== undefined && { remedy }) } }];
    })
    .slice(0, MOST_FAILED_ITEMS);
}

/** What all tasks took, together. */
export function totalsOf(tasks: readonly ExplainedTask[]): ExplainedTotals {
  const totals = {
    drawn: 0,
    attempts: 0,
    failedAttempts: 0,
    queueMs: 0,
    coldStartMs: 0,
    engineMs: 0,
    textMs: 0,
    denoiseMs: 0,
    decodeMs: 0,
    encodeMs: 0,
    storeMs: 0,
  };
  /** An engine starts once, however many tasks wait for it. */
  const starts = new Map<string, number>();
  for (const { type, state, images, attempts, stages } of tasks) {
    if (type === 'generate' && state === 'done') totals.drawn += images.length;
    for (const { from, to, state, queueMs = 0, coldStartMs = 0, engine } of attempts) {
      totals.attempts += to - from + 1;
      if (state === 'failed') totals.failedAttempts += to - from + 1;
      totals.queueMs += queueMs;
      if (engine) starts.set(engine.instance, Math.max(coldStartMs, starts.get(engine.instance) ?? 0));
    }
    for (const [name, ms] of Object.entries(stages ?? {})) totals[name as keyof ExplainedStages] += ms ?? 0;
  }
  totals.coldStartMs = [...starts.values()].reduce((sum, ms) => sum + ms, 0);
  for (const name of Object.keys(totals) as (keyof typeof totals)[]) {
    totals[name] = Math.round(totals[name] * 10) / 10;
  }
  return totals;
}

function lacksOf(tasks: readonly ExplainedTask[]): string[] {
  // The last one failed unseen where nobody took it.
  const attempts = tasks.flatMap((task) => task.attempts.slice(0, -1));
  const isUnknown = attempts.some(({ state, startedAt }) => state === 'failed' && startedAt === undefined);
  const drawing = tasks.filter(({ type, state }) => type === 'generate' && state === 'done');
  const isOld = drawing.some(({ attempts }) => attempts.at(-1)?.engine === undefined);
  return [
    ...(isUnknown ? ['of some attempts the history holds the last reason only'] : []),
    ...(isOld ? ['drawn by an earlier release, whose hosts and engines did not tell of themselves'] : []),
  ];
}
