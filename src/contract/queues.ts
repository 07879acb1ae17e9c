/** Workflows and light activities. */
export const DIFFUSION_QUEUE = 'diffusion';

/** The queue of every GPU that holds this model; each of its workers has one activity slot. */
export function gpuQueue(model: string): string {
  return `diffusion-gpu.${model}`;
}

/** A host's own queue, for what only it can do: publish the pixels that it holds. */
export function hostQueue(hostId: string): string {
  return `diffusion-host.${hostId}`;
}
