import { closeSync, openSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Logger, pino } from 'pino';
import { DeviceLost } from '../../contract/errors.js';
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import type { ComputeTypes } from '../graph/graphs.js';
import type { CudaDriver } from '../runtime/cuda/driver.js';
import { exitNow } from '../runtime/cuda/exit-now.js';
import { tryLock } from '../runtime/cuda/file-lock.js';
import { HostCache } from '../runtime/cuda/host-cache.js';
import { inSpan } from '../spans.js';
import type { KeeperArguments } from './arguments.js';
import { Holdings } from './holdings.js';
import { readPrepared, weightsOf } from './plan.js';
import type { PreparedCheckpoint } from './protocol.js';
import { KeeperServer } from './server.js';

export interface KeeperDevice {
  readonly driver: CudaDriver;
  /** What engines compute in on it, by which their graphs are known. */
  readonly compute: ComputeTypes;
}

/** How long a keeper waits until the one that it replaces listens no more. */
const REPLACE_MS = 10_000;
const LOCK_PAUSE_MS = 10;
const EVICT_EVERY_MS = 10_000;
/** How often it is looked whether something is to be compared with its files. */
const CHECK_EVERY_MS = 10_000;

/**
 * Makes this process the keeper of a device, until nobody has needed it for long enough, another one takes over and its
 * last client is gone, or it is stopped. It ends with 0 where the device has a keeper already, with 1 where it can't be
 * used. All that it holds ends with it, but for what engines still map.
 * @param openDevice begun as soon as this process is the only one
 */
export async function runKeeper(
  options: KeeperArguments,
  openDevice: () => Promise<KeeperDevice>,
): Promise<void> {
  // Synchronous: what it says last must not be lost with it.
  const destination = pino.destination({ dest: 2, sync: true });
  const log = pino({ level: options.logLevel, base: { keeper: process.pid } }, destination);
  const lock = await takeLock(options);
  if (lock === undefined) {
    log.info('the device has a keeper already');
    exitNow(0);
  }
  // Terminals and their ends are not for it; who wants to stop it says SIGTERM.
  for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => {});

  // What is left of a keeper that was killed.
  rmSync(options.socket, { force: true });
  let isListening = true;
  const vacate = () => {
    if (!isListening) return;
    isListening = false;
    rmSync(options.socket, { force: true });
    closeSync(lock);
  };
  const end = (code: number): never => {
    vacate();
    return exitNow(code);
  };
  process.on('SIGTERM', () => {
    log.info('keeper stopped');
    end(0);
  });

  const keepMs = options.keepSeconds * 1000;
  const server = new KeeperServer({
    keepMs,
    log,
    onRetire: vacate,
    onEnd: (reason) => {
      log.info({ reason }, 'keeper ends');
      end(0);
    },
  });
  await server.listen(options.socket);
  // A device takes a while to open, on threads of its own.
  const { prepare: first } = options;
  const reading = first && inSpan('checkpoint', () => readPrepared(first));
  reading?.catch(() => {});
  try {
    const { driver, compute } = await inSpan('device', openDevice);
    if (!driver.facts.canShare) {
      throw new DeviceLost(`${driver.facts.name}: its driver can't share memory between processes`);
    }
    const { streamBufferBytes, hostCacheBytes } = options.weights ?? {};
    const holdings = new Holdings({
      driver,
      ...(streamBufferBytes !== undefined && { bufferBytes: streamBufferBytes }),
      ...(hostCacheBytes !== undefined && { cache: HostCache.open({ maxBytes: hostCacheBytes }) }),
      onUnpinned: (reasons) => log.warn({ reasons }, 'weights will come again more slowly than they could'),
    });
    holdings.onChange(({ component, state, failure, arena }) => {
      log.info({ component, state, bytes: arena.bytes, ...(failure ? { err: failure } : {}) }, 'weights');
      // Nothing can be had of it any more, by nobody.
      if (failure instanceof DeviceLost) end(1);
    });
    if (keepMs > 0) {
      setInterval(() => holdings.evictIdle(keepMs), Math.min(keepMs, EVICT_EVERY_MS)).unref();
    }
    const verifyMs = options.verifySeconds * 1000;
    setInterval(() => void checkNext(holdings, verifyMs, log), Math.min(verifyMs, CHECK_EVERY_MS)).unref();
    const prepare = preparing(holdings, { driver, compute }, (checkpoint, error) => {
      // Whoever draws with it will be told.
      log.warn({ checkpoint, err: error }, 'a checkpoint can not be prepared');
    });
    server.open({ holdings, device: driver.facts.uuid, memory: () => driver.memory(), prepare });
    log.info({ device: driver.facts.name, ms: Math.round(performance.now()) }, 'keeper ready');
    if (options.prepare) prepare(options.prepare, reading);
  } catch (error) {
    log.error({ err: error }, 'keeper can not go on');
    server.fail(error);
    // Those who wait hear of it first.
    setImmediate(() => end(1));
  }
}

async function checkNext(holdings: Holdings, ageMs: number, log: Logger): Promise<void> {
  const began = performance.now();
  try {
    const checked = await holdings.verifyDue(ageMs);
    if (!checked) return;
    const { holding, isGood } = checked;
    const facts = { component: holding.component, ms: Math.round(performance.now() - began) };
    if (isGood) log.debug(facts, 'weights are what their files have');
    else log.warn(facts, 'weights are not what their files have: nobody gets them any more');
  } catch (error) {
    log.warn({ err: error }, 'weights can not be compared with their files');
  }
}

async function takeLock({ lockFile, replaces }: KeeperArguments): Promise<number | undefined> {
  const descriptor = openSync(lockFile, 'a', 0o600);
  const deadline = performance.now() + (replaces ? REPLACE_MS : 0);
  while (!tryLock(descriptor)) {
    if (performance.now() >= deadline) {
      closeSync(descriptor);
      return undefined;
    }
    await sleep(LOCK_PAUSE_MS);
  }
  return descriptor;
}

/** Checkpoints are prepared one after the other, and those of which all is there are not read again. */
function preparing(
  holdings: Holdings,
  { driver, compute }: KeeperDevice,
  onError: (checkpoint: string, error: unknown) => void,
): (checkpoint: PreparedCheckpoint, reading?: Promise<Checkpoint>) => void {
  const known = new Map<string, readonly string[]>();
  let last: Promise<void> = Promise.resolve();
  const prepare = async (prepared: PreparedCheckpoint, reading?: Promise<Checkpoint>) => {
    const name = JSON.stringify(prepared);
    if (known.get(name)?.every((key) => holdings.find(key))) return;
    const checkpoint = await (reading ?? readPrepared(prepared));
    const { cacheFolder } = prepared;
    const { granularity } = driver;
    const held = holdings.hold(await weightsOf(checkpoint, { cacheFolder, compute, granularity }));
    known.set(
      name,
      held.map(({ key }) => key),
    );
  };
  return (prepared, reading) => {
    last = last
      .then(() => prepare(prepared, reading))
      .catch((error: unknown) => onError(prepared.checkpoint, error));
  };
}
