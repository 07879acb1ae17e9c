export { generateBatch } from './generate-batch.js';
export { generateImage } from './generate-image.js';
