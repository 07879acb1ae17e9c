import { randomUUID } from 'node:crypto';
import { access, mkdir, readlink, rename, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DeviceLost } from '../../../contract/errors.js';
import { onnxruntimeLibrary, onnxruntimeVersion } from '../onnxruntime-library.js';

/** The two libraries that ONNX Runtime's CUDA kernels are in; they come with `onnxruntime-gpu`. */
export const PROVIDER_LIBRARIES = [
  'libonnxruntime_providers_shared.so',
  'libonnxruntime_providers_cuda.so',
] as const;

/**
 * ONNX Runtime looks for its providers beside itself only, and onnxruntime-node comes without them. So links to all of
 * them are made in one folder, and it is loaded from there.
 * @param cacheFolder where the folder of links is made
 * @param searchPath  folders with the providers, with colons between. Default: `LD_LIBRARY_PATH`
 * @returns the path of ONNX Runtime's library in the folder of links
 * @throws DeviceLost where a provider is in none of the folders
 */
export async function linkProviders(
  cacheFolder: string,
  searchPath = process.env.LD_LIBRARY_PATH ?? '',
): Promise<string> {
  const folder = join(cacheFolder, `onnxruntime-${onnxruntimeVersion()}`);
  await mkdir(folder, { recursive: true });
  for (const name of PROVIDER_LIBRARIES) {
    const path = await findProvider(name, searchPath);
    if (path === undefined) {
      throw new DeviceLost(
        `expected ${name} of onnxruntime-gpu ${onnxruntimeVersion()} in a folder of LD_LIBRARY_PATH, got ${searchPath || 'an empty LD_LIBRARY_PATH'}; docs/gpu.md says how to get it`,
      );
    }
    await link(path, join(folder, name));
  }
  const library = join(folder, 'libonnxruntime.so.1');
  await link(onnxruntimeLibrary(), library);
  return library;
}

/** Where providers are looked for, in this order. @param searchPath folders with colons between */
export function providerFolders(searchPath: string): string[] {
  return [dirname(onnxruntimeLibrary()), ...searchPath.split(':').filter(Boolean)];
}

export async function findProvider(name: string, searchPath: string): Promise<string | undefined> {
  for (const folder of providerFolders(searchPath)) {
    const path = join(folder, name);
    const isThere = await access(path).then(
      () => true,
      () => false,
    );
    if (isThere) return path;
  }
  return undefined;
}

/**
 * Engines that start at the same time make the same links, and none may find one gone that it has made: a link that is
 * wrong is replaced, never taken away.
 */
async function link(target: string, path: string): Promise<void> {
  if ((await readlink(path).catch(() => undefined)) === target) return;
  const temporary = `${path}.${randomUUID()}`;
  await symlink(target, temporary);
  await rename(temporary, path);
}
