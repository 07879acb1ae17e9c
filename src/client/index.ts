export {
  CheckpointInvalid,
  ClaimLost,
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
export { DiffusionClient, type DiffusionClientOptions } from './diffusion-client.js';
export { JobHandle } from './job-handle.js';
export type { JobUpdate } from './updates.js';
