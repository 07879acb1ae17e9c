/*
 * The engine process. It is started by a host with one argument (see `arguments.ts`), holds one model on one device
 * and renders what its parent asks for. It ends when its standard input does: its parent is gone.
 */
import { pino } from 'pino';
import { packageVersion } from '../../package-root.js';
import { onnxruntimeVersion } from '../runtime/session.js';
import { EngineArguments } from './arguments.js';
import { loadPipeline } from './pipeline.js';
import { PROTOCOL_VERSION } from './protocol.js';
import { EngineServer } from './server.js';

const options = EngineArguments.parse(JSON.parse(process.argv[2] ?? 'null'));
const log = pino(
  { level: options.logLevel, base: { engine: process.pid, model: options.model } },
  pino.destination(2),
);

process.stdin.on('end', () => process.exit(0));
process.stdin.resume();
// The host decides when an engine ends: a Ctrl-C that reaches the whole terminal is not for it.
process.on('SIGINT', () => {});

const server = new EngineServer(log);
await server.listen(options.socket);
try {
  const pipeline = await loadPipeline(options);
  server.open(pipeline, {
    type: 'hello',
    protocol: PROTOCOL_VERSION,
    pid: process.pid,
    versions: { package: packageVersion(), node: process.versions.node, onnxruntime: onnxruntimeVersion() },
    model: pipeline.card,
    graphDigest: pipeline.graphDigest,
    device: options.device,
    loadMs: performance.now(),
  });
  log.info({ loadMs: Math.round(performance.now()) }, 'engine ready');
} catch (error) {
  log.error({ err: error }, 'engine can not load its model');
  await server.fail(error);
  process.exit(1);
}
