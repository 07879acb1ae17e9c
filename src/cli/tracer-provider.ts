import { setTimeout as sleep } from 'node:timers/promises';
import { context, DiagLogLevel, diag, propagation, trace } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, NodeTracerProvider, type SpanProcessor } from '@opentelemetry/sdk-trace-node';
import { tracedCalls } from '../client/traced-calls.js';
import { packageVersion } from '../package-root.js';
import { traceFields } from '../worker/trace-fields.js';
import { createLog } from './log.js';
import type { Tracing } from './tracing.js';

/** A collector that is away must not keep a command from ending. */
const LAST_SPANS_WITHIN_MS = 3_000;

/** @param spanProcessor default: sends them to the collector that OpenTelemetry's environment names, over HTTP */
export function startTracerProvider(
  spanProcessor: SpanProcessor = new BatchSpanProcessor(new OTLPTraceExporter()),
): Tracing {
  const own = { 'service.name': 'temporal-diffusion', 'service.version': packageVersion() };
  // OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES.
  const given = detectResources({ detectors: [envDetector] });
  const resource = resourceFromAttributes(own).merge(given);
  const provider = new NodeTracerProvider({ resource, spanProcessors: [spanProcessor] });
  provider.register();
  const log = createLog('warn').child({ part: 'tracing' });
  const complain = (message: string) => log.warn(message);
  const ignore = () => {};
  const logger = { error: complain, warn: complain, info: ignore, debug: ignore, verbose: ignore };
  diag.setLogger(logger, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
  return {
    spanProcessor,
    resource,
    interceptors: { workflow: [tracedCalls()] },
    logFields: traceFields,
    async close() {
      const sent = provider.shutdown().catch((error: unknown) => complain(String(error)));
      const late = sleep(LAST_SPANS_WITHIN_MS, 'late' as const, { ref: false });
      if ((await Promise.race([sent, late])) === 'late') {
        complain(`the last spans could not be sent within ${LAST_SPANS_WITHIN_MS / 1000} s`);
      }
      for (const api of [trace, context, propagation, diag]) api.disable();
    },
  };
}
