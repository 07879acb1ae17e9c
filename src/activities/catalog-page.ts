import type {
  CatalogCursor,
  CatalogPage,
  CatalogRequest,
  ResultLine,
  ShapeCount,
} from '../contract/catalog.js';
import type { RenderError } from '../contract/errors.js';
import type { ReadRows } from './catalog-reader.js';
import type { ResultIndex } from './catalog-results.js';
import type { CatalogRow } from './catalog-rows.js';
import type { JudgedJob } from './plan.js';

/** Rows to draw that one page hands to the workflow: about 15 KB. */
const PAGE_ENTRIES = 64;
/** Rows that are read at a time: as many as are planned before any is handed on. */
const READ_ROWS = 512;
/** Rows after which a page ends, though it has little to draw: so that the workflow hears of it now and then. */
const PAGE_ROWS = 8192;

/** A row, and whether it has to be drawn. */
export type JudgedRow =
  | { readonly number: number; readonly isUnchanged: true }
  | {
      readonly number: number;
      readonly row: CatalogRow;
      /** What tells it from others. */
      readonly digest: string;
      readonly judged: JudgedJob;
    }
  | { readonly number: number; readonly id: string | undefined; readonly refused: RenderError };

/** Nothing was drawn for it, so nothing tells it from others. */
const NO_DIGEST = '0'.repeat(32);

/** Sorts rows into what has to be drawn and what has not, until there is enough for one page. */
export class PageBuilder {
  cursor: CatalogCursor;
  #isLast = false;
  #size = 0;
  #unchanged = 0;
  #counted = 0;
  readonly #firstRow: number;
  readonly #shapes = new Places<CatalogPage['shapes'][number]>();
  readonly #settings = new Places<CatalogPage['settings'][number]>();
  readonly #entries = new Map<string, CatalogPage['entries'][number]>();
  readonly #lines: ResultLine[] = [];
  readonly #counts = new Map<number, number>();

  constructor(
    private readonly request: CatalogRequest,
    cursor: CatalogCursor,
  ) {
    this.cursor = cursor;
    this.#firstRow = cursor.rows;
  }

  get isFull(): boolean {
    const handed = this.#entries.size + this.#lines.length;
    return this.#isLast || handed >= PAGE_ENTRIES || this.cursor.rows - this.#firstRow >= PAGE_ROWS;
  }

  /** Rows that may be read next: where much has to be drawn, no more than there is room for. */
  get room(): number {
    const scanned = this.cursor.rows - this.#firstRow;
    const handed = this.#entries.size + this.#lines.length;
    if (this.request.dryRun) return READ_ROWS;
    return handed === 0 && scanned > 0 ? READ_ROWS : PAGE_ENTRIES - handed;
  }

  async add(judgedRow: JudgedRow, index: ResultIndex): Promise<void> {
    const { number } = judgedRow;
    if ('isUnchanged' in judgedRow) {
      this.#unchanged++;
      return;
    }
    if ('refused' in judgedRow) return this.#refuse(number, judgedRow.id, judgedRow.refused);
    const { row, digest, judged } = judgedRow;
    const known = await index.find(digest);
    if (known) {
      const { id } = row;
      this.#lines.push({ ...known, row: number, ...(id === undefined ? {} : { id }) });
      return;
    }
    const { model, modelDigest, width, height, steps, prompt } = judged;
    const shape = this.#shapes.of({ model, modelDigest, width, height, steps });
    const { seed, count, output, tags } = row.item;
    if (this.request.dryRun) {
      this.#counts.set(shape, (this.#counts.get(shape) ?? 0) + count);
      this.#counted++;
      return;
    }
    const twin = this.#entries.get(digest);
    if (twin) {
      twin.rows.push(number);
      if (row.id !== undefined) twin.ids = [...(twin.ids ?? []), row.id];
      return;
    }
    this.#entries.set(digest, {
      rows: [number],
      ...(row.id === undefined ? {} : { ids: [row.id] }),
      digest,
      shape,
      setting: this.#settings.of({ output, tags }),
      prompt,
      seed,
      count,
    });
  }

  advance({ cursor, isLast, size }: ReadRows): void {
    this.cursor = cursor;
    this.#isLast = isLast;
    this.#size = size;
  }

  build(): CatalogPage {
    const counts = [...this.#counts].map(([shape, images]): ShapeCount => {
      return { ...(this.#shapes.values[shape] as CatalogPage['shapes'][number]), images };
    });
    return {
      cursor: this.cursor,
      isLast: this.#isLast,
      size: this.#size,
      shapes: this.#shapes.values,
      settings: this.#settings.values,
      entries: [...this.#entries.values()],
      unchanged: this.#unchanged,
      lines: this.#lines,
      counts,
      counted: this.#counted,
    };
  }

  #refuse(row: number, id: string | undefined, { type, message }: { type: string; message: string }): void {
    const error = { type, message: message.slice(0, 500) };
    this.#lines.push({
      row,
      ...(id === undefined ? {} : { id }),
      digest: NO_DIGEST,
      status: 'failed',
      error,
    });
  }
}

/** Tells equal values once. */
class Places<T> {
  readonly values: T[] = [];
  readonly #places = new Map<string, number>();

  of(value: T): number {
    const key = JSON.stringify(value);
    const place = this.#places.get(key) ?? this.values.push(value) - 1;
    this.#places.set(key, place);
    return place;
  }
}
