import { randomUUID } from 'node:crypto';
import { packageVersion } from '../../package-root.js';
import type { KeeperSource } from '../keeper/client.js';
import { onnxruntimeVersion } from '../runtime/onnxruntime-library.js';
import type { Runtime } from '../runtime/session.js';
import type { EngineArguments } from './arguments.js';
import { engineLog } from './engine-log.js';
import { loadPipeline } from './pipeline.js';
import { type Hello, PROTOCOL_VERSION } from './protocol.js';
import { findReseed } from './randomness.js';
import { EngineServer } from './server.js';

/**
 * Makes this process an engine. It ends with its parent, or with exit code 1, after saying why, where it can't load its
 * model or its device is lost.
 * @param opening the runtime, which may still be on its way
 * @param exit ends this process, whatever its threads do
 * @param source of the runtime's weights, which an engine that is woken may find elsewhere
 */
export async function runEngine(
  options: EngineArguments,
  opening: Promise<Runtime>,
  exit: (code: number) => never,
  source?: KeeperSource,
): Promise<void> {
  const log = engineLog(options);

  if (!options.capture) {
    process.stdin.on('end', () => exit(0));
    process.stdin.resume();
  }
  // The host decides when an engine ends: a Ctrl-C that reaches the whole terminal is not for it.
  process.on('SIGINT', () => {});

  const server = new EngineServer(log);
  await server.listen(options.socket);
  try {
    const reseed = options.capture ? await findReseed() : () => {};
    const pipeline = await loadPipeline(options, opening);
    const hello: Hello = {
      type: 'hello',
      protocol: PROTOCOL_VERSION,
      pid: process.pid,
      instance: randomUUID(),
      start: 'fresh',
      versions: { package: packageVersion(), node: process.versions.node, onnxruntime: onnxruntimeVersion() },
      model: pipeline.card,
      graphDigest: pipeline.graphDigest,
      device: options.device,
      deviceName: pipeline.deviceName,
      loadMs: performance.now(),
      ...(pipeline.batchMemory && { batchMemory: pipeline.batchMemory }),
    };
    let isKept = false;
    /** Saves the next engine time, and nothing else: this one works without. */
    const keepWeights = async (): Promise<void> => {
      // Those that are released before they have come are kept another time.
      const isLoaded = await pipeline.loaded().then(
        () => true,
        () => false,
      );
      if (!isLoaded || isKept) return;
      isKept = true;
      log.info({ loadMs: Math.round(performance.now()) }, 'weights in place');
      await pipeline.keepWeights().then(
        (files) => files.length > 0 && log.warn({ files }, 'not all weights are kept in memory'),
        (error: unknown) => log.warn({ err: error }, 'weights are not kept in memory'),
      );
    };
    /** Saves time too, where nobody has resumed before. */
    const prepareResume = async (): Promise<void> => {
      const began = performance.now();
      await pipeline.prepareResume().then(
        (reasons) => {
          const ms = Math.round(performance.now() - began);
          if (reasons.length > 0)
            log.warn({ reasons, ms }, 'weights will come again more slowly than they could');
          else log.debug({ ms }, 'ready to resume');
        },
        (error: unknown) => log.debug({ err: error }, 'resumed, or ended, before all was made ready'),
      );
    };
    server.open(pipeline, hello, {
      resumed: () => void keepWeights(),
      released: () => void prepareResume(),
      /** What must not be frozen: everything else here is the same in every engine of this model. */
      async wake({ startedAt, logLevel, keeper }) {
        reseed();
        source?.moved(keeper);
        await pipeline.resume();
        log.level = logLevel;
        const instance = randomUUID();
        const loadMs = Math.max(0, Date.now() - startedAt);
        log.setBindings({ instance });
        log.info({ loadMs }, 'engine restored');
        // What was kept before the capture may be gone, or be another host's.
        isKept = false;
        void keepWeights();
        const { batchMemory } = pipeline;
        // Others may have more of the device by now, or less.
        return { ...hello, instance, start: 'restored', loadMs, ...(batchMemory && { batchMemory }) };
      },
    });
    log.info({ loadMs: Math.round(performance.now()), device: pipeline.deviceName }, 'engine ready');
    void keepWeights();
    // Weights may still be on their way; without them there is no engine, nor without its device.
    await Promise.race([pipeline.lost(), server.broken()]);
  } catch (error) {
    log.error({ err: error }, 'engine can not go on');
    await server.fail(error);
    exit(1);
  }
}
