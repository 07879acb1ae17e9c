import type { InjectedSinks, WorkerInterceptors } from '@temporalio/worker';
import type { PublishedPicture } from '../activities/publish.js';
import type { Staging } from '../activities/staging.js';
import type { EngineHost, EngineObserver } from '../gpu/host.js';
import { NO_SPANS } from '../workflows/no-spans.js';
import { activityMetrics } from './activity-metrics.js';
import { createWorkerMetrics } from './metrics.js';
import { observeHost } from './observed-host.js';
import { reasonOf } from './reason.js';
import { tellPast } from './render-spans.js';
import type { WorkerTracing } from './tracing.js';

/** What a worker tells of itself, by way of the OpenTelemetry API: whoever wants to hear it registers a provider. */
export interface WorkerTelemetry {
  readonly interceptors: WorkerInterceptors;
  readonly sinks: InjectedSinks<{ exporter: { export(): void } }>;
  ofModel(model: string): EngineTelemetry;
  observeStaging(staging: Staging): Staging;
  published(picture: PublishedPicture): void;
  /** Ends what is asked at each scrape. */
  close(): void;
}

/** What is told of the engines of one model. */
export interface EngineTelemetry {
  /** For the maker of the host: what only it knows. */
  readonly observer: EngineObserver;
  observeHost(host: EngineHost): EngineHost;
}

export interface WorkerTelemetryOptions {
  readonly device: string;
  readonly tracing: WorkerTracing | undefined;
}

export async function createWorkerTelemetry({
  device,
  tracing,
}: WorkerTelemetryOptions): Promise<WorkerTelemetry> {
  const traced = tracing && (await import('./tracing.js'));
  const outer = traced?.tracingInterceptors() ?? {};
  const metrics = createWorkerMetrics();
  const ends: (() => void)[] = [];
  return {
    interceptors: { ...outer, activity: [...(outer.activity ?? []), activityMetrics(metrics)] },
    sinks: tracing && traced ? traced.workflowSpans(tracing) : NO_SPANS,
    ofModel(model) {
      const labels = { model, device };
      return {
        observer: {
          started: ({ start, loadMs }) =>
            metrics.record('engineStartSeconds', loadMs / 1000, { ...labels, kind: start }),
          lost: (reason) => metrics.count('engineLosses', 1, { ...labels, reason: reasonOf(reason) }),
        },
        observeHost(host) {
          const observed = observeHost({ host, metrics, ...labels });
          ends.push(observed.unobserve);
          return observed;
        },
      };
    },
    observeStaging(staging) {
      ends.push(
        metrics.read((tell) => {
          const { claims, bytes } = staging.usage();
          tell('stagingClaims', claims, {});
          tell('stagingBytes', bytes, {});
        }),
      );
      return staging;
    },
    published({ index, format, bytes, encodeMs, storeMs }) {
      const to = performance.now();
      const encoded = to - storeMs;
      tellPast(
        [
          { name: 'encode', from: encoded - encodeMs, to: encoded },
          { name: 'store', from: encoded, to },
        ],
        { index, format, bytes },
      );
      metrics.count('published', 1, { format });
      metrics.count('publishedBytes', bytes, { format });
      metrics.record('publishStages', encodeMs / 1000, { format, stage: 'encode' });
      metrics.record('publishStages', storeMs / 1000, { format, stage: 'store' });
    },
    close() {
      for (const end of ends) end();
    },
  };
}
