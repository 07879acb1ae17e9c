import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** The onnxruntime-node that this package brings along: its folder. */
function packageFolder(): string {
  const entry = createRequire(import.meta.url).resolve('onnxruntime-node');
  return dirname(dirname(entry));
}

/** The version of ONNX Runtime that engines run. */
export function onnxruntimeVersion(): string {
  const manifest = readFileSync(join(packageFolder(), 'package.json'), 'utf8');
  // Not by zod: it takes longer to read than a GPU's libraries, which wait for this.
  const { version } = JSON.parse(manifest) as { readonly version?: unknown };
  if (typeof version !== 'string') throw new Error(`expected a version in ${packageFolder()}/package.json`);
  return version;
}

/** The shared library of ONNX Runtime, with its whole C API. */
export function onnxruntimeLibrary(): string {
  return join(packageFolder(), 'bin', 'napi-v6', process.platform, process.arch, 'libonnxruntime.so.1');
}
