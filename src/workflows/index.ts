import type { BatchJob, BatchResult } from '../contract/batch.js';
import type { CatalogRequest, CatalogState, CatalogSummary } from '../contract/catalog.js';

/*
 * Each workflow's modules are evaluated anew for each of its runs, and zod's alone take longer than all else that a
 * single image's needs: what has schemas is loaded by who uses them. "Eager" keeps it in the one file of the bundle.
 */

export { generateImage } from './generate-image.js';

/** Up to 1,000 items, drawn together; ends well also where some of them failed. */
export async function generateBatch(input: BatchJob): Promise<BatchResult> {
  const workflow = await import(/* webpackMode: "eager" */ './generate-batch.js');
  return workflow.generateBatch(input);
}

/** Draws every row of a catalogue that has no picture yet. @param handedOn what the run before it leaves to do */
export async function renderCatalog(input: CatalogRequest, handedOn?: CatalogState): Promise<CatalogSummary> {
  const workflow = await import(/* webpackMode: "eager" */ './render-catalog.js');
  return workflow.renderCatalog(input, handedOn);
}
