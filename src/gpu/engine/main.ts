/*
 * The engine process. It is started by a host with one argument (see `arguments.ts`), holds one model on one device
 * and renders what its parent asks for. It ends when its standard input does: its parent is gone. One that is made to
 * be captured (see `../snapshot`) ends with the connection that woke it instead.
 */
import { openRuntime } from '../runtime/open-runtime.js';
import type { Device } from '../runtime/session.js';
import { EngineArguments } from './arguments.js';

const options = EngineArguments.parse(JSON.parse(process.argv[2] ?? 'null'));
// A GPU comes up on threads of its own, while the rest of this program is still being read.
const keeper =
  options.device === 'cpu' ? undefined : (await import('./engine-keeper.js')).engineKeeper(options);
const opening = openRuntime({ ...options, ...keeper });
opening.catch(() => {});

const { runEngine } = await import('./run-engine.js');
await runEngine(options, opening, await exitOf(options.device), keeper?.source);

/** How an engine on that device ends; the CPU's knows nothing of native libraries. */
async function exitOf(device: Device): Promise<(code: number) => never> {
  if (device === 'cpu') return process.exit;
  return (await import('../runtime/cuda/exit-now.js')).exitNow;
}
