export type { Moderate } from './activities/prompt.js';
export { readProvenance } from './activities/provenance.js';
export type { RequestLimits } from './activities/request-limits.js';
export * from './contract/errors.js';
export type { Provenance } from './contract/job.js';
export type { Device } from './gpu/runtime/session.js';
export { DiffusionPlugin, type DiffusionPluginOptions } from './plugin.js';
export {
  type BlobOptions,
  type BlobPart,
  type BlobStore,
  createFolderStore,
  createS3Store,
  type DownloadOptions,
  openStore,
  openStoreOf,
  type S3Credentials,
  type S3Limits,
  type S3StoreOptions,
} from './storage/index.js';
export {
  type CommonWorkerOptions,
  createGpuWorker,
  type DiffusionWorker,
  type DiffusionWorkerOptions,
  type SeveralModels,
  type WorkerDeployment,
  type WorkerRole,
} from './worker/gpu-worker.js';
export type { WorkerModel } from './worker/model-engines.js';
export { installTemporalRuntime, type TemporalRuntimeOptions } from './worker/sdk-logger.js';
