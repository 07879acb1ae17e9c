export type { BlobOptions, BlobPart, BlobStore, DownloadOptions } from './blob-store.js';
export { createFolderStore } from './folder-store.js';
export { openStore, openStoreOf } from './open-store.js';
export type { S3Credentials } from './s3-client.js';
export { createS3Store, type S3Limits, type S3StoreOptions } from './s3-store.js';
