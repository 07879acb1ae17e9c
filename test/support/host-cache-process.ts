/*
 * A process that uses a host cache: `node host-cache-process.js FOLDER MAX_BYTES`. It asks for the file that each line
 * of its standard input names, answers with a line of JSON, and keeps all of them in use until its input ends.
 */
import { statSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { HostCache } from '../../src/gpu/runtime/cuda/host-cache.js';

const [folder = '', maxBytes = ''] = process.argv.slice(2);
const cache = HostCache.open({ folder, maxBytes: Number(maxBytes) });
process.stdout.write('"ready"\n');
for await (const file of createInterface({ input: process.stdin })) {
  cache.ensure(file).then(
    ({ path, reason }) => {
      process.stdout.write(`${JSON.stringify({ path, reason, inode: statSync(path).ino })}\n`);
    },
    (error: Error) => {
      process.stdout.write(`${JSON.stringify({ error: error.message })}\n`);
    },
  );
}
