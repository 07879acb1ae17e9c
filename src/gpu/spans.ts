import { channel } from 'node:diagnostics_channel';

/** Something that an engine spent time on. */
export interface Span {
  /** Such as `session transformer`, `read`, `step 2`. */
  readonly name: string;
  /** Milliseconds of `performance.now()`. */
  readonly from: number;
  readonly to: number;
  /** What it moved. */
  readonly bytes?: number;
}

/** The name of the channel of Node's `diagnostics_channel` that an engine's spans are told on, to whoever measures. */
export const SPANS = 'temporal-diffusion:span';
const spans = channel(SPANS);

export function tellSpan(span: () => Span): void {
  if (spans.hasSubscribers) spans.publish(span());
}

/** Does the work and tells how long it took, also where it failed. */
export async function inSpan<T>(name: string, work: () => Promise<T>): Promise<T> {
  const from = performance.now();
  try {
    return await work();
  } finally {
    tellSpan(() => ({ name, from, to: performance.now() }));
  }
}
