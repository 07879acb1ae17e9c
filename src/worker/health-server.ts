import { once } from 'node:events';
import { createServer } from 'node:http';

/** Why a worker does not take work at the moment; none: it does. */
export type Readiness = () => readonly string[] | Promise<readonly string[]>;

export interface HealthServerOptions {
  /** Default: all of this machine's. */
  readonly address?: string;
  /** What `GET /metrics` answers, in Prometheus's text format. Default: there is no such page. */
  readonly metrics?: () => Promise<string>;
  /** Lines below each answer of `/readyz`. Default: none. */
  readonly states?: () => readonly string[];
}

export interface HealthServer {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Answers `GET /livez` (200 while this process can answer at all) and `GET /readyz` (200, or 503 with a reason a line),
 * and `GET /metrics`.
 * @param port 0: any that is free
 * @throws Error where the port is taken
 */
export async function startHealthServer(
  port: number,
  readiness: Readiness,
  { address = '0.0.0.0', metrics, states = () => [] }: HealthServerOptions = {},
): Promise<HealthServer> {
  const paths = `/livez${metrics ? ', /readyz or /metrics' : ' or /readyz'}`;
  const server = createServer((request, response) => {
    const answer = (status: number, text: string, type = 'text/plain; charset=utf-8') =>
      response.writeHead(status, { 'content-type': type }).end(`${text}\n`);
    if (request.method !== 'GET' && request.method !== 'HEAD') return answer(405, 'expected GET');
    if (request.url === '/livez') return answer(200, 'alive');
    if (metrics && request.url === '/metrics') {
      return metrics().then(
        (text) => answer(200, text, 'text/plain; version=0.0.4; charset=utf-8'),
        (error: unknown) => answer(500, String(error)),
      );
    }
    if (request.url !== '/readyz') return answer(404, `expected ${paths}`);
    return Promise.resolve(readiness()).then(
      (reasons) =>
        reasons.length === 0
          ? answer(200, ['ready', ...states()].join('\n'))
          : answer(503, [...reasons, ...states()].join('\n')),
      (error: unknown) => answer(503, String(error)),
    );
  });
  server.listen(port, address);
  await once(server, 'listening');
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('expected a TCP address');
  return {
    port: bound.port,
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
