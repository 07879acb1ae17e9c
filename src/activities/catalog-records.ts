import { InvalidRequest } from '../contract/errors.js';

/** A row as it stands in a catalogue: names and values, none of them checked. */
export type RawRow = Readonly<Record<string, unknown>>;

export interface Records {
  /** What stands between record ends, without them. */
  readonly texts: string[];
  /** Bytes that these records take. */
  readonly bytes: number;
}

const NEWLINE = 0x0a;
const QUOTE = 0x22;

/**
 * Cuts bytes into records, at ends of lines; of a CSV, at those that are outside of quotes.
 * @param isEnd whether nothing follows: a last record needs no end of its own
 * @param most records that are wanted
 */
export function cutRecords(
  bytes: Buffer,
  { isEnd, isCsv, most }: { isEnd: boolean; isCsv: boolean; most: number },
): Records {
  const texts: string[] = [];
  let begin = 0;
  let isQuoted = false;
  for (let at = 0; at < bytes.length && texts.length < most; at++) {
    const byte = bytes[at];
    if (isCsv && byte === QUOTE) isQuoted = !isQuoted;
    if (byte !== NEWLINE || isQuoted) continue;
    texts.push(textOf(bytes, begin, at));
    begin = at + 1;
  }
  if (isEnd && texts.length < most && begin < bytes.length) {
    texts.push(textOf(bytes, begin, bytes.length));
    begin = bytes.length;
  }
  return { texts, bytes: begin };
}

function textOf(bytes: Buffer, begin: number, end: number): string {
  return bytes.toString('utf8', begin, end).replace(/\r$/, '');
}

/** @throws InvalidRequest */
export function parseJsonRow(text: string): RawRow {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new InvalidRequest(
      `✖ expected a JSON object on one line, got what is no JSON: ${messageOf(error)}`,
      {
        cause: error,
      },
    );
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  throw new InvalidRequest(`✖ expected a JSON object, got ${JSON.stringify(value)?.slice(0, 60)}`);
}

/** The fields of one CSV record (RFC 4180): commas between them, quotes around those that have some inside. */
export function parseCsvFields(text: string): string[] {
  const fields: string[] = [];
  let at = 0;
  do {
    if (text[at] === '"') {
      const [field, end] = quotedField(text, at);
      fields.push(field);
      at = end;
    } else {
      const comma = text.indexOf(',', at);
      const end = comma < 0 ? text.length : comma;
      fields.push(text.slice(at, end));
      at = end;
    }
  } while (text[at++] === ',');
  return fields;
}

/** @returns the field without its quotes, and the place behind it */
function quotedField(text: string, begin: number): [string, number] {
  let field = '';
  for (let at = begin + 1; at < text.length; at++) {
    if (text[at] !== '"') field += text[at];
    else if (text[at + 1] === '"') {
      field += '"';
      at++;
    } else return [field, at + 1];
  }
  return [field, text.length];
}

/** Names a CSV record's fields. Empty ones are left out. @throws InvalidRequest */
export function parseCsvRow(text: string, columns: readonly string[]): RawRow {
  const fields = parseCsvFields(text);
  if (fields.length > columns.length) {
    throw new InvalidRequest(`✖ expected ${columns.length} fields as in the header, got ${fields.length}`);
  }
  return Object.fromEntries(
    fields.flatMap((field, place) => (field === '' ? [] : [[columns[place] as string, field]])),
  );
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
