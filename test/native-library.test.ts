import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Ort } from '../src/gpu/runtime/cuda/ort.js';
import { onnxruntimeLibrary } from '../src/gpu/runtime/onnxruntime-library.js';

// In a process of its own: nothing else of it may hold the library.
test('a library stays loaded while nothing but addresses in it is left', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const ort = Ort.load(onnxruntimeLibrary());
  for (let round = 0; round < 3; round++) {
    collect();
    await setImmediate();
  }
  ort.memoryOf({ kind: 'cpu' });
  ort.close();
});
