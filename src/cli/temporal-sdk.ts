import type { LogLevel } from '@temporalio/worker';
import type { Logger } from 'pino';

/** Temporal's worker SDK, set up for this process. Loading it takes half a second: what can happen meanwhile should. */
export type TemporalSdk = typeof import('@temporalio/worker');
export type LoadTemporalSdk = () => Promise<TemporalSdk>;

/**
 * @param level the least of what the SDK says that goes to the log
 * @param metricsAddress where its native core tells its metrics. Default: nowhere
 */
export function temporalSdkLoader(log: Logger, level: LogLevel, metricsAddress?: string): LoadTemporalSdk {
  let loading: Promise<TemporalSdk> | undefined;

  async function load(): Promise<TemporalSdk> {
    const [sdk, { installTemporalRuntime }] = await Promise.all([
      import('@temporalio/worker'),
      import('../worker/sdk-logger.js'),
    ]);
    installTemporalRuntime({ log, level, ...(metricsAddress !== undefined && { metricsAddress }) });
    return sdk;
  }

  return () => (loading ??= load());
}
