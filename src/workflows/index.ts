export { generateBatch } from './generate-batch.js';
export { generateImage } from './generate-image.js';
export { renderCatalog } from './render-catalog.js';
