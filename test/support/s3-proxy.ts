import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** What happens to one request on its way. */
export type Fault =
  /** The server never hears of it; this is the answer. */
  | { readonly kind: 'answer'; readonly status: number; readonly code: string; readonly body?: string }
  /** The connection breaks once the server has got this many bytes of the request's body. */
  | { readonly kind: 'cut-request'; readonly afterBytes: number }
  /** The server has done its work, but its answer breaks off after this many bytes of its body; 0: before any header. */
  | { readonly kind: 'cut-response'; readonly afterBytes: number }
  /** The answer lacks its end, and its headers agree with that: only a checksum can tell. */
  | { readonly kind: 'shorten-response'; readonly toBytes: number }
  /** One bit of the body is another one. */
  | { readonly kind: 'flip-request' | 'flip-response' }
  /** Nothing ever comes back. The server never hears of it, or has done its work, or has sent this much. */
  | { readonly kind: 'stall-request' | 'stall-response' }
  | { readonly kind: 'stall-body'; readonly afterBytes: number }
  /** The answer comes a byte at a time. */
  | { readonly kind: 'trickle-response'; readonly everyMs: number }
  /** The answer comes late. */
  | { readonly kind: 'delay-response'; readonly byMs: number };

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: NodeJS.Dict<string | string[]>;
}

/** Stands between a client and an S3 server, and does to requests what networks do. Untouched otherwise, signatures included. */
export interface S3Proxy {
  readonly endpoint: string;
  /** All requests so far. */
  readonly requests: readonly SeenRequest[];
  /**
   * Lets these faults befall the next requests of a method, one each, in this order.
   * @param method such as `PUT`; a copy is one with `COPY`
   */
  fail(method: string, ...faults: readonly Fault[]): void;
  /** How many faults have not befallen anything yet. */
  readonly remaining: number;
  close(): Promise<void>;
}

export async function startS3Proxy(target: string): Promise<S3Proxy> {
  const { hostname, port } = new URL(target);
  const pending: { readonly method: string; readonly fault: Fault }[] = [];
  const requests: SeenRequest[] = [];

  function nextFault(method: string): Fault | undefined {
    const index = pending.findIndex((candidate) => candidate.method === method);
    return index < 0 ? undefined : pending.splice(index, 1)[0]?.fault;
  }

  async function handle(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const { method = '', url: path = '', headers } = incoming;
    const kind = headers['x-amz-copy-source'] === undefined ? method : 'COPY';
    requests.push({ method: kind, path, headers });
    const fault = nextFault(kind);

    if (fault?.kind === 'stall-request') return;
    if (fault?.kind === 'answer') {
      incoming.resume();
      await once(incoming, 'end');
      outgoing.writeHead(fault.status, { 'content-type': 'application/xml' });
      outgoing.end(fault.body ?? `<Error><Code>${fault.code}</Code><Message>told to</Message></Error>`);
      return;
    }

    // Raw headers, Host among them: the signature covers it.
    const onward = request({ hostname, port, method, path, headers: incoming.rawHeaders, agent: false });
    onward.on('error', () => incoming.socket.destroy());
    const body = await collect(incoming);
    if (fault?.kind === 'cut-request') {
      onward.write(body.subarray(0, fault.afterBytes), () => {
        onward.destroy();
        incoming.socket.destroy();
      });
      return;
    }
    onward.end(fault?.kind === 'flip-request' ? flipped(body) : body);

    const [answer] = (await once(onward, 'response')) as [IncomingMessage];
    const content = await collect(answer);
    await respond(outgoing, answer, content, fault);
  }

  const server = createServer((incoming, outgoing) => {
    handle(incoming, outgoing).catch(() => incoming.socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  async function close(): Promise<void> {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  }

  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    fail: (method, ...faults) => void pending.push(...faults.map((fault) => ({ method, fault }))),
    get remaining() {
      return pending.length;
    },
    close,
  };
}

async function respond(
  outgoing: ServerResponse,
  answer: IncomingMessage,
  content: Buffer,
  fault: Fault | undefined,
): Promise<void> {
  const head = (): void => void outgoing.writeHead(answer.statusCode ?? 502, answer.rawHeaders);
  switch (fault?.kind) {
    case 'stall-response':
      return;
    case 'cut-response':
      if (fault.afterBytes === 0) {
        outgoing.socket?.destroy();
        return;
      }
      head();
      outgoing.write(content.subarray(0, fault.afterBytes), () => outgoing.socket?.destroy());
      return;
    case 'stall-body':
      head();
      outgoing.write(content.subarray(0, fault.afterBytes));
      return;
    case 'shorten-response': {
      const { 'content-length': _, ...headers } = answer.headers;
      outgoing.writeHead(answer.statusCode ?? 502, { ...headers, 'content-length': fault.toBytes });
      outgoing.end(content.subarray(0, fault.toBytes));
      return;
    }
    case 'trickle-response':
      head();
      for (let at = 0; at < content.length && !outgoing.destroyed; at++) {
        outgoing.write(content.subarray(at, at + 1));
        await sleep(fault.everyMs);
      }
      outgoing.end();
      return;
    case 'delay-response':
      await sleep(fault.byMs);
      break;
  }
  head();
  outgoing.end(fault?.kind === 'flip-response' ? flipped(content) : content);
}

function flipped(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  copy[copy.length >> 1] = (copy[copy.length >> 1] ?? 0) ^ 1;
  return copy;
}

async function collect(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}
