/* A thread that digests the files it is told of, one after the other. */
import { parentPort } from 'node:worker_threads';
import { fileDigest } from './file-digest.js';

const port = parentPort;
if (!port) throw new Error('expected to be started as a worker thread');
port.on('message', async (file: string) => port.postMessage(await fileDigest(file)));
