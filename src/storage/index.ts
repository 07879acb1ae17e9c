export type { BlobOptions, BlobStore } from './blob-store.js';
export { createFolderStore } from './folder-store.js';
export { openStore } from './open-store.js';
