export type { BatchImage, BatchItemResult, BatchProgress, BatchRequestInput, BatchResult } from '../contract/batch.js';
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
export { DiffusionClient, type DiffusionClientOptions } from './diffusion-client.js';
export { JobHandle } from './job-handle.js';
export type { JobUpdate } from './updates.js';
