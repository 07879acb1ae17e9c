import {
  type Attributes,
  type Counter,
  type Histogram,
  type Meter,
  type MetricOptions,
  metrics,
  type Observable,
} from '@opentelemetry/api';
import { packageVersion } from '../package-root.js';

/** What a worker counts and measures: names, labels and units as Prometheus shows them, less a counter's `_total`. */
export interface Metric {
  readonly name: `diffusion_${string}`;
  /** `read`: asked for at each scrape, as a running total or as it is at the moment. */
  readonly kind: 'counter' | 'histogram' | 'read total' | 'read value';
  readonly unit: 's' | 'By' | '{image}' | '{attempt}' | '{engine}' | '{render}' | '{claim}' | '1';
  /** Each has few values: never a prompt, a job or a picture. */
  readonly labels: readonly Label[];
  readonly description: string;
  /** Upper bounds of a histogram's buckets. */
  readonly buckets?: readonly number[];
}

export type Label = 'model' | 'device' | 'kind' | 'reason' | 'stage' | 'activity' | 'outcome' | 'format';

/** From 5 ms, a small model's step, to ten minutes. */
const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600] as const;
const SIZES = [1, 2, 4, 8, 16, 32, 64] as const;
const ENGINE = ['model', 'device'] as const;

export const METRICS = {
  activityQueue: {
    name: 'diffusion_activity_queue_seconds',
    kind: 'histogram',
    unit: 's',
    labels: ['activity'],
    buckets: SECONDS,
    description:
      "Queue wait: from the time that an attempt may run until this worker begins it, by two clocks, the server's and the worker's",
  },
  activityDuration: {
    name: 'diffusion_activity_seconds',
    kind: 'histogram',
    unit: 's',
    labels: ['activity', 'outcome'],
    buckets: SECONDS,
    description: 'Attempts at activities: completed, failed, or cancelled',
  },
  activityRetries: {
    name: 'diffusion_activity_retries',
    kind: 'counter',
    unit: '{attempt}',
    labels: ['activity'],
    description: "Attempts after an activity's first one",
  },
  activityFailures: {
    name: 'diffusion_activity_failures',
    kind: 'counter',
    unit: '{attempt}',
    labels: ['activity', 'reason'],
    description: "Failed attempts, by the type of their error; `other`: none of this package's",
  },
  engineReady: {
    name: 'diffusion_engine_ready',
    kind: 'read value',
    unit: '1',
    labels: ENGINE,
    description: '1 while the engine is loaded, idle or at work; else 0',
  },
  engineStarts: {
    name: 'diffusion_engine_starts',
    kind: 'read total',
    unit: '{engine}',
    labels: [...ENGINE, 'kind'],
    description: 'Engines that came up: `fresh`, `restored` from a snapshot, or `resumed` after a standby',
  },
  engineStartSeconds: {
    name: 'diffusion_engine_start_seconds',
    kind: 'histogram',
    unit: 's',
    labels: [...ENGINE, 'kind'],
    buckets: SECONDS,
    description:
      "From the start of an engine's process, or of its restoring or resuming, until it could draw",
  },
  restoreFallbacks: {
    name: 'diffusion_restore_fallbacks',
    kind: 'read total',
    unit: '{engine}',
    labels: [...ENGINE, 'reason'],
    description: 'Fresh starts that should have been restores',
  },
  engineLosses: {
    name: 'diffusion_engine_losses',
    kind: 'counter',
    unit: '{engine}',
    labels: [...ENGINE, 'reason'],
    description: 'Engines that were lost while they started, idled or drew, by the type of the error',
  },
  engineBusy: {
    name: 'diffusion_engine_busy_seconds',
    kind: 'read total',
    unit: 's',
    labels: ENGINE,
    description:
      'Time at work, a render under way included: its rate is the share of time that the device is busy',
  },
  engineMemory: {
    name: 'diffusion_engine_memory_bytes',
    kind: 'read value',
    unit: 'By',
    labels: ENGINE,
    description: "Resident memory of the engine's process, as last told by it",
  },
  deviceMemory: {
    name: 'diffusion_device_memory_bytes',
    kind: 'read value',
    unit: 'By',
    labels: ENGINE,
    description: 'Memory of the device (VRAM), as last told by its engine; absent on the CPU',
  },
  deviceMemoryFree: {
    name: 'diffusion_device_memory_free_bytes',
    kind: 'read value',
    unit: 'By',
    labels: ENGINE,
    description: 'Of it, free: what the engine keeps for its next runs is not; absent on the CPU',
  },
  renders: {
    name: 'diffusion_render_seconds',
    kind: 'histogram',
    unit: 's',
    labels: [...ENGINE, 'outcome'],
    buckets: SECONDS,
    description: 'Batches that the engine was given: completed, failed, or cancelled',
  },
  renderFailures: {
    name: 'diffusion_render_failures',
    kind: 'counter',
    unit: '{render}',
    labels: [...ENGINE, 'reason'],
    description:
      'Renders that failed, by the type of the error; `OutOfMemory` counts batches that did not fit, too',
  },
  batchImages: {
    name: 'diffusion_batch_images',
    kind: 'histogram',
    unit: '{image}',
    labels: ENGINE,
    buckets: SIZES,
    description: 'Images of a batch that was drawn',
  },
  images: {
    name: 'diffusion_images',
    kind: 'counter',
    unit: '{image}',
    labels: ENGINE,
    description: 'Images drawn',
  },
  stages: {
    name: 'diffusion_stage_seconds',
    kind: 'histogram',
    unit: 's',
    labels: [...ENGINE, 'stage'],
    buckets: SECONDS,
    description: 'Stages of a batch in the engine: text, denoise, decode',
  },
  steps: {
    name: 'diffusion_step_seconds',
    kind: 'histogram',
    unit: 's',
    labels: ENGINE,
    buckets: SECONDS,
    description: 'One denoising step of a batch, as the host hears of it',
  },
  stagingBytes: {
    name: 'diffusion_staging_bytes',
    kind: 'read value',
    unit: 'By',
    labels: [],
    description: "Raw pixels on this host's disk that wait to be published",
  },
  stagingClaims: {
    name: 'diffusion_staging_images',
    kind: 'read value',
    unit: '{claim}',
    labels: [],
    description: 'Images that these are',
  },
  published: {
    name: 'diffusion_published_images',
    kind: 'counter',
    unit: '{image}',
    labels: ['format'],
    description: 'Pictures encoded, stored and read back',
  },
  publishedBytes: {
    name: 'diffusion_published_bytes',
    kind: 'counter',
    unit: 'By',
    labels: ['format'],
    description: "Bytes of these pictures' files",
  },
  publishStages: {
    name: 'diffusion_publish_seconds',
    kind: 'histogram',
    unit: 's',
    labels: ['format', 'stage'],
    buckets: SECONDS,
    description: 'Stages of publishing a picture: encode, store',
  },
} as const satisfies Record<string, Metric>;

export type MetricKey = keyof typeof METRICS;
type KeyOf<Kind extends Metric['kind']> = {
  [Key in MetricKey]: (typeof METRICS)[Key]['kind'] extends Kind ? Key : never;
}[MetricKey];
/** Exactly the labels of a metric. */
type LabelsOf<Key extends MetricKey> = Readonly<Record<(typeof METRICS)[Key]['labels'][number], string>>;

/** Says what a metric is at the moment. */
export type Reading = <Key extends KeyOf<'read total' | 'read value'>>(
  metric: Key,
  value: number,
  labels: LabelsOf<Key>,
) => void;

/** A worker's metrics, on whatever meter provider the process has; without one they cost next to nothing. */
export interface WorkerMetrics {
  count<Key extends KeyOf<'counter'>>(metric: Key, value: number, labels: LabelsOf<Key>): void;
  record<Key extends KeyOf<'histogram'>>(metric: Key, value: number, labels: LabelsOf<Key>): void;
  /**
   * Asks at each scrape for what is read.
   * @returns ends that
   */
  read(reading: (tell: Reading) => void | Promise<void>): () => void;
}

/** @param meter default: the process's own, as the OpenTelemetry API has it */
export function createWorkerMetrics(
  meter: Meter = metrics.getMeter('temporal-diffusion', packageVersion()),
): WorkerMetrics {
  const counters = new Map<MetricKey, Counter>();
  const histograms = new Map<MetricKey, Histogram>();
  const readings = new Map<MetricKey, Observable>();
  for (const [key, metric] of Object.entries(METRICS) as [MetricKey, Metric][]) {
    const { name, unit, description, buckets } = metric;
    const options: MetricOptions = {
      unit,
      description,
      ...(buckets && { advice: { explicitBucketBoundaries: [...buckets] } }),
    };
    if (metric.kind === 'counter') counters.set(key, meter.createCounter(name, options));
    else if (metric.kind === 'histogram') histograms.set(key, meter.createHistogram(name, options));
    else if (metric.kind === 'read total') readings.set(key, meter.createObservableCounter(name, options));
    else readings.set(key, meter.createObservableGauge(name, options));
  }

  return {
    count: (metric, value, labels: Attributes) => counters.get(metric)?.add(value, labels),
    record: (metric, value, labels: Attributes) => histograms.get(metric)?.record(value, labels),
    read(reading) {
      const all = [...readings.values()];
      const callback: Parameters<Meter['addBatchObservableCallback']>[0] = (result) =>
        reading((metric, value, labels: Attributes) => {
          const observable = readings.get(metric);
          if (observable) result.observe(observable, value, labels);
        });
      meter.addBatchObservableCallback(callback, all);
      return () => meter.removeBatchObservableCallback(callback, all);
    },
  };
}
