import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';
import { z } from 'zod';

/*
 * The "runner" that Temporal's debug replayer talks to, in a thread of its own: the replayer's thread stands still
 * while it tells which task it has come to.
 */

const bytes = z.instanceof(Uint8Array).parse(workerData);

const server = createServer((request, response) => {
  request.resume();
  if (request.method === 'GET' && request.url === '/history') {
    response.writeHead(200, { 'content-length': bytes.length }).end(bytes);
  } else {
    response.writeHead(200, { 'content-length': 0 }).end();
  }
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
parentPort?.postMessage((server.address() as AddressInfo).port);
