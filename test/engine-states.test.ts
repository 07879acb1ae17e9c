import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  backoffMs,
  type EngineEvent,
  type EngineState,
  INITIAL_STATE,
  transition,
} from '../src/gpu/host/engine-states.js';

const EVENTS: Record<EngineEvent['name'], EngineEvent> = {
  start: { name: 'start' },
  greeted: { name: 'greeted' },
  render: { name: 'render' },
  rendered: { name: 'rendered' },
  released: { name: 'released' },
  resume: { name: 'resume' },
  resumed: { name: 'resumed' },
  refused: { name: 'refused' },
  lost: { name: 'lost', reason: 'gone' },
  close: { name: 'close' },
};

const waiting: EngineState = { name: 'waiting', failures: 1, pauseMs: 0, reason: 'gone' };
/** What may follow what; all else is a bug and throws. */
const ALLOWED: [EngineState, Partial<Record<EngineEvent['name'], EngineState['name']>>][] = [
  [{ name: 'stopped' }, { start: 'starting', close: 'closed' }],
  [
    { name: 'starting', failures: 0 },
    { greeted: 'idle', lost: 'waiting', close: 'closed' },
  ],
  [
    { name: 'idle', failures: 0 },
    { render: 'rendering', released: 'standby', lost: 'waiting', close: 'closed' },
  ],
  [
    { name: 'rendering', failures: 0 },
    { rendered: 'idle', lost: 'waiting', close: 'closed' },
  ],
  [
    { name: 'standby', failures: 0 },
    { resume: 'resuming', lost: 'waiting', close: 'closed' },
  ],
  [
    { name: 'resuming', failures: 0 },
    { resumed: 'idle', refused: 'standby', lost: 'waiting', close: 'closed' },
  ],
  [waiting, { start: 'starting', close: 'closed' }],
  [{ name: 'closed' }, { lost: 'closed', close: 'closed' }],
];

test('every state takes exactly the events that can happen in it', () => {
  for (const [state, allowed] of ALLOWED) {
    for (const [name, event] of Object.entries(EVENTS)) {
      const next = allowed[event.name];
      if (next) assert.equal(transition(state, event).name, next, `${state.name} + ${name}`);
      else assert.throws(() => transition(state, event), new RegExp(state.name), `${state.name} + ${name}`);
    }
  }
});

function after(...names: EngineEvent['name'][]): EngineState {
  return names.reduce((state, name) => transition(state, EVENTS[name]), INITIAL_STATE);
}

test('engines that are lost in a row are restarted after longer and longer pauses', () => {
  assert.deepEqual(after('start', 'lost'), { ...waiting, failures: 1, pauseMs: 0 });
  assert.deepEqual(after('start', 'lost', 'start', 'greeted', 'lost'), {
    ...waiting,
    failures: 2,
    pauseMs: 250,
  });
  const pauses = Array.from({ length: 12 }, (_, failures) => backoffMs(failures));
  assert.deepEqual(pauses, [0, 0, 250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
});

test('a render that was finished ends the row of failures', () => {
  const state = after('start', 'lost', 'start', 'lost', 'start', 'greeted', 'render', 'rendered');
  assert.deepEqual(state, { name: 'idle', failures: 0 });
  assert.deepEqual(after('start', 'lost', 'start', 'greeted', 'render', 'lost'), {
    ...waiting,
    failures: 2,
    pauseMs: 250,
  });
});
