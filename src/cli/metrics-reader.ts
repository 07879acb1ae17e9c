import { metrics } from '@opentelemetry/api';
import { PrometheusSerializer } from '@opentelemetry/exporter-prometheus';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics';
import { packageVersion } from '../package-root.js';

/** This process's metrics, read when somebody asks. */
export interface MetricsReader {
  /** In Prometheus's text format. */
  read(): Promise<string>;
  close(): Promise<void>;
}

class PullReader extends MetricReader {
  protected override async onForceFlush(): Promise<void> {}
  protected override async onShutdown(): Promise<void> {}
}

/** Makes this process's meters real: before any is made. */
export function startMetricsReader(): MetricsReader {
  const reader = new PullReader();
  const resource = resourceFromAttributes({
    'service.name': 'temporal-diffusion',
    'service.version': packageVersion(),
  });
  const provider = new MeterProvider({ resource, readers: [reader] });
  metrics.setGlobalMeterProvider(provider);
  // Which meter made a metric is no concern of whoever queries it.
  const serializer = new PrometheusSerializer(undefined, false, undefined, false, true);
  return {
    async read() {
      const { resourceMetrics } = await reader.collect();
      return serializer.serialize(resourceMetrics);
    },
    async close() {
      await provider.shutdown();
      metrics.disable();
    },
  };
}
