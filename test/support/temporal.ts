import { pino } from 'pino';
import { type Server, startServer } from '../../bench/server.js';
import { temporalSdkLoader } from '../../src/cli/temporal-sdk.js';

/** Set TEST_LOG=debug to see what happens. */
export const log = pino({ level: process.env.TEST_LOG ?? 'silent' }, pino.destination(2));

export const loadSdk = temporalSdkLoader(log, process.env.TEST_LOG === undefined ? 'ERROR' : 'INFO');

export type TestServer = Server;

/** A real Temporal server. The caller closes it, once the workers that use it have stopped. */
export const startTestServer = (): Promise<TestServer> => startServer(loadSdk, { pollMs: 20 });
