import {
  CancellationScope,
  CancelledFailure,
  isCancellation,
  log,
  proxyActivities,
  proxyLocalActivities,
  workflowInfo,
} from '@temporalio/workflow';
import type { GenerateActivities } from '../activities/generate.js';
import type { PromptActivities } from '../activities/prompt.js';
import type { PublishActivities } from '../activities/publish.js';
import { ClaimLost } from '../contract/errors.js';
import type {
  GenerateResult,
  JobSettings,
  PixelClaim,
  PreparedJob,
  PublishedImage,
  RenderItem,
  RenderPlan,
} from '../contract/job.js';
import { INTERACTIVE, priorityOf } from '../contract/priority.js';
import type { GenerateJobInput } from '../contract/request.js';
import { clearFailure, failureOf, mayPass, modelWasReplaced, pixelsAreLost } from './failures.js';
import { type ProgressTracker, trackProgress } from './progress.js';
import {
  discarding,
  generating,
  MAX_DRAWINGS,
  MAX_PLANS,
  preparing,
  preparingAtOnce,
  publishing,
} from './retry.js';

const { preparePrompt } = proxyActivities<PromptActivities>(preparing);
const { preparePromptAtOnce } = proxyLocalActivities<PromptActivities>(preparingAtOnce);

/**
 * Draws one prompt's images and stores them. Ends with all of them, or with one clear failure and nothing staged.
 * What it was started with is judged by the activity that prepares it: a schema here would be built anew for each job.
 */
export async function generateImage(input: GenerateJobInput): Promise<GenerateResult> {
  const progress = trackProgress();
  try {
    return await planAndDraw(input, progress);
  } catch (error) {
    // An activity that was failing anyway when the job was cancelled reports that, not the cancellation.
    if (CancellationScope.current().consideredCancelled && !isCancellation(error)) {
      throw new CancelledFailure('the job was cancelled', [], error instanceof Error ? error : undefined);
    }
    throw clearFailure(error);
  }
}

async function planAndDraw(input: GenerateJobInput, progress: ProgressTracker): Promise<GenerateResult> {
  const { workflowId, runId } = workflowInfo();
  for (let plans = 1; ; plans++) {
    const { plan, settings } = await prepare(input);
    const items = itemsOf(settings, plan);
    progress.begin(items);
    try {
      const images = await allOrNone(
        items.map((item) => () => drawAndPublish(item, settings, plan, progress)),
      );
      return { workflowId, runId, plan, images, tags: settings.tags };
    } catch (error) {
      if (!modelWasReplaced(error) || plans === MAX_PLANS) throw error;
      log.warn('the model was replaced while the job waited: planning it again', { plans });
    }
  }
}

async function prepare(input: GenerateJobInput): Promise<PreparedJob> {
  try {
    const prepared = await preparePromptAtOnce(input);
    if (prepared) return prepared;
  } catch (error) {
    if (!mayPass(error)) throw error;
  }
  return preparePrompt(input);
}

/** One item an image, so that several hosts can share them. */
function itemsOf({ count, seed }: JobSettings, { prompt, width, height, steps }: RenderPlan): RenderItem[] {
  return Array.from({ length: count }, (_, index) => ({
    index,
    prompt,
    width,
    height,
    steps,
    seed: (seed + index) % 2 ** 32,
  }));
}

/** Draws an image and stores it; draws it again where its host is gone before it is stored: seeds make that safe. */
async function drawAndPublish(
  item: RenderItem,
  settings: JobSettings,
  plan: RenderPlan,
  progress: ProgressTracker,
): Promise<PublishedImage> {
  for (let drawings = 1; ; drawings++) {
    progress.enter(item.index, 'waiting');
    const claim = await draw(item, settings, plan);
    progress.enter(item.index, 'storing');
    try {
      const image = await publish(claim, settings, plan);
      progress.enter(item.index, 'stored');
      return image;
    } catch (error) {
      if (!pixelsAreLost(error)) {
        await discard(claim);
        throw error;
      }
      if (drawings === MAX_DRAWINGS) throw failureOf(lostTooOften(item, drawings));
      log.warn('the host was gone before it stored an image: drawing it again', {
        index: item.index,
        drawings,
      });
    }
  }
}

async function draw(
  item: RenderItem,
  settings: JobSettings,
  { model, modelDigest }: RenderPlan,
): Promise<PixelClaim> {
  const summary = `image ${item.index}, seed ${item.seed}`;
  const priority = priorityOf(INTERACTIVE, settings);
  const { generate } = proxyActivities<GenerateActivities>({ ...generating(model), priority, summary });
  const [claim] = await generate({
    model,
    modelDigest,
    items: [item],
    preview: settings.preview,
    signalled: true,
  });
  if (claim === undefined)
    throw failureOf(new ClaimLost(`expected a claim for image ${item.index}, got none`));
  return claim;
}

function publish(claim: PixelClaim, settings: JobSettings, plan: RenderPlan): Promise<PublishedImage> {
  const { workflowId, runId } = workflowInfo();
  const { model, prompt, steps } = plan;
  const summary = `image ${claim.index}, seed ${claim.seed}`;
  const priority = priorityOf(INTERACTIVE, settings);
  const activities = proxyActivities<PublishActivities>({
    ...publishing(claim.hostQueue),
    priority,
    summary,
  });
  return activities.publish({
    claim,
    output: settings.output,
    origin: { workflowId, runId, model, prompt, steps, tags: settings.tags },
  });
}

/** Lets the claim's host forget it, also where the job is being cancelled. Never throws: the host forgets by itself, later. */
async function discard(claim: PixelClaim): Promise<void> {
  const activities = proxyActivities<PublishActivities>(discarding(claim.hostQueue));
  try {
    await CancellationScope.nonCancellable(() => activities.discard([claim]));
  } catch (error) {
    log.warn('could not discard staged pixels', { claim: claim.id, hostQueue: claim.hostQueue, error });
  }
}

/**
 * Runs all at once. Where one fails, or the job is cancelled, the others are cancelled, and the failure is passed on
 * once they have all come to rest.
 */
async function allOrNone<T>(runs: (() => Promise<T>)[]): Promise<T[]> {
  const scope = new CancellationScope();
  const running = await scope.run(async () => runs.map((run) => run()));
  try {
    return await Promise.all(running);
  } catch (error) {
    scope.cancel();
    await Promise.allSettled(running);
    throw error;
  }
}

function lostTooOften({ index, seed }: RenderItem, drawings: number): ClaimLost {
  return new ClaimLost(
    `image ${index} (seed ${seed}) was drawn ${drawings} times, and each time its host was gone before it was stored: look at the GPU workers' logs`,
  );
}
