import {
  allHandlersFinished,
  CancellationScope,
  condition,
  continueAsNew,
  defineQuery,
  defineUpdate,
  isCancellation,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { CatalogActivities } from '../activities/catalog.js';
import {
  type CatalogPage,
  type CatalogProgress,
  CatalogRequest,
  CatalogState,
  type CatalogSummary,
  Concurrency,
} from '../contract/catalog.js';
import { parse } from '../contract/parse.js';
import { CATALOG } from '../contract/priority.js';
import {
  CONCURRENCY_UPDATE,
  PAUSE_UPDATE,
  PROGRESS_QUERY,
  RESUME_UPDATE,
} from '../contract/workflow-types.js';
import { CatalogBook } from './catalog-book.js';
import { CatalogQueue, type Chunk } from './catalog-queue.js';
import { drawTogether } from './draw-together.js';
import { clearFailure } from './failures.js';
import { parseInput } from './parse-input.js';
import { finishingCatalog, readingCatalog, writingShard } from './retry.js';

const { readCatalogPage } = proxyActivities<CatalogActivities>(readingCatalog);
const { writeShard } = proxyActivities<CatalogActivities>(writingShard);
const { finishCatalog } = proxyActivities<CatalogActivities>(finishingCatalog);

/**
 * Events and bytes of history after which a run takes up nothing new and hands on to the next. What is in flight then
 * adds 2,000 events at most; Temporal warns at 10,240 and ends a run at 51,200, or at 50 MB.
 */
const MAX_EVENTS = 6_000;
const MAX_HISTORY_BYTES = 16_000_000;

/** Results that are worth a shard. A run that is terminated loses no more than these. */
const SHARD_LINES = 64;

/** Draws every row of a catalogue that has no picture yet, however many there are, and writes down what became of each. */
export async function renderCatalog(input: CatalogRequest, handedOn?: CatalogState): Promise<CatalogSummary> {
  const request = parseInput(CatalogRequest, input);
  const run = new CatalogRun(request, handedOn ? parseInput(CatalogState, handedOn) : newState(request));
  const next = await run.work();
  if (next) return continueAsNew<typeof renderCatalog>(request, next);
  try {
    return await run.finish('done');
  } catch (error) {
    throw clearFailure(error);
  }
}

function newState({ concurrency }: CatalogRequest): CatalogState {
  const { startTime, runId } = workflowInfo();
  // Shards are read in the order of their names: those of a later run are later.
  const stamp = startTime.toISOString().replace(/[-:.]/g, '');
  return {
    cursor: { offset: 0, rows: 0 },
    isRead: false,
    size: 0,
    startedAt: startTime.getTime(),
    run: `${stamp}-${runId.slice(0, 8)}`,
    shards: 0,
    done: 0,
    failed: 0,
    unchanged: 0,
    moved: 0,
    costs: [],
    isPaused: false,
    concurrency,
  };
}

class CatalogRun {
  readonly #book: CatalogBook;
  readonly #queue = new CatalogQueue();
  readonly #scope = new CancellationScope();
  #state: CatalogState;
  #reading = false;
  #writing = false;
  #batches = 0;
  #images = 0;
  #isEnding = false;
  /** Something has happened that may let something else begin. */
  #isStirred = true;
  #failure: { readonly error: unknown } | undefined;

  constructor(
    private readonly request: CatalogRequest,
    state: CatalogState,
  ) {
    this.#state = state;
    this.#book = new CatalogBook(state);
    setHandler(defineQuery<CatalogProgress>(PROGRESS_QUERY), () => this.#progress());
    setHandler(defineUpdate<CatalogProgress>(PAUSE_UPDATE), () => this.#change({ isPaused: true }));
    setHandler(defineUpdate<CatalogProgress>(RESUME_UPDATE), () => this.#change({ isPaused: false }));
    setHandler(
      defineUpdate<CatalogProgress, [number]>(CONCURRENCY_UPDATE),
      (concurrency) => this.#change({ concurrency }),
      { validator: (concurrency) => void parse(Concurrency, concurrency) },
    );
  }

  /** @returns the state to go on from in a new run; undefined where everything is done */
  async work(): Promise<CatalogState | undefined> {
    try {
      for (;;) {
        this.#isStirred = false;
        this.#begin();
        if (this.#isAtRest) break;
        await condition(() => this.#isStirred);
        if (this.#failure) throw this.#failure.error;
      }
      if (this.#isDone) return undefined;
      await condition(allHandlersFinished);
      return this.#handOn();
    } catch (error) {
      await this.#abandon(error);
      throw clearFailure(error);
    }
  }

  finish(status: 'done' | 'cancelled'): Promise<CatalogSummary> {
    const { done, failed, unchanged, moved, wouldDraw, gpuMs, costs } = this.#book;
    const { startedAt, cursor } = this.#state;
    const { dryRun, catalog } = this.request;
    const seconds = (Date.now() - startedAt) / 1000;
    return finishCatalog({
      catalog,
      workflowId: workflowInfo().workflowId,
      status: dryRun && status === 'done' ? 'dry-run' : status,
      startedAt: new Date(startedAt).toISOString(),
      seconds,
      rows: cursor.rows,
      done: dryRun ? wouldDraw : done,
      failed,
      unchanged,
      moved,
      rowsPerSecond: dryRun || seconds === 0 ? 0 : (done + failed) / seconds,
      gpuSeconds: gpuMs / 1000,
      costs: costs.map((cost) => ({ ...cost, gpuMs: Math.round(cost.gpuMs) })),
    });
  }

  /** Begins all that can begin. */
  #begin(): void {
    const { historyLength, historySize } = workflowInfo();
    if (historyLength > MAX_EVENTS || historySize > MAX_HISTORY_BYTES) this.#isEnding = true;
    const { isPaused, isRead, concurrency } = this.#state;
    // One batch more than can be begun: the next one is full.
    const enough = (concurrency + 1) * this.request.maxBatch;
    const mayRead = !isRead && !this.#isEnding && !isPaused;
    if (mayRead && !this.#reading && this.#queue.length < enough) this.#start(() => this.#read());
    while (!isPaused && this.#batches < concurrency) {
      const chunk = this.#queue.take(this.request.maxBatch, this.#reading);
      if (!chunk) break;
      this.#start(() => this.#draw(chunk));
    }
    const { lines } = this.#book;
    const isWorthIt = lines.length >= SHARD_LINES || (lines.length > 0 && this.#isIdle);
    if (this.request.dryRun) this.#book.lines = [];
    else if (isWorthIt && !this.#writing) {
      // What was paid for is written down, also where the run is cancelled meanwhile.
      this.#start(() => CancellationScope.nonCancellable(() => this.#write()));
    }
  }

  /** Nothing is read or drawn at the moment. */
  get #isIdle(): boolean {
    return !this.#reading && this.#batches === 0;
  }

  get #isAtRest(): boolean {
    if (!this.#isIdle || this.#writing || this.#book.lines.length > 0 || this.#queue.length > 0) return false;
    return this.#isEnding || this.#state.isRead;
  }

  get #isDone(): boolean {
    return this.#state.isRead && this.#queue.length === 0;
  }

  #start(work: () => Promise<void>): void {
    void this.#scope
      .run(work)
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => {
        this.#isStirred = true;
      });
  }

  async #read(): Promise<void> {
    this.#reading = true;
    try {
      const { cursor, run } = this.#state;
      const page: CatalogPage = await readCatalogPage({ request: this.request, cursor, run });
      for (const { shape, drawing } of this.#book.open(page)) this.#queue.add(shape, drawing);
      this.#state = { ...this.#state, cursor: page.cursor, isRead: page.isLast, size: page.size };
    } finally {
      this.#reading = false;
    }
  }

  async #draw({ shape, drawings }: Chunk): Promise<void> {
    this.#batches++;
    this.#images += drawings.length;
    this.#book.mark(Date.now());
    try {
      await drawTogether(drawings, {
        model: shape.model,
        modelDigest: shape.modelDigest,
        urgency: CATALOG,
        share: this.request,
        onPicture: this.#book.settle,
        onDrawn: (gpuMs, images) => this.#book.addCost(shape, images, gpuMs),
      });
    } finally {
      this.#batches--;
      this.#images -= drawings.length;
      this.#tell();
    }
  }

  async #write(): Promise<void> {
    this.#writing = true;
    try {
      const { lines } = this.#book;
      this.#book.lines = [];
      const shards = this.#state.shards + 1;
      this.#state = { ...this.#state, shards };
      const name = `${this.#state.run}-${String(shards).padStart(6, '0')}`;
      await writeShard({ catalog: this.request.catalog, name, lines });
    } finally {
      this.#writing = false;
    }
  }

  /** Lets everything come to rest, writes what is known by then, and for a cancelled run the summary. */
  async #abandon(error: unknown): Promise<void> {
    this.#isEnding = true;
    this.#scope.cancel();
    await CancellationScope.nonCancellable(async () => {
      await condition(() => this.#isIdle && !this.#writing);
      if (this.request.dryRun) return;
      try {
        if (this.#book.lines.length > 0) await this.#write();
        if (isCancellation(error)) await this.finish('cancelled');
      } catch {
        // The store that can't be written may be why it ends.
      }
    });
  }

  #handOn(): CatalogState {
    const { done, failed, unchanged, moved, costs } = this.#book;
    return { ...this.#state, done, failed, unchanged, moved, costs };
  }

  #change(change: Partial<Pick<CatalogState, 'isPaused' | 'concurrency'>>): CatalogProgress {
    this.#state = { ...this.#state, ...change };
    this.#book.forgetMarks();
    this.#isStirred = true;
    this.#tell();
    return this.#progress();
  }

  #progress(): CatalogProgress {
    const { cursor, isRead, size, isPaused, concurrency } = this.#state;
    const { done, failed, unchanged, moved, gpuMs } = this.#book;
    const isGuess = !isRead;
    const rows =
      isGuess && cursor.offset > 0 ? Math.round((cursor.rows * size) / cursor.offset) : cursor.rows;
    const rowsPerSecond = this.#book.rowsPerSecond(Date.now());
    const left = Math.max(0, rows - done - failed - unchanged - moved);
    return {
      state: this.#isEnding ? 'ending' : isPaused ? 'paused' : 'running',
      rows,
      isGuess,
      done,
      failed,
      unchanged: unchanged + moved,
      inFlight: this.#images,
      concurrency,
      rowsPerSecond: Math.round(rowsPerSecond * 100) / 100,
      ...(rowsPerSecond > 0 && rows > 0 && { secondsLeft: Math.round(left / rowsPerSecond) }),
      gpuSeconds: Math.round(gpuMs / 100) / 10,
    };
  }

  /** In words, for Temporal's UI. */
  #tell(): void {
    const { state, rows, isGuess, done, failed, unchanged, rowsPerSecond } = this.#progress();
    setCurrentDetails(
      `${state}: ${done} drawn, ${failed} failed, ${unchanged} there already, of ${isGuess ? 'about ' : ''}${rows} rows · ${rowsPerSecond} a second`,
    );
  }
}
