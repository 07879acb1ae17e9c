import {
  CancellationScope,
  CancelledFailure,
  defineQuery,
  isCancellation,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { PromptActivities } from '../activities/prompt.js';
import {
  type BatchImage,
  type BatchItemResult,
  BatchJob,
  type BatchPage,
  type BatchProgress,
  type BatchResult,
  type ItemError,
  type PreparedBatch,
  type Shape,
} from '../contract/batch.js';
import { BATCH } from '../contract/priority.js';
import { BATCH_ITEMS_QUERY, PROGRESS_QUERY } from '../contract/workflow-types.js';
import { type Drawing, drawTogether } from './draw-together.js';
import { clearFailure } from './failures.js';
import { parseInput } from './parse-input.js';
import { preparingBatch } from './retry.js';

const { prepareBatch } = proxyActivities<PromptActivities>(preparingBatch);

/**
 * Draws many requests in as few GPU batches as they allow, on as many GPUs as there are. Each item ends as done or
 * failed; no item fails another.
 */
export async function generateBatch(input: BatchJob): Promise<BatchResult> {
  const job = parseInput(BatchJob, input);
  const book = openBook(job);
  const { workflowId, runId } = workflowInfo();
  let gpuMs = 0;
  try {
    const prepared = await prepareBatch(job);
    const running = [...drawingsOf(job, prepared, book)].flatMap(([shape, drawings]) =>
      inChunks(drawings, job.maxBatch).map((chunk) =>
        drawTogether(chunk, {
          model: shape.model,
          modelDigest: shape.modelDigest,
          urgency: BATCH,
          share: job,
          onPicture: book.settle,
          onDrawn(ms) {
            gpuMs += ms;
          },
        }),
      ),
    );
    await allSettled(running);
    const items = book.results();
    const partial = items.some(({ status }) => status === 'failed');
    return { workflowId, runId, partial, items, gpuMs: Math.round(gpuMs), tags: job.tags };
  } catch (error) {
    if (CancellationScope.current().consideredCancelled && !isCancellation(error)) {
      throw new CancelledFailure('the job was cancelled', [], error instanceof Error ? error : undefined);
    }
    throw clearFailure(error);
  }
}

/** Lets all of them come to rest, and only then passes on that one was cancelled. */
async function allSettled(running: readonly Promise<void>[]): Promise<void> {
  const ends = await Promise.allSettled(running);
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
}

/**
 * What there is to draw, by what can be drawn together. The same image twice is drawn once, and the same picture of it
 * is stored once, whoever else has asked for it.
 */
function drawingsOf(
  job: BatchJob,
  { shapes, items }: PreparedBatch,
  book: Book,
): Map<Shape, readonly Drawing[]> {
  const groups = new Map(
    shapes.map((shape) => [shape, new Map<string, Drawing & { pictures: Picture[] }>()]),
  );
  const pictures = new Map<string, number>();
  let images = 0;
  for (const [place, { prompt, seed, count, output, tags }] of job.items.entries()) {
    const prepared = items[place];
    const shape = prepared && 'shape' in prepared ? shapes[prepared.shape] : undefined;
    const group = shape && groups.get(shape);
    if (!prepared || 'error' in prepared || !shape || !group) {
      book.refuse(place, prepared && 'error' in prepared ? prepared.error : NOT_PREPARED);
      continue;
    }
    for (let nth = 0; nth < count; nth++) {
      const index = images++;
      const { width, height, steps } = shape;
      const item = { index, prompt, width, height, steps, seed: (seed + nth) % 2 ** 32 };
      const drawn = JSON.stringify([prompt, item.seed]);
      const drawing = group.get(drawn) ?? { item, pictures: [] };
      group.set(drawn, drawing);
      const allTags = { ...job.tags, ...tags };
      const stored = JSON.stringify([prepared.shape, drawn, output, Object.entries(allTags).sort()]);
      const twin = pictures.get(stored);
      if (twin === undefined) {
        pictures.set(stored, index);
        drawing.pictures.push({ index, output, tags: allTags });
      }
      book.expect(place, twin ?? index, prepared.truncated);
    }
  }
  return new Map([...groups].map(([shape, drawings]) => [shape, [...drawings.values()]]));
}

type Picture = Drawing['pictures'][number];

/** `prepareBatch` answers for each item, or it is not ours. */
const NOT_PREPARED: ItemError = {
  type: 'Error',
  message: 'expected an answer of prepareBatch for this item, got none',
};

/** As few chunks as there can be, of about the same size: the last one is not left with a single image. */
export function inChunks<T>(items: readonly T[], most: number): T[][] {
  const chunks = Math.ceil(items.length / most);
  return Array.from({ length: chunks }, (_, chunk) =>
    items.slice(
      Math.round((chunk * items.length) / chunks),
      Math.round(((chunk + 1) * items.length) / chunks),
    ),
  );
}

/** What is known of each item, for the result and for those who ask before. */
interface Book {
  refuse(place: number, error: ItemError): void;
  /** The item's next image is this picture. */
  expect(place: number, picture: number, truncated: boolean): void;
  readonly settle: (picture: number, outcome: BatchImage | ItemError) => void;
  /** In the order of the request. */
  results(): BatchItemResult[];
}

interface Entry {
  readonly index: number;
  readonly pictures: number[];
  truncated: boolean;
  isFinished: boolean;
}

/** Images in one answer of the query: about 100 KB. */
const PAGE_IMAGES = 200;

/** Call it before the workflow waits for anything: queries may come at once. */
function openBook({ items }: BatchJob): Book {
  const entries = items.map(
    (_, index): Entry => ({ index, pictures: [], truncated: false, isFinished: false }),
  );
  /** Which items wait for a picture. */
  const waiting = new Map<number, Set<Entry>>();
  const outcomes = new Map<number, BatchImage | ItemError>();
  const finished: BatchItemResult[] = [];
  let failed = 0;

  const progress = (): BatchProgress => ({ items: items.length, done: finished.length - failed, failed });

  function finish(result: BatchItemResult): void {
    const entry = entries[result.index];
    // One of several images has failed before.
    if (!entry || entry.isFinished) return;
    entry.isFinished = true;
    finished.push(result);
    if (result.status === 'failed') failed++;
    setCurrentDetails(`${finished.length} of ${items.length} items, ${failed} failed`);
  }

  function finishIfComplete(entry: Entry): void {
    const { index, pictures, truncated } = entry;
    const images: BatchImage[] = [];
    for (const picture of pictures) {
      const outcome = outcomes.get(picture);
      if (!outcome) return;
      if (!('url' in outcome)) {
        finish({ status: 'failed', index, error: outcome });
        return;
      }
      images.push(outcome);
    }
    finish({ status: 'done', index, images, truncated });
  }

  setHandler(defineQuery<BatchProgress>(PROGRESS_QUERY), progress);
  setHandler(defineQuery<BatchPage, [number]>(BATCH_ITEMS_QUERY), (known) => {
    const page: BatchItemResult[] = [];
    let images = 0;
    for (const result of finished.slice(known)) {
      images += result.status === 'done' ? result.images.length : 1;
      if (images > PAGE_IMAGES && page.length > 0) break;
      page.push(result);
    }
    return { ...progress(), finished: page };
  });

  return {
    refuse: (index, error) => finish({ status: 'failed', index, error }),
    expect(place, picture, truncated) {
      const entry = entries[place];
      if (!entry) return;
      entry.pictures.push(picture);
      entry.truncated = truncated;
      waiting.set(picture, (waiting.get(picture) ?? new Set()).add(entry));
    },
    settle(picture, outcome) {
      outcomes.set(picture, outcome);
      const mayBeDone = waiting.get(picture) ?? [];
      waiting.delete(picture);
      for (const entry of mayBeDone) finishIfComplete(entry);
    },
    results: () => finished.toSorted((a, b) => a.index - b.index),
  };
}
