import type { ClientOptions } from '@temporalio/client';
import type { WorkerTracing } from '../worker/tracing.js';
import type { Deployment } from './deployment.js';

/** This process's traces, on their way to an OpenTelemetry collector. */
export interface Tracing extends WorkerTracing {
  /** Have the jobs that this process starts traced. */
  readonly interceptors: NonNullable<ClientOptions['interceptors']>;
  /** For a log: which trace a line belongs to. */
  logFields(): object;
  /** Sends what has not been sent yet, as far as that takes little time. */
  close(): Promise<void>;
}

/**
 * Traces this process where OpenTelemetry's environment names a collector (`OTEL_EXPORTER_OTLP_ENDPOINT`): before any
 * log is written or client made. Else nothing of it is loaded.
 */
export async function startTracing(): Promise<Tracing | undefined> {
  const { OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT } = process.env;
  if (!OTEL_EXPORTER_OTLP_ENDPOINT && !OTEL_EXPORTER_OTLP_TRACES_ENDPOINT) return undefined;
  const { startTracerProvider } = await import('./tracer-provider.js');
  return startTracerProvider();
}

/** Traces the jobs that are sent there, and sends these traces before it is closed. */
export function traced(deployment: Deployment, tracing: Tracing | undefined): Deployment {
  if (!tracing) return deployment;
  return {
    ...deployment,
    interceptors: tracing.interceptors,
    async close() {
      await deployment.close();
      await tracing.close();
    },
  };
}
