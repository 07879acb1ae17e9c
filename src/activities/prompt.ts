import type { Logger } from 'pino';
import { z } from 'zod';
import { InvalidRequest } from '../contract/errors.js';
import type { RenderPlan } from '../contract/job.js';
import type { ModelCard } from '../contract/model-card.js';
import { parse } from '../contract/parse.js';
import { GenerateJob } from '../contract/request.js';
import { activity } from './failure.js';
import type { ModelCatalogue } from './model-catalogue.js';
import { type RequestLimits, refuseBacklog, refuseTooManyPixels } from './request-limits.js';

/** Judges a job before any GPU sees it. Throws `PromptRejected` to refuse it; any other error is tried again. */
export type Moderate = (job: GenerateJob) => Promise<void> | void;

export interface PromptDependencies {
  readonly models: ModelCatalogue;
  readonly moderate?: Moderate | undefined;
  readonly limits?: RequestLimits | undefined;
  readonly log: Logger;
}

/** Checks a job against the model that it names, and fills in what the model decides. */
export function createPromptActivities({ models, moderate, limits, log }: PromptDependencies) {
  return {
    preparePrompt: activity(async (input: GenerateJob): Promise<RenderPlan> => {
      const job = parse(GenerateJob, input);
      const { card, countTokens } = await models.find(job.model);
      const width = job.width ?? card.defaultWidth;
      const height = job.height ?? card.defaultHeight;
      parse(sizesOf(card), { width, height });
      refuseGuidance(job, card);
      refuseTooManyPixels({ width, height, count: job.count }, limits);
      await refuseBacklog(job.model, limits);
      await moderate?.(job);

      const tokens = countTokens(job.prompt);
      const truncated = tokens > card.maxTokens;
      if (truncated) log.info({ model: job.model, tokens, limit: card.maxTokens }, 'prompt is cut off');
      log.debug({ model: job.model, prompt: job.prompt, tokens }, 'prompt prepared');
      return {
        model: job.model,
        modelDigest: card.digest,
        prompt: job.prompt,
        width,
        height,
        steps: job.steps ?? card.defaultSteps,
        tokens,
        truncated,
      };
    }),
  };
}
export type PromptActivities = ReturnType<typeof createPromptActivities>;

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
