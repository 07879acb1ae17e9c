export type {
  BatchImage,
  BatchItemResult,
  BatchProgress,
  BatchRequestInput,
  BatchResult,
} from '../contract/batch.js';
export type {
  CatalogProgress,
  CatalogRequestInput,
  CatalogSummary,
  ResultLine,
} from '../contract/catalog.js';
export {
  Busy,
  CheckpointInvalid,
  ClaimLost,
  DeviceBusy,
  DeviceLost,
  EngineCrashed,
  EngineStalled,
  InvalidRequest,
  JobCancelled,
  ModelReplaced,
  OutOfMemory,
  PromptRejected,
  RenderError,
  StorageRefused,
  StorageUnavailable,
  UnknownModel,
} from '../contract/errors.js';
export type { GenerateResult, PublishedImage } from '../contract/job.js';
export type { GenerateRequestInput } from '../contract/request.js';
export { BatchHandle } from './batch-handle.js';
export { CatalogHandle } from './catalog-handle.js';
export {
  type CatalogScheduleEntry,
  type CatalogScheduleInput,
  CatalogSchedules,
} from './catalog-schedules.js';
export { DiffusionClient, type DiffusionClientOptions } from './diffusion-client.js';
export { JobHandle, type UpdatesOptions } from './job-handle.js';
export type { Setback } from './setbacks.js';
export type { JobUpdate } from './updates.js';
