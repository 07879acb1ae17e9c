import type { EngineHost } from '../../src/gpu/host.js';
import { openCudaDriver } from '../../src/gpu/runtime/cuda/cuda-driver.js';
import { gpuIndexOf } from '../../src/gpu/runtime/gpu-index.js';
import type { Device } from '../../src/gpu/runtime/session.js';

/**
 * Takes a GPU's memory, but for so many bytes: what others have counts among these. Nothing on the CPU, or without a
 * budget.
 * @param host that knows how much memory the device has
 */
export async function takeAllBut(
  device: Device,
  host: EngineHost,
  budgetBytes: number | undefined,
): Promise<AsyncDisposable & { readonly bytes: number }> {
  if (budgetBytes === undefined || device === 'cpu')
    return { bytes: 0, [Symbol.asyncDispose]: async () => {} };
  const { deviceMemory } = await host.stats();
  const driver = await openCudaDriver({ device: gpuIndexOf(device), leastCuda: '13.0' });
  const bytes = Math.max(1, (deviceMemory?.totalBytes ?? 0) - budgetBytes);
  const buffer = driver.allocate(bytes);
  return {
    bytes,
    async [Symbol.asyncDispose]() {
      buffer.close();
      driver.close();
    },
  };
}
