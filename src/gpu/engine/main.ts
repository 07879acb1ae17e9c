/*
 * The engine process. It is started by a host with one argument (see `arguments.ts`), holds one model on one device
 * and renders what its parent asks for. It ends when its standard input does: its parent is gone. One that is made to
 * be captured (see `../snapshot`) ends with the connection that woke it instead.
 */
import { openRuntime } from '../runtime/open-runtime.js';
import { EngineArguments } from './arguments.js';
import type { Hello } from './protocol.js';

const options = EngineArguments.parse(JSON.parse(process.argv[2] ?? 'null'));
// A GPU comes up on threads of its own, while the rest of this program is still being read.
const opening = openRuntime(options);
opening.catch(() => {});

const { randomUUID } = await import('node:crypto');
const { pino } = await import('pino');
const { packageVersion } = await import('../../package-root.js');
const { onnxruntimeVersion } = await import('../runtime/onnxruntime-library.js');
const { EngineServer } = await import('./server.js');
const { PROTOCOL_VERSION } = await import('./protocol.js');
const { findReseed } = await import('./randomness.js');
const { loadPipeline } = await import('./pipeline.js');

const log = pino(
  { level: options.logLevel, base: { engine: process.pid, model: options.model } },
  pino.destination(2),
);

if (!options.capture) {
  process.stdin.on('end', () => process.exit(0));
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
    loadMs: performance.now(),
  };
  server.open(pipeline, hello, {
    /** What must not be frozen: everything else here is the same in every engine of this model. */
    async wake({ startedAt, logLevel }) {
      reseed();
      await pipeline.afterRestore();
      log.level = logLevel;
      const instance = randomUUID();
      const loadMs = Math.max(0, Date.now() - startedAt);
      log.setBindings({ instance });
      log.info({ loadMs }, 'engine restored');
      return { ...hello, instance, start: 'restored', loadMs };
    },
  });
  log.info({ loadMs: Math.round(performance.now()), device: pipeline.deviceName }, 'engine ready');
  // Weights may still be on their way; without them there is no engine.
  await pipeline.loaded();
  log.info({ loadMs: Math.round(performance.now()) }, 'weights in place');
  // It saves the next engine time and nothing else: this one works without.
  pipeline
    .keepWeights()
    .catch((error: unknown) => log.warn({ err: error }, 'weights are not kept in memory'));
} catch (error) {
  log.error({ err: error }, 'engine can not load its model');
  await server.fail(error);
  process.exit(1);
}
