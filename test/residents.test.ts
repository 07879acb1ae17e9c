import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Residents, type Turn, type Turns } from '../src/gpu/host/residents.js';

/** An engine that has memory from its first turn on, until it is released. */
class Engine {
  isIn = false;
  readonly turns: Turns;

  constructor(
    readonly name: string,
    residents: Residents,
    private readonly log: string[],
  ) {
    this.turns = residents.admit({
      isResident: () => this.isIn,
      release: async () => {
        this.isIn = false;
        this.log.push(`${name} out`);
      },
    });
  }

  /** One render, which ends when `until` does. */
  async render(until: Promise<unknown> = Promise.resolve(), signal = never): Promise<void> {
    await this.turns.take(async (turn) => {
      await turn.enter();
      this.isIn = true;
      this.log.push(this.name);
      await until;
    }, signal);
  }
}

const never = new AbortController().signal;

function gate(): { open: () => void; opened: Promise<void> } {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
}

function engines(limit: number, ...names: string[]): { log: string[]; engines: Engine[] } {
  const residents = new Residents(limit);
  const log: string[] = [];
  return { log, engines: names.map((name) => new Engine(name, residents, log)) };
}

describe('engines that share a device', () => {
  test('use it one at a time, whoever has waited longest first', async () => {
    const { log, engines: all } = engines(2, 'a', 'b');
    const [a, b] = all as [Engine, Engine];
    const first = gate();
    const done = [a.render(first.opened), b.render(), a.render(), b.render()];
    await new Promise(setImmediate);
    assert.deepEqual(log, ['a']);
    first.open();
    await Promise.all(done);
    assert.deepEqual(log, ['a', 'b', 'a', 'b']);
  });

  test('no backlog keeps another one out', async () => {
    const { log, engines: all } = engines(1, 'a', 'b');
    const [a, b] = all as [Engine, Engine];
    // As a worker's slot does: the next one is asked for when the last one is done.
    let isOver = false;
    const backlog = (async () => {
      while (!isOver) await a.render();
    })();
    for (let picture = 0; picture < 5; picture++) {
      const before = log.filter((name) => name === 'a').length;
      await b.render();
      const between = log.filter((name) => name === 'a').length - before;
      assert.ok(between <= 2, `${between} pictures of the other model were drawn meanwhile`);
    }
    isOver = true;
    await backlog;
  });

  test('no more of them have memory than may; whoever was not used for longest gives it back', async () => {
    const { log, engines: all } = engines(2, 'a', 'b', 'c');
    const [a, b, c] = all as [Engine, Engine, Engine];
    for (const engine of [a, b, a, c, a, b]) await engine.render();
    assert.deepEqual(log, ['a', 'b', 'a', 'b out', 'c', 'a', 'c out', 'b']);
    assert.deepEqual(
      all.map(({ isIn }) => isIn),
      [true, true, false],
    );
  });

  test('one that needs more room gets it from the others, as long as they have any', async () => {
    const { log, engines: all } = engines(3, 'a', 'b', 'c');
    for (const engine of all) await engine.render();
    const [, b] = all as [Engine, Engine, Engine];
    const gave = await b.turns.take(async ({ makeRoom }: Turn) => {
      return [await makeRoom(), await makeRoom(), await makeRoom()];
    }, never);
    assert.deepEqual(gave, [true, true, false]);
    assert.deepEqual(log.slice(3), ['a out', 'c out']);
  });

  test('one that is not wanted any more leaves the queue, and the next one is not held up', async () => {
    const { log, engines: all } = engines(1, 'a', 'b', 'c');
    const [a, b, c] = all as [Engine, Engine, Engine];
    const first = gate();
    const cancel = new AbortController();
    const rendering = a.render(first.opened);
    const cancelled = b.render(undefined, cancel.signal);
    const last = c.render();
    cancel.abort(new Error('not wanted any more'));
    await assert.rejects(cancelled, /not wanted any more/);
    await assert.rejects(b.render(undefined, cancel.signal), /not wanted any more/);
    first.open();
    await Promise.all([rendering, last]);
    assert.deepEqual(log, ['a', 'a out', 'c']);
  });

  test('work that fails ends its turn', async () => {
    const { log, engines: all } = engines(1, 'a', 'b');
    const [a, b] = all as [Engine, Engine];
    await assert.rejects(a.render(Promise.reject(new Error('broken'))), /broken/);
    await b.render();
    assert.deepEqual(log, ['a', 'a out', 'b']);
  });
});
