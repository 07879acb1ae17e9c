/*
 * The engine process. It is started by a host with one argument (see `arguments.ts`), holds one model on one device
 * and renders what its parent asks for. It ends when its standard input does: its parent is gone. One that is made to
 * be captured (see `../snapshot`) ends with the connection that woke it instead.
 */
import { openRuntime, startDevice } from '../runtime/open-runtime.js';
import type { Device } from '../runtime/session.js';
import { tellSpan } from '../spans.js';

const from = performance.now();
const told: unknown = JSON.parse(process.argv[2] ?? 'null');
// Before what it is told can be checked: that takes longer to read than the rest of a GPU's start.
const start = await startDevice(told);

const { EngineArguments } = await import('./arguments.js');
const options = EngineArguments.parse(told);
const keeper =
  options.device === 'cpu' ? undefined : (await import('./engine-keeper.js')).engineKeeper(options);
const opening = openRuntime({ ...options, ...keeper, start });
opening.catch(() => {});

const { runEngine } = await import('./run-engine.js');
tellSpan(() => ({ name: 'modules', from, to: performance.now() }));
await runEngine(options, opening, await exitOf(options.device), keeper?.source);

/** How an engine on that device ends; the CPU's knows nothing of native libraries. */
async function exitOf(device: Device): Promise<(code: number) => never> {
  if (device === 'cpu') return process.exit;
  return (await import('../runtime/cuda/exit-now.js')).exitNow;
}
