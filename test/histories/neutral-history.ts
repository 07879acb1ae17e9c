import { type History, historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { z } from 'zod';

const JsonPayload = z.object({
  metadata: z.object({ encoding: z.string() }).catchall(z.string()),
  data: z.string(),
});

const Events = z.object({ events: z.array(z.unknown()) });

/** What a replay never looks at, and what says on which machine, and by whom, it was recorded. */
const PRIVATE = new Set([
  'identity',
  'stackTrace',
  'encodedAttributes',
  'workerVersion',
  'binaryChecksum',
  'requestId',
]);

/** A signal's arguments that are longer than this only filled the history. */
const LONGEST_PAYLOAD = 100_000;

/**
 * A history as JSON, one event a line, without what ties it to the machine where it was recorded.
 * @param places what stands for folders of this machine, by folder; the longest comes first
 */
export function neutralHistory(history: History, places: Readonly<Record<string, string>>): string {
  const { events } = Events.parse(JSON.parse(historyToJSON(history)));
  return `{"events":[\n${events.map((event) => JSON.stringify(neutral(event, places))).join(',\n')}\n]}\n`;
}

function neutral(value: unknown, places: Readonly<Record<string, string>>): unknown {
  if (typeof value === 'string') return replaced(value, places);
  if (Array.isArray(value)) return value.map((part) => neutral(part, places));
  if (typeof value !== 'object' || value === null) return value;
  const payload = JsonPayload.safeParse(value);
  if (payload.success) return neutralPayload(payload.data, places);
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => !PRIVATE.has(key))
      .map(([key, part]) => [key, neutral(part, places)]),
  );
}

function neutralPayload(
  { metadata, data }: z.infer<typeof JsonPayload>,
  places: Readonly<Record<string, string>>,
) {
  const text = Buffer.from(data, 'base64').toString('utf8');
  const kept = text.length > LONGEST_PAYLOAD ? '""' : replaced(text, places);
  return { metadata, data: Buffer.from(kept).toString('base64') };
}

function replaced(text: string, places: Readonly<Record<string, string>>): string {
  return Object.entries(places).reduce((result, [place, name]) => result.replaceAll(place, name), text);
}
