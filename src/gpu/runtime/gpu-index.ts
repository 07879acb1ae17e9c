const GPU = /^cuda:(\d+)$/;

/** The number that the CUDA driver gives a GPU, or undefined for any other device. */
export function gpuIndexOf(device: `cuda:${number}`): number;
export function gpuIndexOf(device: string): number | undefined;
export function gpuIndexOf(device: string): number | undefined {
  const [, index] = GPU.exec(device) ?? [];
  return index === undefined ? undefined : Number(index);
}
