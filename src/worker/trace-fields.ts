import { context, isSpanContextValid, trace } from '@opentelemetry/api';

/** The span that this code runs in, as Temporal's SDK puts it into its own log lines; nothing where there is none. */
export function traceFields(): { trace_id?: string; span_id?: string; trace_flags?: string } {
  const span = trace.getSpan(context.active())?.spanContext();
  if (!span || !isSpanContextValid(span)) return {};
  return { trace_id: span.traceId, span_id: span.spanId, trace_flags: `0${span.traceFlags.toString(16)}` };
}
