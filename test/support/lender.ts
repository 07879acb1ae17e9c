import assert from 'node:assert/strict';
import { Holdings } from '../../src/gpu/keeper/holdings.js';
import type { LentWeights, WeightSource } from '../../src/gpu/runtime/cuda/weight-source.js';
import { MemoryDriver } from './memory-driver.js';
import { until } from './waiting.js';

/** Lends what it holds, in this process. */
export class Lender implements WeightSource {
  readonly holdings: Holdings;
  readonly givenBack: [component: string, isDamaged: boolean][] = [];
  isClosed = false;

  /**
   * @param changes what it does otherwise
   * @param driver  of the memory that it lends
   * @param bufferBytes that weights pass through
   */
  constructor(
    private readonly changes: Partial<LentWeights> = {},
    readonly driver = new MemoryDriver(),
    bufferBytes = 2 ** 20,
  ) {
    this.holdings = new Holdings({ driver, bufferBytes });
  }

  async lend(wanted: Parameters<WeightSource['lend']>[0]): Promise<LentWeights> {
    const held = this.holdings.hold(wanted);
    const of = (component: string) => {
      const holding = held.find((each) => each.component === component);
      assert.ok(holding);
      return holding;
    };
    return {
      take: (component) => {
        const { pieces } = of(component).arena;
        const descriptors = this.holdings.descriptorsOf(of(component));
        return pieces.map(({ bytes }, index) => ({ descriptor: descriptors[index] as number, bytes }));
      },
      loaded: (component) => this.loaded(component),
      giveBack: (component, isDamaged) => this.givenBack.push([component, isDamaged]),
      makeRoom: async () => 0,
      onPlaced: (listener) =>
        this.holdings.onPlaced(({ component, placedEnd }) => listener(component, placedEnd)),
      onDamaged: () => {},
      close: async () => {
        this.isClosed = true;
      },
      ...this.changes,
    };
  }

  /** Resolves when the weights of that component are in place. */
  loaded(name: string): Promise<void> {
    return until(`${name} is loaded`, () =>
      this.holdings.all().some(({ component, state }) => component === name && state === 'loaded'),
    );
  }

  close(): void {
    this.holdings.makeRoom();
    this.driver.close();
  }
}
