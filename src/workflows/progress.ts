import { defineQuery, defineSignal, setCurrentDetails, setHandler } from '@temporalio/workflow';
import type { ImageProgress, JobProgress, RenderItem, StepProgress } from '../contract/job.js';
import { PROGRESS_QUERY, STEP_SIGNAL } from '../contract/workflow-types.js';

/** Where a job's images are: for the query `progress`, and in words for Temporal's UI. */
export interface ProgressTracker {
  /** The images are known from now on. */
  begin(items: readonly RenderItem[]): void;
  enter(index: number, state: Exclude<ImageProgress['state'], 'drawing'>): void;
}

/** Call it before the workflow waits for anything: queries may come at once. */
export function trackProgress(): ProgressTracker {
  const images = new Map<number, ImageProgress>();
  const sizes = new Map<number, string>();

  function update(index: number, change: Partial<ImageProgress>): void {
    const image = images.get(index);
    if (!image) return;
    images.set(index, { ...image, ...change });
    setCurrentDetails([...images.values()].map((each) => describe(each, sizes.get(each.index))).join('  \n'));
  }

  setHandler(defineQuery<JobProgress>(PROGRESS_QUERY), () => ({ images: [...images.values()] }));
  setHandler(defineSignal<[StepProgress]>(STEP_SIGNAL), ({ index, step }) => {
    // A signal of an attempt that was given up may arrive late.
    const state = images.get(index)?.state;
    if (state === 'waiting' || state === 'drawing') update(index, { state: 'drawing', step });
  });
  return {
    begin(items) {
      for (const { index, seed, steps, width, height } of items) {
        sizes.set(index, `${width}×${height}`);
        images.set(index, { index, seed, state: 'waiting', step: 0, of: steps });
      }
    },
    enter(index, state) {
      update(index, { state, ...(state === 'waiting' ? { step: 0 } : { step: images.get(index)?.of ?? 0 }) });
    },
  };
}

function describe({ state, step, of, seed }: ImageProgress, size: string | undefined): string {
  const where = state === 'drawing' ? `step ${step} of ${of}` : state;
  return `${where} · ${size} · seed ${seed}`;
}
