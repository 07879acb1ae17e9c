import type { BatchImage, ItemError, Shape } from '../contract/batch.js';
import type { CatalogEntry, CatalogPage, CatalogState, ResultLine, ShapeCost } from '../contract/catalog.js';
import type { Drawing } from './draw-together.js';

/** Images of one entry, from 0; the contract allows 16. */
const IMAGES = 16;

interface Waiting {
  readonly entry: CatalogEntry;
  readonly outcomes: (BatchImage | ItemError)[];
  left: number;
}

/** What becomes of rows: counted, and kept as lines until they are written. */
export class CatalogBook {
  /** Results that no shard has yet. */
  lines: ResultLine[] = [];
  done: number;
  failed: number;
  unchanged: number;
  moved: number;
  /** In a dry run. */
  wouldDraw = 0;
  readonly #waiting = new Map<number, Waiting>();
  readonly #costs = new Map<string, ShapeCost>();
  #entries = 0;
  /** When rows were finished: some points of the last minutes. */
  #marks: { at: number; rows: number }[] = [];

  constructor(state: CatalogState) {
    ({ done: this.done, failed: this.failed, unchanged: this.unchanged, moved: this.moved } = state);
    for (const cost of state.costs) this.#costs.set(keyOf(cost), cost);
  }

  get costs(): ShapeCost[] {
    return [...this.#costs.values()];
  }

  get gpuMs(): number {
    return this.costs.reduce((sum, { gpuMs }) => sum + gpuMs, 0);
  }

  /** Takes what needs no drawing, and tells what does. */
  open(page: CatalogPage): { shape: Shape; drawing: Drawing }[] {
    this.unchanged += page.unchanged;
    this.wouldDraw += page.counted;
    for (const count of page.counts) this.addCost(count, count.images, 0);
    for (const line of page.lines) {
      if (line.status === 'done') this.moved++;
      else this.failed++;
      this.lines.push(line);
    }
    return page.entries.flatMap((entry) => this.#drawingsOf(entry, page));
  }

  readonly settle = (picture: number, outcome: BatchImage | ItemError): void => {
    const number = Math.floor(picture / IMAGES);
    const waiting = this.#waiting.get(number);
    if (!waiting) return;
    waiting.outcomes[picture % IMAGES] = outcome;
    if (--waiting.left > 0) return;
    this.#waiting.delete(number);
    this.#finish(waiting);
  };

  addCost(shape: Shape, images: number, gpuMs: number): void {
    const { model, modelDigest, width, height, steps } = shape;
    const key = keyOf(shape);
    const known = this.#costs.get(key);
    this.#costs.set(key, {
      model,
      modelDigest,
      width,
      height,
      steps,
      images: (known?.images ?? 0) + images,
      gpuMs: (known?.gpuMs ?? 0) + gpuMs,
    });
  }

  /** Notes how far it is, for the rate. */
  mark(now: number): void {
    const last = this.#marks.at(-1);
    if (last && now - last.at < MARK_EVERY_MS) return;
    this.#marks.push({ at: now, rows: this.done + this.failed });
    this.#marks = this.#marks.slice(-MARKS);
  }

  /** A pause must not count. */
  forgetMarks(): void {
    this.#marks = [];
  }

  rowsPerSecond(now: number): number {
    const [first] = this.#marks;
    if (!first || now <= first.at) return 0;
    return ((this.done + this.failed - first.rows) * 1000) / (now - first.at);
  }

  #drawingsOf(entry: CatalogEntry, page: CatalogPage): { shape: Shape; drawing: Drawing }[] {
    const shape = page.shapes[entry.shape];
    const setting = page.settings[entry.setting];
    if (!shape || !setting) throw new Error(`expected shape and setting of row ${entry.rows[0]} in its page`);
    const number = this.#entries++;
    this.#waiting.set(number, { entry, outcomes: [], left: entry.count });
    const { prompt, seed } = entry;
    const { width, height, steps } = shape;
    return Array.from({ length: entry.count }, (_, nth) => {
      const index = number * IMAGES + nth;
      const item = { index, prompt, width, height, steps, seed: (seed + nth) % 2 ** 32 };
      return { shape, drawing: { item, pictures: [{ index, ...setting }] } };
    });
  }

  #finish({ entry: { rows, ids, digest }, outcomes }: Waiting): void {
    const images = outcomes.filter((outcome): outcome is BatchImage => 'url' in outcome);
    const error = outcomes.find((outcome): outcome is ItemError => !('url' in outcome));
    for (const [place, row] of rows.entries()) {
      const id = ids?.[place];
      const named = { row, ...(id === undefined ? {} : { id }), digest };
      this.lines.push(error ? { ...named, status: 'failed', error } : { ...named, status: 'done', images });
    }
    if (error) this.failed += rows.length;
    else this.done += rows.length;
  }
}

/** The rate is that of the last 4 to 5 minutes. */
const MARKS = 60;
const MARK_EVERY_MS = 5_000;

function keyOf({ model, modelDigest, width, height, steps }: Shape): string {
  return JSON.stringify([model, modelDigest, width, height, steps]);
}
