import { type Attributes, context, SpanStatusCode, trace } from '@opentelemetry/api';
import { packageVersion } from '../package-root.js';
import type { TimelinePart } from './render-timeline.js';

/** A stretch of time that is over, in `performance.now()`'s milliseconds. */
export interface Past {
  readonly name: string;
  readonly from: number;
  readonly to: number;
}

export interface RenderSpan {
  /** Tells the parts of the drawing, as children. */
  drawn(timeline: readonly TimelinePart[]): void;
  failed(error: unknown): void;
  end(): void;
}

/** `performance.now()` of a process that lives for weeks drifts away from the clock that other spans go by. */
function clock(): (milliseconds: number) => number {
  const offset = Date.now() - performance.now();
  return (milliseconds) => offset + milliseconds;
}

function tracer() {
  return trace.getTracer('temporal-diffusion', packageVersion());
}

/** Whether what happens here is part of a trace that somebody records. */
function isTraced(): boolean {
  return trace.getSpan(context.active())?.isRecording() ?? false;
}

/** Tells what has happened in the span that this code runs in, as its children. */
export function tellPast(parts: readonly Past[], attributes: Attributes = {}): void {
  if (!isTraced()) return;
  const at = clock();
  for (const { name, from, to } of parts) {
    tracer()
      .startSpan(name, { attributes, startTime: at(from) })
      .end(at(to));
  }
}

/** Begins the span of a batch's drawing, in that of its activity; undefined where nobody records that. */
export function beginRenderSpan(attributes: Attributes): RenderSpan | undefined {
  if (!isTraced()) return undefined;
  const span = tracer().startSpan('render', { attributes });
  const inside = trace.setSpan(context.active(), span);
  return {
    drawn(timeline) {
      const at = clock();
      let denoising = inside;
      for (const { name, from, to } of timeline) {
        const parent = name.startsWith('step ') ? denoising : inside;
        const part = tracer().startSpan(name, { startTime: at(from) }, parent);
        if (name === 'denoise') denoising = trace.setSpan(inside, part);
        part.end(at(to));
      }
    },
    failed(error) {
      const message = error instanceof Error ? error.message : String(error);
      span.recordException(error instanceof Error ? error : message);
      span.setStatus({ code: SpanStatusCode.ERROR, message });
    },
    end: () => span.end(),
  };
}
