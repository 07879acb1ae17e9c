import type { WorkerInterceptors } from '@temporalio/worker';
import type { PublishedPicture } from '../activities/publish.js';
import type { Staging } from '../activities/staging.js';
import type { EngineHost, EngineObserver } from '../gpu/host.js';
import { activityMetrics } from './activity-metrics.js';
import { createWorkerMetrics } from './metrics.js';
import { observeHost } from './observed-host.js';
import { reasonOf } from './reason.js';

/** What a worker tells of itself, by way of the OpenTelemetry API: whoever wants to hear it registers a provider. */
export interface WorkerTelemetry {
  readonly interceptors: WorkerInterceptors;
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

export function createWorkerTelemetry({ device }: { readonly device: string }): WorkerTelemetry {
  const metrics = createWorkerMetrics();
  const ends: (() => void)[] = [];
  return {
    interceptors: { activity: [activityMetrics(metrics)] },
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
    published({ format, bytes, encodeMs, storeMs }) {
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
