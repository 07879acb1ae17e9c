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
import { type JudgedRow, PageBuilder } from './catalog-page.js';
import { type ReadRow, readRows } from './catalog-reader.js';
import { openResultIndex, type ResultIndex, resultsFolder } from './catalog-results.js';
import { rowDigest } from './catalog-rows.js';
import { finishedSummary } from './catalog-summary.js';
import { activity } from './failure.js';
import { withHeartbeats } from './heartbeats.js';
import type { ModelCatalogue } from './model-catalogue.js';
import { createPlanner, inTurns, jobOf, type PlanDependencies, type Planner } from './plan.js';

export interface CatalogDependencies extends PlanDependencies {
  /** Addresses below which catalogues may lie. Whoever may start workflows may name any. */
  readonly catalogs: readonly string[];
}

/** How many catalogues' results a worker keeps in mind. */
const HELD_INDEXES = 4;

/** Reads catalogues and writes what becomes of their rows. */
export function createCatalogActivities(dependencies: CatalogDependencies) {
  const { catalogs, models, log } = dependencies;
  const planner = createPlanner(dependencies);
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
    const key = indexKey(catalog, run);
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
          const judged = await judgeRows(read.rows, { request, planner, models, index });
          for (const row of judged) await page.add(row, index);
          page.advance(read);
          beat(page.cursor.rows);
        }
        log.debug({ catalog: request.catalog, rows: page.cursor.rows }, 'catalogue page read');
        const built = page.build();
        // Nothing more is looked up: of a million rows it would keep 50 MB.
        if (built.isLast) indexes.delete(indexKey(request.catalog, run));
        return built;
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

function indexKey(catalog: string, run: string): string {
  return JSON.stringify([catalog, run]);
}

interface JudgeContext {
  readonly request: CatalogRequest;
  readonly planner: Planner;
  readonly models: ModelCatalogue;
  readonly index: ResultIndex;
}

/** What is drawn already was judged when it was. */
function judgeRows(rows: readonly ReadRow[], context: JudgeContext): Promise<JudgedRow[]> {
  const { request, planner, models, index } = context;
  const { tenant, tenantWeight } = request;
  return inTurns(rows, async ({ number, row }): Promise<JudgedRow> => {
    if (row instanceof RenderError) return { number, id: undefined, refused: row };
    const { id, item } = row;
    try {
      const { card } = await models.find(item.model);
      const digest = rowDigest(item, card.digest);
      if (index.isLatest(number, digest)) return { number, isUnchanged: true };
      const job = jobOf(item, { tags: {}, tenant, tenantWeight });
      const options = { isModerated: index.knows(digest) };
      const judged = await (request.dryRun ? planner.judge(job, options) : planner.plan(job, options));
      return { number, row, digest, judged };
    } catch (error) {
      if (!(error instanceof RenderError) || error.retry) throw error;
      return { number, id, refused: error };
    }
  });
}
