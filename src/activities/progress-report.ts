import type { Client } from '@temporalio/client';
import type { Logger } from 'pino';
import sharp from 'sharp';
import type { StepProgress, StepUpdate } from '../contract/job.js';
import { STEP_SIGNAL, STEP_SIGNALS, STEP_SIGNALS_APART_MS } from '../contract/workflow-types.js';
import type { Preview } from '../gpu/engine/preview.js';

export interface ProgressReportOptions {
  /** Sends a heartbeat. */
  readonly beat: (progress: StepUpdate) => void;
  readonly client: Client;
  readonly workflowId: string;
  readonly runId: string;
  /** Whether the workflow hears of some steps. */
  readonly signalled: boolean;
  readonly log: Logger;
}

/** Tells of every step: all of them by heartbeat, a few of them to the workflow where it wants to know. Never throws and never waits. */
export type ProgressReport = (progress: StepProgress, preview?: Preview) => void;

export function createProgressReport(options: ProgressReportOptions): ProgressReport {
  const { beat, client, workflowId, runId, signalled, log } = options;
  const workflow = client.workflow.getHandle(workflowId, runId);
  const latest = new Map<number, number>();
  let signalledAt = performance.now();

  async function beatWithPreview(progress: StepProgress, preview: Preview): Promise<void> {
    const encoded = await encodePreview(preview);
    // By now the next step may have been told.
    if (latest.get(progress.index) === progress.step) beat({ ...progress, preview: encoded });
  }

  return (progress, preview) => {
    log.debug(progress, 'step done');
    latest.set(progress.index, progress.step);
    beat(progress);
    if (preview) beatWithPreview(progress, preview).catch((error) => log.warn({ err: error }, 'no preview'));
    const now = performance.now();
    if (signalled && isSignalled(progress, now - signalledAt)) {
      signalledAt = now;
      // A workflow that is over does not care, and one that can't be reached learns from the result.
      workflow
        .signal(STEP_SIGNAL, progress)
        .catch((error) => log.debug({ err: error }, 'step not signalled'));
    }
  };
}

/**
 * The steps that divide an image's drawing into `STEP_SIGNALS` + 1 parts of about the same length.
 * @param sinceMs milliseconds since the workflow last heard of one, or since the drawing began
 */
export function isSignalled({ step, of }: Pick<StepProgress, 'step' | 'of'>, sinceMs: number): boolean {
  if (sinceMs < STEP_SIGNALS_APART_MS) return false;
  const parts = STEP_SIGNALS + 1;
  return Array.from({ length: STEP_SIGNALS }, (_, part) => Math.round((of * (part + 1)) / parts)).some(
    (mark) => mark === step && step > 0 && step < of,
  );
}

/** Larger ones are shrunk: a heartbeat carries a preview, and a picture of 4096² has one of 512². */
const PREVIEW_SIDE = 128;

export async function encodePreview({ width, height, pixels }: Preview): Promise<string> {
  const webp = await sharp(pixels, { raw: { width, height, channels: 3 } })
    .resize({ width: PREVIEW_SIDE, height: PREVIEW_SIDE, fit: 'inside', withoutEnlargement: true })
    .webp({ quality: 60 })
    .toBuffer();
  return `data:image/webp;base64,${webp.toString('base64')}`;
}
