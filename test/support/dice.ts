/*
 * A process that has drawn from every generator before it is captured. It listens on the Unix socket that it is given;
 * `draw` is answered with what it draws next, `wake` with the same once it was told that it has been restored.
 */
import crypto, { webcrypto } from 'node:crypto';
import { createServer } from 'node:net';
import { promisify } from 'node:util';
import { findReseed } from '../../src/gpu/engine/randomness.js';

const [path = ''] = process.argv.slice(2);

/** What each generator says next, by its name. */
async function draw(): Promise<Record<string, string>> {
  const { privateKey } = await promisify(crypto.generateKeyPair)('ed25519', {
    publicKeyEncoding: { type: 'spki', format: 'der' },
    privateKeyEncoding: { type: 'pkcs8', format: 'der' },
  });
  const onThread = await promisify<number, Buffer>(crypto.randomBytes)(16);
  const hex = (bytes: ArrayBufferView) =>
    Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
  return {
    'Math.random': String(Math.random()),
    randomBytes: hex(crypto.randomBytes(16)),
    'randomBytes on a thread': hex(onThread),
    randomFillSync: hex(crypto.randomFillSync(Buffer.alloc(16))),
    randomUUID: crypto.randomUUID(),
    'randomUUID of Web Crypto': webcrypto.randomUUID(),
    randomInt: String(crypto.randomInt(2 ** 47)),
    getRandomValues: hex(webcrypto.getRandomValues(new Uint8Array(16))),
    generateKeyPair: privateKey.toString('hex'),
  };
}

await draw();
const reseed = await findReseed();
createServer((socket) => {
  socket.once('data', async (asked) => {
    if (String(asked) === 'wake') reseed();
    socket.end(JSON.stringify(await draw()));
  });
}).listen(path);
