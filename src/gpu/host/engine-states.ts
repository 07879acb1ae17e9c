/**
 * What a host knows of its engine, and what may happen next.
 *
 * ```text
 *            start            greeted            render
 *  stopped ────────> starting ────────> idle <──────────> rendering
 *                                       │  ^   rendered
 *                              released │  └──────────────┐ resumed
 *                                       v      resume     │
 *                                    standby ────────> resuming
 *                                       ^                 │
 *                                       └──── refused ────┘
 *
 *  starting, idle, rendering, standby, resuming ── lost ──> waiting ── start ──> starting
 *  every state ── close ──> closed
 * ```
 */
export type EngineState =
  /** No engine, and nobody has asked for one. */
  | { readonly name: 'stopped' }
  /** A process loads its model. */
  | { readonly name: 'starting'; readonly failures: number }
  /** Loaded, with nothing to do. */
  | { readonly name: 'idle'; readonly failures: number }
  /** At work. */
  | { readonly name: 'rendering'; readonly failures: number }
  /** Loaded, but its device's memory is given back. */
  | { readonly name: 'standby'; readonly failures: number }
  /** It takes that memory again. */
  | { readonly name: 'resuming'; readonly failures: number }
  /** The last engine is gone; the next one starts after `pauseMs`. */
  | { readonly name: 'waiting'; readonly failures: number; readonly pauseMs: number; readonly reason: string }
  | { readonly name: 'closed' };

export type EngineEvent =
  | { readonly name: 'start' }
  | { readonly name: 'greeted' }
  | { readonly name: 'render' }
  | { readonly name: 'rendered' }
  | { readonly name: 'released' }
  | { readonly name: 'resume' }
  | { readonly name: 'resumed' }
  /** There was no room for it. */
  | { readonly name: 'refused' }
  /** The process died, was killed, or never came up. */
  | { readonly name: 'lost'; readonly reason: string }
  | { readonly name: 'close' };

/** The first restart is immediate: a job waits. A model that keeps failing must not keep the machine busy. */
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 30_000;

/** How long to wait before the next start, after `failures` engines in a row were lost without finishing a render. */
export function backoffMs(failures: number): number {
  return failures <= 1 ? 0 : Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (failures - 2));
}

export const INITIAL_STATE: EngineState = { name: 'stopped' };

/** @throws Error for an event that can't happen in that state: a bug of the host */
export function transition(state: EngineState, event: EngineEvent): EngineState {
  if (event.name === 'close') return { name: 'closed' };
  switch (`${state.name}+${event.name}` as const) {
    case 'stopped+start':
      return { name: 'starting', failures: 0 };
    case 'waiting+start':
      return { name: 'starting', failures: failuresOf(state) };
    case 'starting+greeted':
      return { name: 'idle', failures: failuresOf(state) };
    case 'idle+render':
      return { name: 'rendering', failures: failuresOf(state) };
    case 'rendering+rendered':
      return { name: 'idle', failures: 0 };
    case 'idle+released':
    case 'resuming+refused':
      return { name: 'standby', failures: failuresOf(state) };
    case 'standby+resume':
      return { name: 'resuming', failures: failuresOf(state) };
    case 'resuming+resumed':
      return { name: 'idle', failures: failuresOf(state) };
    case 'starting+lost':
    case 'idle+lost':
    case 'rendering+lost':
    case 'standby+lost':
    case 'resuming+lost': {
      const failures = failuresOf(state) + 1;
      const reason = event.name === 'lost' ? event.reason : '';
      return { name: 'waiting', failures, pauseMs: backoffMs(failures), reason };
    }
    case 'closed+lost':
      return state;
    default:
      throw new Error(`an engine that is ${state.name} can not be ${event.name}`);
  }
}

function failuresOf(state: EngineState): number {
  return 'failures' in state ? state.failures : 0;
}
