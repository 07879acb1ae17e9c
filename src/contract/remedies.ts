import {
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
  SnapshotInvalid,
  StorageRefused,
  StorageUnavailable,
  UnknownModel,
} from './errors.js';

/** What is done about each kind of error: by the job itself where it goes on, else by whom. */
const remedies: Readonly<Record<string, string>> = {
  [InvalidRequest.type]: 'the caller changes the request',
  [Busy.type]: 'ask again later, or add GPUs: too much waits already',
  [UnknownModel.type]: 'start workers with this model, or correct its name',
  [PromptRejected.type]: 'the caller changes the prompt: moderation refused it',
  [CheckpointInvalid.type]: 'repair the model folder',
  [OutOfMemory.type]: 'drawn again in smaller batches on a new engine; what fits is remembered',
  [EngineCrashed.type]: 'drawn again by a new engine',
  [EngineStalled.type]: 'the engine was killed; drawn again by a new one',
  [DeviceBusy.type]: 'tried again when the device may be free, or elsewhere',
  [DeviceLost.type]: 'drawn again on another host; look at the GPU of this one',
  [ModelReplaced.type]: 'tried on another host, then planned anew; give all hosts the same model',
  [StorageUnavailable.type]: 'tried again with growing pauses; the pixels wait on their host',
  [StorageRefused.type]: 'somebody gives the worker access to the store, or names the right one',
  [SnapshotInvalid.type]: 'the engine starts from its files',
  [ClaimLost.type]: 'drawn again: the pixels were gone before they were stored',
  [JobCancelled.type]: 'nothing: somebody cancelled it',
  Timeout: 'given to another worker',
};

/** What somebody does where the job itself has done all that it does. */
const lastRemedies: Readonly<Record<string, string>> = {
  [OutOfMemory.type]: 'ask for smaller pictures, or use a device with more memory',
  [EngineCrashed.type]: "look at the engine's last words in the worker's log, then run doctor there",
  [EngineStalled.type]: "look at the worker's log and at the device's load",
  [DeviceBusy.type]: 'end what else uses the device',
  [DeviceLost.type]: "look at the host's GPU: nvidia-smi, dmesg, and doctor --device",
  [ModelReplaced.type]: 'give all hosts the same model folder, restart their workers, and ask again',
  [StorageUnavailable.type]: 'see that the store is there and has room, and ask again',
  [ClaimLost.type]: "look at the GPU workers' logs: hosts end before they have stored what they drew",
  Timeout: 'see that workers of this queue run, and look at their logs',
};

/**
 * What is done about a failure, in a few words.
 * @param type a `RenderError`'s, or `Timeout`
 * @param isLast whether the job has given up. Default: false
 */
export function remedyOf(type: string, isLast = false): string | undefined {
  return (isLast ? lastRemedies[type] : undefined) ?? remedies[type];
}
