import type { LogLevel } from '@temporalio/worker';
import type { Logger } from 'pino';

/** Temporal's worker SDK, set up for this process. Loading it takes half a second: what can happen meanwhile should. */
export type TemporalSdk = typeof import('@temporalio/worker');
export type LoadTemporalSdk = () => Promise<TemporalSdk>;

/** @param level the least of what the SDK says that goes to the log */
export function temporalSdkLoader(log: Logger, level: LogLevel): LoadTemporalSdk {
  let loading: Promise<TemporalSdk> | undefined;

  async function load(): Promise<TemporalSdk> {
    const [sdk, { installTemporalRuntime }] = await Promise.all([
      import('@temporalio/worker'),
      import('../worker/sdk-logger.js'),
    ]);
    installTemporalRuntime({ log, level });
    return sdk;
  }

  return () => (loading ??= load());
}
