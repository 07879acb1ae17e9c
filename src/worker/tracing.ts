import type { Resource } from '@opentelemetry/resources';
import type { ReadableSpan, SpanProcessor } from '@opentelemetry/sdk-trace-node';
import {
  makeWorkflowExporter,
  OpenTelemetryActivityInboundInterceptor,
  OpenTelemetryActivityOutboundInterceptor,
} from '@temporalio/interceptors-opentelemetry/lib/worker/index.js';
import type { InjectedSinks, WorkerInterceptors } from '@temporalio/worker';
import { tracedCalls } from '../client/traced-calls.js';

/**
 * What a worker's spans go through. Activities and engines make theirs by way of the OpenTelemetry API: a tracer
 * provider, a context manager and a propagator must be registered. Those of workflows come from a sandbox that has none
 * of these, and are handed on as they are.
 */
export interface WorkerTracing {
  /** The provider's, of OpenTelemetry's SDK 1 or 2. */
  readonly spanProcessor: Pick<SpanProcessor, 'onEnd'>;
  /** The provider's: what the spans of workflows are said to be of. */
  readonly resource: Resource;
}

/** As Temporal's interceptors have it. */
const TRACE_HEADER = '_tracer-data';

/** Temporal's own interceptors, for workers that trace. A job that nobody traces would have a trace an activity. */
export function tracingInterceptors(): WorkerInterceptors {
  return {
    client: { workflow: [tracedCalls()] },
    activity: [
      (context) => ({
        inbound: {
          execute: (input, next) =>
            TRACE_HEADER in input.headers
              ? new OpenTelemetryActivityInboundInterceptor(context).execute(input, next)
              : next(input),
        },
        outbound: new OpenTelemetryActivityOutboundInterceptor(context),
      }),
    ],
  };
}

type Exporter = Parameters<typeof makeWorkflowExporter>[0];
type ExportedResource = Parameters<typeof makeWorkflowExporter>[1];

/** Where the spans of workflows leave their sandbox. */
export function workflowSpans({ spanProcessor, resource }: WorkerTracing): InjectedSinks<{
  exporter: { export(): void };
}> {
  // Temporal's package speaks of SDK 1, whose spans it hands over; one of SDK 2 finds what it looks for beside that.
  const processor = { onEnd: (span: object) => spanProcessor.onEnd(ofBothKinds(span as SandboxSpan)) };
  return {
    exporter: makeWorkflowExporter(processor as unknown as Exporter, resource as unknown as ExportedResource),
  } as unknown as InjectedSinks<{ exporter: { export(): void } }>;
}

interface SandboxSpan extends Omit<ReadableSpan, 'parentSpanContext' | 'instrumentationScope'> {
  readonly parentSpanId?: string;
  readonly instrumentationLibrary: ReadableSpan['instrumentationScope'];
}

function ofBothKinds(span: SandboxSpan): ReadableSpan {
  const { parentSpanId: spanId, instrumentationLibrary: instrumentationScope } = span;
  const { workflowId, runId, workflowType, taskQueue, attempt } = span.attributes;
  const own = span.spanContext();
  return {
    ...span,
    instrumentationScope,
    ...(spanId !== undefined && {
      parentSpanContext: { traceId: own.traceId, spanId, traceFlags: own.traceFlags },
    }),
    // It is handed all that a workflow knows of itself, its memo among it.
    attributes: Object.fromEntries(
      Object.entries({ workflowId, runId, workflowType, taskQueue, attempt }).filter(
        ([, value]) => value !== undefined,
      ),
    ),
  };
}
