import type { RenderStages } from '../contract/job.js';

/** A stretch of a batch's drawing. Times are `performance.now()`'s milliseconds. */
export interface TimelinePart {
  readonly name: 'text' | 'denoise' | 'decode' | `step ${number}`;
  readonly from: number;
  readonly to: number;
}

/**
 * When the parts of a batch's drawing were: as long as the engine says, from the time at which its host heard of the
 * beginning, or before that where they would not be over yet. Steps end when the host heard of their ends.
 * @param heard when the host heard of each step, the beginning (step 0) first
 * @param ended when it heard of the end
 */
export function timelineOf(heard: readonly number[], ended: number, stages: RenderStages): TimelinePart[] {
  const [beginning, ...ends] = heard;
  if (beginning === undefined) return [];
  const begun = Math.min(beginning, ended - stages.textMs - stages.denoiseMs - stages.decodeMs);
  const encoded = begun + stages.textMs;
  const denoised = encoded + stages.denoiseMs;
  const parts: TimelinePart[] = [
    { name: 'text', from: begun, to: encoded },
    { name: 'denoise', from: encoded, to: denoised },
  ];
  let from = encoded;
  for (const [place, end] of ends.entries()) {
    // The last one is over when the engine says so, whenever that was heard of.
    const to = place === ends.length - 1 ? denoised : Math.min(Math.max(from, end), denoised);
    parts.push({ name: `step ${place + 1}`, from, to });
    from = to;
  }
  parts.push({ name: 'decode', from: denoised, to: denoised + stages.decodeMs });
  return parts;
}
