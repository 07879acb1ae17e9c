import '../async-dispose.js';
import type { Logger } from 'pino';
import { DeviceBusy, DeviceLost, InvalidRequest, RenderError } from '../contract/errors.js';
import { DeviceLock, deviceLockFile } from '../gpu/host/device-lock.js';
import { Residents } from '../gpu/host/residents.js';
import { createEngineHost, type EngineHost } from '../gpu/host.js';
import type { Device } from '../gpu/runtime/session.js';
import type { WeightOptions } from '../gpu/runtime/weight-options.js';
import type { StartMode } from '../gpu/snapshot/start-mode.js';
import type { EngineTelemetry } from './worker-telemetry.js';

/** A model that a worker draws with. */
export interface WorkerModel {
  /** As requests have its name. */
  readonly model: string;
  /** Its checkpoint folder. */
  readonly checkpoint: string;
  /** Default: an engine process of this package. A host that is handed in is closed with the worker. */
  readonly host?: EngineHost;
}

export interface ModelEnginesOptions {
  /** Where built graphs and digests are kept between lives. */
  readonly cacheFolder: string;
  /** What the engines compute on. Default: `cpu`. */
  readonly device?: Device;
  /** Threads of the CPU runtime. Default: all that the machine offers. */
  readonly threads?: number;
  /** How weights get to a GPU. Default: see `WeightOptions`. */
  readonly weights?: WeightOptions;
  /** Whether a keeper holds the weights on the GPU, and for how long unused. Default: see `EngineHostOptions`. */
  readonly keeper?: boolean;
  readonly keepSeconds?: number;
  /** Whether engines are restored from a snapshot. Default: fresh. */
  readonly start?: StartMode;
  /** Where snapshots are. Default: `snapshots` in the cache folder. */
  readonly snapshotFolder?: string;
  /** Who hears of each model's engine. Default: nobody. */
  readonly observe?: (model: string) => EngineTelemetry;
  readonly log: Logger;
}

export interface ModelEngine {
  readonly model: string;
  readonly host: EngineHost;
  /** Resolves when its first engine can draw. @throws CheckpointInvalid, EngineCrashed, … where none ever will */
  readonly ready: Promise<void>;
}

/** One engine a model, on one device. */
export interface ModelEngines {
  readonly engines: readonly ModelEngine[];
  /** Why some of them can't draw; empty where all can. */
  lacks(): string[];
  /** What each is at, such as `emoji: standby`. */
  states(): string[];
  close(): Promise<void>;
}

/**
 * Starts an engine for each model, one after the other, in that order. They draw one at a time, and no more than so many
 * of them have memory of the device at the same time: the others are in standby.
 * @throws InvalidRequest where there is no model, or one of them twice, or none may have memory
 */
export function startModelEngines(
  models: readonly WorkerModel[],
  resident: number,
  options: ModelEnginesOptions,
): ModelEngines {
  refuseNonsense(models, resident);
  const isAlone = models.length === 1;
  const { device = 'cpu', cacheFolder } = options;
  const lockFile = isAlone ? undefined : deviceLockFile({ device, cacheFolder });
  const lock = lockFile === undefined ? undefined : new DeviceLock(lockFile);
  const shared = isAlone ? {} : { residents: new Residents(resident), ...(lock && { lock }) };
  const engines = models.map(({ model, checkpoint, host }): ModelEngine => {
    const log = isAlone ? options.log : options.log.child({ model });
    const telemetry = options.observe?.(model);
    const observer = telemetry && { observer: telemetry.observer };
    const made =
      host ?? createEngineHost({ ...options, ...shared, ...observer, device, model, checkpoint, log });
    const own = telemetry?.observeHost(made) ?? made;
    const ready = firstEngine(own);
    // Whoever waits for it hears of a failure; until then it must not end the process.
    ready.catch(() => {});
    return { model, host: own, ready };
  });
  return {
    engines,
    lacks() {
      return engines.flatMap(({ model, host }) => {
        const lack = lackOf(host);
        return lack === undefined
          ? []
          : [isAlone ? `the engine is ${lack}` : `${model}: the engine is ${lack}`];
      });
    },
    states: () => engines.map(({ model, host }) => `${model}: ${host.state.name}`),
    async close() {
      await Promise.all(engines.map(({ host }) => host.close()));
      await lock?.close();
    },
  };
}

function refuseNonsense(models: readonly WorkerModel[], resident: number): void {
  const names = models.map(({ model }) => model);
  if (names.length === 0 || new Set(names).size < names.length) {
    throw new InvalidRequest(`expected models of different names, got ${names.join(', ') || 'none'}`);
  }
  if (!Number.isInteger(resident) || resident < 1) {
    throw new InvalidRequest(`expected at least one resident model, got ${resident}`);
  }
}

/** How often in a row an engine may fail to start before it has ever drawn. A fleet should hear of a host that can't. */
const FIRST_STARTS = 5;

/**
 * Waits for the first engine. One that dies while it starts is replaced like any other; a device that is taken may be
 * the last worker's, which is about to end.
 */
async function firstEngine(host: EngineHost): Promise<void> {
  for (let starts = 1; ; starts++) {
    try {
      await host.ready();
      return;
    } catch (error) {
      const mayPass = error instanceof RenderError && error.retry && starts < FIRST_STARTS;
      // No GPU, no driver, no library: somebody has to act.
      if (error instanceof DeviceLost) throw error;
      if (host.state.name === 'closed' || !(mayPass || error instanceof DeviceBusy)) throw error;
    }
  }
}

/** An engine in standby can draw: it resumes in less time than a picture takes. */
function lackOf({ state }: EngineHost): string | undefined {
  switch (state.name) {
    case 'idle':
    case 'rendering':
    case 'standby':
    case 'resuming':
      return undefined;
    case 'waiting':
      return `waiting: ${state.reason}`;
    default:
      return state.name;
  }
}
