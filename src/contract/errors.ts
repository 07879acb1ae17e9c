/**
 * What can go wrong with a render, one class a kind. `type` becomes the type of Temporal's `ApplicationFailure`
 * and never changes; `retry` is the fixed answer to "may this be tried again?".
 */
export abstract class RenderError extends Error {
  abstract readonly type: string;
  abstract readonly retry: boolean;

  override get name(): string {
    return this.type;
  }
}

function kind<const T extends string>(type: T, retry: boolean) {
  abstract class Kind extends RenderError {
    static readonly type: T = type;
    static readonly retry: boolean = retry;
    readonly type: T = type;
    readonly retry: boolean = retry;
  }
  return Kind;
}

/** The request breaks the contract, or asks what this model can't do. The caller must change it. */
export class InvalidRequest extends kind('InvalidRequest', false) {}
/** Too much waits already. Not retried by the job: whoever asked may ask again, later. */
export class Busy extends kind('Busy', true) {}
/** No worker of this deployment knows the model's name. */
export class UnknownModel extends kind('UnknownModel', false) {}
/** The moderation hook of `preparePrompt` refused the prompt. */
export class PromptRejected extends kind('PromptRejected', false) {}
/** The model folder is damaged, incomplete, or of a kind that is not supported. Somebody must repair it. */
export class CheckpointInvalid extends kind('CheckpointInvalid', false) {}
/** Weights and activations do not fit. Retried smaller. */
export class OutOfMemory extends kind('OutOfMemory', true) {}
/** The engine process ended in mid-work. Retried on a new one. */
export class EngineCrashed extends kind('EngineCrashed', true) {}
/** The engine lives but stopped answering; it was killed. Retried on a new one. */
export class EngineStalled extends kind('EngineStalled', true) {}
/** Another engine holds the device. Retried when it may be free, or on another host. */
export class DeviceBusy extends kind('DeviceBusy', true) {}
/** The GPU is gone for this process. Retried on another host. */
export class DeviceLost extends kind('DeviceLost', true) {}
/** This host draws with other weights than the job was planned for: somebody replaces the model. Retried on another host, then planned anew. */
export class ModelReplaced extends kind('ModelReplaced', true) {}
/** The store can't be read or written at the moment: away, full, read-only. Retried with back-off. */
export class StorageUnavailable extends kind('StorageUnavailable', true) {}
/** The store says no and will go on saying so: not permitted, no folder, no bucket. It is the wrong one, so the job fails at once. */
export class StorageRefused extends kind('StorageRefused', false) {}
/** A snapshot can't be used. The worker starts cold instead. */
export class SnapshotInvalid extends kind('SnapshotInvalid', true) {}
/** The pixels that a claim names are not on this host any more. The workflow renders them again. */
export class ClaimLost extends kind('ClaimLost', false) {}
/** Somebody cancelled the job before it was done. */
export class JobCancelled extends kind('JobCancelled', false) {}

const kinds = [
  InvalidRequest,
  Busy,
  UnknownModel,
  PromptRejected,
  CheckpointInvalid,
  OutOfMemory,
  EngineCrashed,
  EngineStalled,
  DeviceBusy,
  DeviceLost,
  ModelReplaced,
  StorageUnavailable,
  StorageRefused,
  SnapshotInvalid,
  ClaimLost,
  JobCancelled,
] as const;

/** The `type` of every kind. */
export const ERROR_TYPES: readonly string[] = kinds.map(({ type }) => type);

/**
 * Makes the error that a `type` string stands for, after it crossed a process border.
 * @returns undefined where the type is not one of ours
 */
export function errorOfType(
  type: string | null | undefined,
  message: string,
  options?: ErrorOptions,
): RenderError | undefined {
  const Kind = kinds.find((candidate) => candidate.type === type);
  return Kind && new Kind(message, options);
}
