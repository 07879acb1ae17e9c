import {
  type CatalogPage,
  type CatalogRequest,
  type CatalogSummary,
  FinishInput,
  ReadPageInput,
  WriteShardInput,
} from '../contract/catalog.js';
import { InvalidRequest, RenderError } from '../contract/errors.js';
import { parse } from '../contract/parse.js';
import { isBelow, type Neighbourhood, openNeighbourhood } from '../storage/open-store.js';
import { PageBuilder, type PlannedRow, type RefusedRow } from './catalog-page.js';
import { type ReadRow, readRows } from './catalog-reader.js';
import { openResultIndex, type ResultIndex, resultsFolder } from './catalog-results.js';
import { rowDigest } from './catalog-rows.js';
import { finishedSummary } from './catalog-summary.js';
import { activity } from './failure.js';
import { withHeartbeats } from './heartbeats.js';
import { createPlanner, inTurns, jobOf, type Plan, type PlanDependencies, planOrError } from './plan.js';

export interface CatalogDependencies extends PlanDependencies {
  /** Addresses below which catalogues may lie. Whoever may start workflows may name any. */
  readonly catalogs: readonly string[];
}

/** How many catalogues' results a worker keeps in mind. */
const HELD_INDEXES = 4;

/** Reads catalogues and writes what becomes of their rows. */
export function createCatalogActivities(dependencies: CatalogDependencies) {
  const { catalogs, log } = dependencies;
  const plan = createPlanner(dependencies);
  const indexes = new Map<string, Promise<ResultIndex>>();

  function open(catalog: string): Neighbourhood {
    if (catalogs.some((root) => isBelow(catalog, root))) return openNeighbourhood(catalog);
    const roots = catalogs.length === 0 ? 'nothing' : catalogs.join(' or ');
    throw new InvalidRequest(
      `✖ expected a catalogue below ${roots}, which is what this deployment's workers may read and write, got ${catalog}\n  → at catalog`,
    );
  }

  /** What earlier runs came to; read once a run, wherever its activities run. */
  function indexOf(
    catalog: string,
    run: string,
    place: Neighbourhood,
    beat: () => void,
  ): Promise<ResultIndex> {
    const key = JSON.stringify([catalog, run]);
    const known = indexes.get(key);
    if (known) return known;
    const opening = openResultIndex(place, beat);
    indexes.set(key, opening);
    opening.catch(() => indexes.delete(key));
    const [oldest] = indexes.keys();
    if (indexes.size > HELD_INDEXES && oldest !== undefined) indexes.delete(oldest);
    return opening;
  }

  return {
    /** Reads on until there is something to draw for about one page, or for as long as one activity should. */
    readCatalogPage: activity((input: ReadPageInput): Promise<CatalogPage> => {
      const { request, cursor, run } = parse(ReadPageInput, input);
      const place = open(request.catalog);
      return withHeartbeats(async ({ beat, throwIfOver }) => {
        const index = await indexOf(request.catalog, run, place, () => {
          throwIfOver();
          beat(cursor.rows);
        });
        const page = new PageBuilder(request, cursor);
        while (!page.isFull) {
          throwIfOver();
          const read = await readRows(place, page.cursor, request, page.room);
          for (const row of await planRows(read.rows, request, plan, index)) await page.add(row, index);
          page.advance(read);
          beat(page.cursor.rows);
        }
        log.debug({ catalog: request.catalog, rows: page.cursor.rows }, 'catalogue page read');
        return page.build();
      });
    }),

    /** Idempotent: a shard's name is its run's and its number. */
    writeShard: activity(async (input: WriteShardInput): Promise<void> => {
      const { catalog, name, lines } = parse(WriteShardInput, input);
      const place = open(catalog);
      const text = lines.map((line) => `${JSON.stringify(line)}\n`).join('');
      await place.store.put(`${resultsFolder(place.name)}/${name}.jsonl`, Buffer.from(text), {
        contentType: 'application/jsonl',
      });
    }),

    /** Writes the summary and the contact sheet. */
    finishCatalog: activity((input: FinishInput): Promise<CatalogSummary> => {
      const ended = parse(FinishInput, input);
      const place = open(ended.catalog);
      return withHeartbeats(({ beat }) => finishedSummary(place, ended, beat, log));
    }),
  };
}
export type CatalogActivities = ReturnType<typeof createCatalogActivities>;

/** What is drawn already was moderated when it was. */
function planRows(
  rows: readonly ReadRow[],
  request: CatalogRequest,
  plan: Plan,
  index: ResultIndex,
): Promise<(PlannedRow | RefusedRow)[]> {
  return inTurns(rows, async ({ number, row }) => {
    if (row instanceof RenderError) return { number, refused: row };
    const { tenant, tenantWeight } = request;
    const job = jobOf(row.item, { tags: {}, tenant, tenantWeight });
    const isNew = (modelDigest: string) => !index.knows(rowDigest(row.item, modelDigest));
    const planned = await planOrError(plan, job, isNew);
    return { number, row, planned };
  });
}
