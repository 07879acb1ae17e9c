export { generateImage } from './generate-image.js';
