import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { type CheckpointDriver, refusalOf } from './checkpoint.js';
import { type HelperReply, HelperRequest } from './checkpoint-protocol.js';
import { readAhead } from './read-ahead.js';

/**
 * Answers requests, one after the other, until there are no more.
 * @param open the driver, at the first request; what it throws answers that request and every later one
 */
export async function serveCheckpoints(
  open: () => CheckpointDriver,
  input: Readable,
  output: Writable,
): Promise<void> {
  let driver: CheckpointDriver | undefined;
  for await (const line of createInterface(input)) {
    const request = HelperRequest.parse(JSON.parse(line));
    let reply: HelperReply;
    try {
      if (request.call === 'read-ahead') {
        readAhead(request.paths);
        output.write(`${JSON.stringify({ id: request.id } satisfies HelperReply)}\n`);
        continue;
      }
      driver ??= open();
      reply = { id: request.id, ...answer(driver, request) };
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      reply = { id: request.id, error: { kind: refusalOf(error), message } };
    }
    output.write(`${JSON.stringify(reply)}\n`);
  }
}

type DriverRequest = Exclude<HelperRequest, { call: 'read-ahead' }>;

function answer(driver: CheckpointDriver, request: DriverRequest): Omit<HelperReply, 'id'> {
  switch (request.call) {
    case 'device':
      return { device: driver.device(request.device) };
    case 'state':
      return { state: driver.state(request.pid) };
    case 'lock':
      driver.lock(request.pid, request.timeoutMs);
      return {};
    case 'checkpoint':
      driver.checkpoint(request.pid);
      return {};
    case 'restore':
      driver.restore(request.pid, request.moved);
      return {};
    case 'unlock':
      driver.unlock(request.pid);
      return {};
  }
}
