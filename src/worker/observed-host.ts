import { setTimeout as sleep } from 'node:timers/promises';
import type { Stats } from '../gpu/engine/protocol.js';
import type { EngineHost, LoadedEngine, RenderedImage, RenderOptions } from '../gpu/host.js';
import type { WorkerMetrics } from './metrics.js';
import { reasonOf } from './reason.js';
import { beginRenderSpan, tellPast } from './render-spans.js';
import { type TimelinePart, timelineOf } from './render-timeline.js';
import { traceFields } from './trace-fields.js';

export interface ObservedHostOptions {
  readonly host: EngineHost;
  readonly metrics: WorkerMetrics;
  readonly model: string;
  readonly device: string;
}

export interface ObservedHost extends EngineHost {
  /** Ends what is asked of the host at each scrape. */
  unobserve(): void;
}

/** An engine in mid-run may answer late; a scrape does not wait for it, and shows what it said before. */
const STATS_WITHIN_MS = 500;

/** `host`, whose work is counted, measured and traced. Nothing else about it changes. */
export function observeHost({ host, metrics, ...labels }: ObservedHostOptions): ObservedHost {
  let busyMs = 0;
  let busySince: number | undefined;
  let asked: Promise<void> | undefined;
  let stats: Stats | undefined;
  const isUp = () => host.state.name === 'idle' || host.state.name === 'rendering';

  for (const reason of ['OutOfMemory', 'EngineCrashed', 'EngineStalled', 'DeviceLost']) {
    // A rate needs a value before the first one.
    metrics.count('renderFailures', 0, { ...labels, reason });
    metrics.count('engineLosses', 0, { ...labels, reason });
  }
  metrics.count('images', 0, labels);

  async function latestStats(): Promise<Stats | undefined> {
    // To ask a host without an engine would start one.
    if (!isUp()) {
      stats = undefined;
      return undefined;
    }
    asked ??= host
      .stats()
      .then(
        (answer) => {
          stats = answer;
        },
        () => {},
      )
      .finally(() => {
        asked = undefined;
      });
    await Promise.race([asked, sleep(STATS_WITHIN_MS, undefined, { ref: false })]);
    return stats;
  }

  const unobserve = metrics.read(async (tell) => {
    const { fresh, restored, resumed, fallbacks } = host.starts;
    tell('engineReady', isUp() ? 1 : 0, labels);
    tell('engineStarts', fresh, { ...labels, kind: 'fresh' });
    tell('engineStarts', restored, { ...labels, kind: 'restored' });
    tell('engineStarts', resumed, { ...labels, kind: 'resumed' });
    for (const [reason, times] of Object.entries(fallbacks)) {
      tell('restoreFallbacks', times, { ...labels, reason });
    }
    tell(
      'engineBusy',
      (busyMs + (busySince === undefined ? 0 : performance.now() - busySince)) / 1000,
      labels,
    );
    const { rssBytes, deviceMemory } = (await latestStats()) ?? {};
    if (rssBytes !== undefined) tell('engineMemory', rssBytes, labels);
    if (deviceMemory) {
      tell('deviceMemory', deviceMemory.totalBytes, labels);
      tell('deviceMemoryFree', deviceMemory.freeBytes, labels);
    }
  });

  async function render(options: RenderOptions): Promise<RenderedImage[]> {
    const [item] = options.items;
    const first = item?.index;
    const span = beginRenderSpan({
      ...labels,
      images: options.items.length,
      ...(item && { width: item.width, height: item.height, steps: item.steps }),
    });
    const heard: number[] = [];
    const onStep: RenderOptions['onStep'] = (progress, preview) => {
      if (progress.index === first) {
        const now = performance.now();
        heard.push(now);
        // Before that it waited for an engine, or for another batch.
        busySince ??= now;
      }
      options.onStep?.(progress, preview);
    };
    const ended = (outcome: 'completed' | 'failed' | 'cancelled') => {
      const [begun] = heard;
      if (begun === undefined) return;
      const tookMs = performance.now() - begun;
      busyMs += tookMs;
      busySince = undefined;
      metrics.record('renders', tookMs / 1000, { ...labels, outcome });
    };
    try {
      const about = { ...options.about, ...traceFields() };
      const images = await host.render({ ...options, onStep, about });
      ended('completed');
      const timeline = images[0] ? timelineOf(heard, performance.now(), images[0].stages) : [];
      span?.drawn(timeline);
      drawn(images, timeline);
      return images;
    } catch (error) {
      span?.failed(error);
      ended(options.signal?.aborted ? 'cancelled' : 'failed');
      if (!options.signal?.aborted) {
        metrics.count('renderFailures', 1, { ...labels, reason: reasonOf(error) });
      }
      throw error;
    } finally {
      span?.end();
    }
  }

  /** A job that finds no engine waits for one. */
  async function ready(): Promise<LoadedEngine> {
    const from = performance.now();
    const wasUp = isUp();
    const hello = await host.ready();
    if (!wasUp) tellPast([{ name: 'engine start', from, to: performance.now() }], { kind: hello.start });
    return hello;
  }

  function drawn(images: readonly RenderedImage[], timeline: readonly TimelinePart[]): void {
    metrics.count('images', images.length, labels);
    metrics.record('batchImages', images.length, labels);
    for (const { name, from, to } of timeline) {
      const seconds = (to - from) / 1000;
      if (name.startsWith('step ')) metrics.record('steps', seconds, labels);
      else metrics.record('stages', seconds, { ...labels, stage: name });
    }
  }

  return {
    get state() {
      return host.state;
    },
    get starts() {
      return host.starts;
    },
    ready,
    stats: () => host.stats(),
    render,
    release: () => host.release(),
    resume: () => host.resume(),
    close: () => host.close(),
    [Symbol.asyncDispose]: () => host.close(),
    unobserve,
  };
}
