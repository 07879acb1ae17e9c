import { type CatalogCursor, type CatalogRequest, formatOf, MAX_CATALOG_ROWS } from '../contract/catalog.js';
import { InvalidRequest } from '../contract/errors.js';
import type { BlobPart } from '../storage/blob-store.js';
import type { Neighbourhood } from '../storage/open-store.js';
import { cutRecords, parseCsvFields, parseCsvRow, parseJsonRow } from './catalog-records.js';
import { type CatalogRow, rowOf } from './catalog-rows.js';

/** Bytes that are read for one page; most of its rows fit. */
const PAGE_BYTES = 64 * 1024;
/** Bytes that are read where rows are only looked through, or one did not fit. No row may be larger. */
const READ_BYTES = 512 * 1024;
/** Rows of which most fit into `PAGE_BYTES`. */
const FEW_ROWS = 64;

/** A row that was read, or why it can't be. */
export interface ReadRow {
  readonly number: number;
  readonly row: CatalogRow | InvalidRequest;
}

export interface ReadRows {
  readonly rows: readonly ReadRow[];
  readonly cursor: CatalogCursor;
  readonly isLast: boolean;
  readonly size: number;
}

/** Reads the next rows. @throws InvalidRequest where the catalogue as a whole is at fault */
export async function readRows(
  { store, name }: Neighbourhood,
  cursor: CatalogCursor,
  request: CatalogRequest,
  most: number,
): Promise<ReadRows> {
  const isCsv = (request.format ?? formatOf(request.catalog)) === 'csv';
  const length = most > FEW_ROWS ? READ_BYTES : PAGE_BYTES;
  let part = await store.getPart(name, cursor.offset, length);
  if (cursor.version !== undefined && cursor.version !== part.version) {
    throw new InvalidRequest(
      `✖ expected ${request.catalog} to stay as it is while it is rendered, but it was changed: start again, what is drawn already stays`,
    );
  }
  const isStart = cursor.offset === 0;
  const cut = ({ bytes, size }: BlobPart) => ({
    isEnd: cursor.offset + bytes.length >= size,
    records: cutRecords(bytes, {
      isEnd: cursor.offset + bytes.length >= size,
      isCsv,
      most: most + (isStart && isCsv ? 1 : 0),
    }),
  });
  let { isEnd, records } = cut(part);
  if (records.bytes === 0 && !isEnd && length < READ_BYTES) {
    part = await store.getPart(name, cursor.offset, READ_BYTES);
    ({ isEnd, records } = cut(part));
  }
  if (records.bytes === 0 && !isEnd) {
    throw new InvalidRequest(
      `✖ expected rows of at most ${READ_BYTES} bytes, but row ${cursor.rows + 1} has no end within them`,
    );
  }
  let { columns } = cursor;
  const texts = records.texts;
  if (isStart && texts[0] !== undefined) texts[0] = texts[0].replace(/^\uFEFF/, '');
  if (isCsv && columns === undefined)
    columns = parseCsvFields(texts.shift() ?? '').map((name) => name.trim());
  const rows = texts
    .filter((text) => text.trim() !== '')
    .map((text, place) => ({
      number: cursor.rows + place + 1,
      row: attempt(() => {
        const raw = isCsv ? parseCsvRow(text, columns ?? []) : parseJsonRow(text);
        return rowOf(raw, request, isCsv);
      }),
    }));
  const count = cursor.rows + rows.length;
  if (count > MAX_CATALOG_ROWS) {
    throw new InvalidRequest(`✖ expected at most ${MAX_CATALOG_ROWS} rows, got more: split the catalogue`);
  }
  const isLast = isEnd && records.bytes === part.bytes.length;
  if (isLast && count === 0)
    throw new InvalidRequest(`✖ expected 1 row at least in ${request.catalog}, got none`);
  const offset = cursor.offset + records.bytes;
  return {
    rows,
    cursor: { offset, rows: count, version: part.version, ...(columns && { columns }) },
    isLast,
    size: part.size,
  };
}

function attempt(work: () => CatalogRow): CatalogRow | InvalidRequest {
  try {
    return work();
  } catch (error) {
    if (error instanceof InvalidRequest) return error;
    throw error;
  }
}
