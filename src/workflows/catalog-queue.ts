import type { Shape } from '../contract/batch.js';
import type { Drawing } from './draw-together.js';

/** Drawings of one shape that wait for their turn. */
interface Bucket {
  readonly shape: Shape;
  readonly drawings: Drawing[];
}

export interface Chunk {
  readonly shape: Shape;
  readonly drawings: readonly Drawing[];
}

/** What was read and is not being drawn yet, sorted by what can be drawn together. */
export class CatalogQueue {
  readonly #buckets = new Map<string, Bucket>();
  #length = 0;

  /** Images that wait. */
  get length(): number {
    return this.#length;
  }

  add(shape: Shape, drawing: Drawing): void {
    const key = JSON.stringify(shape);
    const bucket = this.#buckets.get(key) ?? { shape, drawings: [] };
    bucket.drawings.push(drawing);
    this.#buckets.set(key, bucket);
    this.#length++;
  }

  /**
   * Takes the next batch: a full one, or where there is none and more is not to come, the largest that there is.
   * @returns undefined where it is better to wait
   */
  take(most: number, isMoreToCome: boolean): Chunk | undefined {
    let largest: [string, Bucket] | undefined;
    for (const entry of this.#buckets) {
      if (!largest || entry[1].drawings.length > largest[1].drawings.length) largest = entry;
      if (entry[1].drawings.length >= most) break;
    }
    if (!largest) return undefined;
    const [key, { shape, drawings }] = largest;
    if (drawings.length < most && isMoreToCome) return undefined;
    const taken = drawings.splice(0, most);
    if (drawings.length === 0) this.#buckets.delete(key);
    this.#length -= taken.length;
    return { shape, drawings: taken };
  }
}
