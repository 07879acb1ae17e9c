import { pino } from 'pino';
import { createEngineHost } from '../../src/gpu/host.js';
import { itemsOf, type Lab, MODEL, milliseconds } from './lab.js';
import type { ColdStart } from './results.js';

/** An engine as a worker starts one, to its first picture; then one more picture. */
export async function coldStart(lab: Lab): Promise<ColdStart> {
  const { checkpoint, device, cacheFolder, threads } = lab;
  const [size = 1024] = lab.sizes;
  const began = performance.now();
  const host = createEngineHost({
    ...{ checkpoint, device, cacheFolder, threads },
    model: MODEL,
    // `keeper-check.ts` is about those.
    keeper: false,
    log: pino({ level: 'silent' }),
  });
  try {
    const since = () => performance.now() - began;
    const [readyMs, firstPictureMs] = await Promise.all([
      host.ready().then(since),
      host.render({ items: itemsOf(size, 1) }).then(since),
    ]);
    const warmMs = await milliseconds(() => host.render({ items: itemsOf(size, 1) }));
    return { readyMs, firstPictureMs, warmMs };
  } finally {
    await host.close();
  }
}
