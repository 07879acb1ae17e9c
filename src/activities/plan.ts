import type { Logger } from 'pino';
import { z } from 'zod';
import type { BatchJob, ItemError, PreparedBatch, SeededItem, Shape } from '../contract/batch.js';
import { InvalidRequest, RenderError } from '../contract/errors.js';
import type { RenderPlan } from '../contract/job.js';
import type { ModelCard } from '../contract/model-card.js';
import { parse } from '../contract/parse.js';
import type { GenerateJob } from '../contract/request.js';
import { activityLog } from './activity-log.js';
import type { ModelCatalogue } from './model-catalogue.js';
import { type RequestLimits, refuseTooManyPixels } from './request-limits.js';

/** Judges a job before any GPU sees it. Throws `PromptRejected` to refuse it; any other error is tried again. */
export type Moderate = (job: GenerateJob) => Promise<void> | void;

export interface PlanDependencies {
  readonly models: ModelCatalogue;
  readonly moderate?: Moderate | undefined;
  readonly limits?: RequestLimits | undefined;
  readonly log: Logger;
}

/** What a job draws, without what only drawing needs to know. */
export type JudgedJob = Omit<RenderPlan, 'tokens' | 'truncated'>;

export interface Planner {
  /** Decides everything about a job, or throws why it is refused. */
  plan(job: GenerateJob, options?: JudgeOptions): Promise<RenderPlan>;
  /** The same without looking at the prompt's tokens, which takes longer than all the rest. */
  judge(job: GenerateJob, options?: JudgeOptions): Promise<JudgedJob>;
}

export interface JudgeOptions {
  /** Whether the hook has let this very job pass before. Default: false. */
  readonly isModerated?: boolean;
}

export function createPlanner({ models, moderate, limits, log }: PlanDependencies): Planner {
  const sizes = new WeakMap<ModelCard, ReturnType<typeof sizesOf>>();

  /** Made once a model: that takes longer than all checks together. */
  function knownSizesOf(card: ModelCard): ReturnType<typeof sizesOf> {
    const known = sizes.get(card) ?? sizesOf(card);
    sizes.set(card, known);
    return known;
  }

  const judge: Planner['judge'] = async (job, { isModerated = false } = {}) => {
    const { card } = await models.find(job.model);
    const width = job.width ?? card.defaultWidth;
    const height = job.height ?? card.defaultHeight;
    parse(knownSizesOf(card), { width, height });
    refuseGuidance(job, card);
    refuseTooManyPixels({ width, height, count: job.count }, limits);
    if (!isModerated) await moderate?.(job);
    return {
      model: job.model,
      modelDigest: card.digest,
      prompt: job.prompt,
      width,
      height,
      steps: job.steps ?? card.defaultSteps,
    };
  };

  return {
    judge,
    async plan(job, options) {
      const judged = await judge(job, options);
      const { card, countTokens } = await models.find(job.model);
      const tokens = countTokens(job.prompt);
      const truncated = tokens > card.maxTokens;
      const own = activityLog(log);
      if (truncated) own.info({ model: job.model, tokens, limit: card.maxTokens }, 'prompt is cut off');
      own.debug({ model: job.model, prompt: job.prompt, tokens }, 'prompt prepared');
      return { ...judged, tokens, truncated };
    },
  };
}

export type Planned = RenderPlan | { readonly error: ItemError };

/** What the job itself is to blame for is told of it; all else is thrown. */
export async function planOrError({ plan }: Planner, job: GenerateJob): Promise<Planned> {
  try {
    return await plan(job);
  } catch (error) {
    if (!(error instanceof RenderError) || error.retry) throw error;
    return { error: { type: error.type, message: error.message } };
  }
}

/** An item as the single job that it would be. */
export function jobOf(
  item: SeededItem,
  { tags, tenant, tenantWeight }: Pick<BatchJob, 'tags' | 'tenant' | 'tenantWeight'>,
): GenerateJob {
  return { ...item, tags: { ...tags, ...item.tags }, preview: false, tenant, tenantWeight };
}

/** Tells each shape once: a thousand items mostly have one. */
export function groupByShape(planned: readonly Planned[]): PreparedBatch {
  const shapes: Shape[] = [];
  const places = new Map<string, number>();
  const items = planned.map((item) => {
    if ('error' in item) return item;
    const { model, modelDigest, width, height, steps, truncated } = item;
    const shape = { model, modelDigest, width, height, steps };
    const key = JSON.stringify(shape);
    const place = places.get(key) ?? shapes.push(shape) - 1;
    places.set(key, place);
    return { shape: place, truncated };
  });
  return { shapes, items };
}

/** How many items are moderated at a time: the hook may ask somebody over the network. */
const AT_A_TIME = 16;

/** Does this for each of them, some at a time. @returns what became of them, in order */
export async function inTurns<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const turn = async (): Promise<void> => {
    while (next < items.length) {
      const place = next++;
      results[place] = await work(items[place] as T);
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_A_TIME, items.length) }, turn));
  return results;
}

/** The sizes that a model draws, in pixels. */
function sizesOf(card: ModelCard) {
  const expected = `expected a multiple of ${card.unit} from ${card.minSide} to ${card.maxSide} for ${card.name}`;
  const side = z
    .int()
    .refine((pixels) => pixels >= card.minSide && pixels <= card.maxSide && pixels % card.unit === 0, {
      error: ({ input }) => `${expected}, got ${String(input)}`,
    });
  return z.object({ width: side, height: side });
}

function refuseGuidance(job: GenerateJob, card: ModelCard): void {
  if (card.guidance || job.guidance === undefined) return;
  throw new InvalidRequest(
    `✖ expected no guidance, since ${card.name} was distilled to do without, got ${job.guidance}\n  → at guidance`,
  );
}
