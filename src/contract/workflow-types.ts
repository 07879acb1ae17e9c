/** The name under which clients start the workflow. It never changes, since histories hold it. */
export const GENERATE_IMAGE = 'generateImage';
/** As `GENERATE_IMAGE`. */
export const GENERATE_BATCH = 'generateBatch';
/** As `GENERATE_IMAGE`. */
export const RENDER_CATALOG = 'renderCatalog';

/** Query of every job: `JobProgress`, `BatchProgress` or `CatalogProgress`. */
export const PROGRESS_QUERY = 'progress';

/** Signal from `generate` to its workflow: a `StepProgress` without preview. */
export const STEP_SIGNAL = 'step';

/**
 * How many steps of an image its workflow hears of at most: each costs four events of history. All of them reach
 * whoever follows the job, by way of heartbeats, which cost none.
 */
export const STEP_SIGNALS = 3;

/**
 * Milliseconds between two of them at least, and from the drawing's begin to the first. Each makes the workflow do a
 * task: on a machine that draws on its own cores, a drawing of half a second took a tenth longer for them, and nobody
 * can look at the workflow so soon.
 */
export const STEP_SIGNALS_APART_MS = 1000;

/** Query of `generateBatch`, with the number of items that are known already: a `BatchPage` of those that finished after them. */
export const BATCH_ITEMS_QUERY = 'finishedItems';

/** Update of `renderCatalog`. It answers with the `CatalogProgress` that it makes, as the two that follow. */
export const PAUSE_UPDATE = 'pause';
/** Ends a pause. */
export const RESUME_UPDATE = 'resume';
/** Takes the new number of batches that may be in flight. */
export const CONCURRENCY_UPDATE = 'setConcurrency';
