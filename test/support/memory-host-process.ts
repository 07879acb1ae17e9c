/*
 * What a worker does with a keeper and an engine, over the in-memory device: starts both, draws, and says the digest of
 * the picture's pixels. Then it waits. Arguments: the folder of the keeper's place, the checkpoint, the cache's folder.
 */
import { createHash } from 'node:crypto';
import { MemoryEngine } from './memory-engine.js';
import { MemoryKeeper } from './memory-keeper.js';

const [place = '', checkpoint = '', cacheFolder = '', item = ''] = process.argv.slice(2);
const keeper = await MemoryKeeper.at(place);
const [engine] = await Promise.all([
  MemoryEngine.spawn(checkpoint, cacheFolder, { keeper: keeper.socket }),
  keeper.ensure({ checkpoint, cacheFolder }),
]);
const connection = await engine.greet();
const [image] = await connection.render({ items: [JSON.parse(item)] });
process.stdout.write(
  createHash('sha256')
    .update(image?.pixels as Buffer)
    .digest('hex'),
);
