import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  isCancellation,
  log,
  proxyActivities,
  workflowInfo,
} from '@temporalio/workflow';
import type { GenerateActivities } from '../activities/generate.js';
import type { PublishActivities } from '../activities/publish.js';
import type { BatchImage, ItemError, PictureOutcome } from '../contract/batch.js';
import { ClaimLost } from '../contract/errors.js';
import type { PixelClaim, RenderItem } from '../contract/job.js';
import { priorityOf, type Share } from '../contract/priority.js';
import type { OutputOptions, Tags } from '../contract/request.js';
import { clearFailure, pixelsAreLost } from './failures.js';
import { discarding, generating, generatingTogether, MAX_DRAWINGS, publishing } from './retry.js';

/** What is drawn once, and the pictures that are made of it. */
export interface Drawing {
  readonly item: RenderItem;
  readonly pictures: readonly Picture[];
}

export interface Picture {
  /** Its place in the job. */
  readonly index: number;
  readonly output: OutputOptions;
  readonly tags: Tags;
}

/** What all drawings of a job share. */
export interface DrawingOptions {
  readonly model: string;
  readonly modelDigest: string;
  readonly urgency: number;
  readonly share: Share;
  /** Told once for each picture, as soon as it is known. */
  onPicture(index: number, outcome: BatchImage | ItemError): void;
  /** Milliseconds that a GPU drew, and how many images: told of all that was drawn, also in vain. */
  onDrawn(gpuMs: number, images: number): void;
}

/**
 * Draws as one batch and stores what comes of it; every picture ends as an image or an error. What fails for all of
 * them is tried for each alone, so that only the guilty one fails.
 * @throws CancelledFailure, with nothing staged, and nothing else
 */
export async function drawTogether(drawings: readonly Drawing[], options: DrawingOptions): Promise<void> {
  let waiting = drawings;
  for (let times = 1; waiting.length > 0; times++) {
    const claims = await draw(waiting, options);
    if (!claims) return;
    const lost = await publish(waiting, claims, options);
    if (lost.length > 0 && times === MAX_DRAWINGS) return fail(lost, lostTooOften(times), options);
    if (lost.length > 0) {
      log.warn('the host was gone before it stored some images: drawing them again', {
        images: lost.length,
        times,
      });
    }
    waiting = lost;
  }
}

/** @returns undefined where all has been told already */
async function draw(
  drawings: readonly Drawing[],
  options: DrawingOptions,
): Promise<PixelClaim[] | undefined> {
  const { model, modelDigest, urgency, share } = options;
  const [first] = drawings;
  if (!first) return [];
  const alone = drawings.length === 1;
  const { generate } = proxyActivities<GenerateActivities>({
    ...(alone ? generating(model) : generatingTogether(model)),
    priority: priorityOf(urgency, share),
    summary: alone ? `seed ${first.item.seed}` : `${drawings.length} images`,
  });
  try {
    const items = drawings.map(({ item }) => item);
    const claims = await generate({ model, modelDigest, items, preview: false, signalled: false });
    options.onDrawn(gpuMsOf(claims), claims.length);
    return claims;
  } catch (error) {
    rethrowCancellation(error);
    if (alone) {
      fail(drawings, error, options);
      return undefined;
    }
    log.warn('could not draw some images together: trying each alone', { images: drawings.length, error });
    await Promise.all(drawings.map((drawing) => drawTogether([drawing], options)));
    return undefined;
  }
}

/** @returns the drawings whose pixels are lost */
async function publish(
  drawings: readonly Drawing[],
  claims: readonly PixelClaim[],
  options: DrawingOptions,
): Promise<readonly Drawing[]> {
  const { model, urgency, share } = options;
  const [first] = claims;
  const steps = drawings[0]?.item.steps;
  if (!first || steps === undefined) return [];
  const { workflowId, runId } = workflowInfo();
  const byIndex = new Map(drawings.map((drawing) => [drawing.item.index, drawing]));
  const { publishMany } = proxyActivities<PublishActivities>({
    ...publishing(first.hostQueue),
    priority: priorityOf(urgency, share),
    summary: `${claims.length} images`,
  });
  try {
    const outcomes = await publishMany({
      claims: claims.map((claim) => ({ ...claim, prompt: byIndex.get(claim.index)?.item.prompt ?? '' })),
      pictures: claims.flatMap((claim, place) =>
        (byIndex.get(claim.index)?.pictures ?? []).map((picture) => ({ ...picture, claim: place })),
      ),
      origin: { workflowId, runId, model, steps },
    });
    const isLost = new Set(outcomes.filter(wasLost).map(({ index }) => index));
    for (const outcome of outcomes) {
      if (!isLost.has(outcome.index))
        options.onPicture(outcome.index, 'image' in outcome ? outcome.image : outcome.error);
    }
    return drawings
      .map(({ item, pictures }) => ({ item, pictures: pictures.filter(({ index }) => isLost.has(index)) }))
      .filter(({ pictures }) => pictures.length > 0);
  } catch (error) {
    if (pixelsAreLost(error)) return drawings;
    await discard(claims, first.hostQueue);
    rethrowCancellation(error);
    fail(drawings, error, options);
    return [];
  }
}

function wasLost(outcome: PictureOutcome): boolean {
  return 'error' in outcome && outcome.error.type === ClaimLost.type;
}

/** Lets the claims' host forget them, also where the job is being cancelled. Never throws: the host forgets by itself, later. */
async function discard(claims: readonly PixelClaim[], hostQueue: string): Promise<void> {
  const activities = proxyActivities<PublishActivities>(discarding(hostQueue));
  try {
    await CancellationScope.nonCancellable(() => activities.discard([...claims]));
  } catch (error) {
    log.warn('could not discard staged pixels', { claims: claims.length, hostQueue, error });
  }
}

function rethrowCancellation(error: unknown): void {
  // An activity that was failing anyway when the job was cancelled reports that, not the cancellation.
  if (isCancellation(error) || CancellationScope.current().consideredCancelled) throw error;
}

function fail(drawings: readonly Drawing[], error: unknown, { onPicture }: DrawingOptions): void {
  for (const { pictures } of drawings) for (const { index } of pictures) onPicture(index, itemError(error));
}

/** What an item failed with, in the words that a job of its own would have had. */
export function itemError(error: unknown): ItemError {
  const clear = clearFailure(error);
  if (clear instanceof ApplicationFailure) {
    return { type: clear.type ?? 'Error', message: shortened(clear.message) };
  }
  if (clear instanceof ClaimLost) return { type: clear.type, message: clear.message };
  const cause = clear instanceof ActivityFailure ? clear.cause : clear;
  return { type: 'Error', message: shortened(cause instanceof Error ? cause.message : String(cause)) };
}

/** A thousand of them must fit into one result. */
const MAX_MESSAGE = 500;

function shortened(message: string): string {
  return message.length > MAX_MESSAGE ? `${message.slice(0, MAX_MESSAGE)}…` : message;
}

function lostTooOften(times: number): ClaimLost {
  return new ClaimLost(
    `the image was drawn ${times} times, and each time its host was gone before it was stored: look at the GPU workers' logs`,
  );
}

/** What was drawn together has the same stages, those of its batch: they are counted once. */
function gpuMsOf(claims: readonly PixelClaim[]): number {
  const batches = new Map(
    claims.map(({ stages: { textMs, denoiseMs, decodeMs } }) => [
      `${textMs} ${denoiseMs} ${decodeMs}`,
      textMs + denoiseMs + decodeMs,
    ]),
  );
  return [...batches.values()].reduce((sum, ms) => sum + ms, 0);
}
