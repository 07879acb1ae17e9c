import { DefaultLogger, type LogLevel, Runtime } from '@temporalio/worker';
import { type Logger, pino } from 'pino';

const levels: Readonly<Record<LogLevel, pino.Level>> = {
  TRACE: 'trace',
  DEBUG: 'debug',
  INFO: 'info',
  WARN: 'warn',
  ERROR: 'error',
};

/** What becomes of the log lines of Temporal's SDK. */
export interface TemporalRuntimeOptions {
  /** Where what Temporal's SDK and its native core say goes, as JSON lines beside ours. */
  readonly log: Logger;
  /** The least of it that is passed on. */
  readonly level: LogLevel;
  /** Where the native core answers `GET /metrics` with its own metrics, such as `0.0.0.0:9464`. Default: nowhere. */
  readonly metricsAddress?: string;
}

/**
 * Sets up Temporal's runtime, of which a process has one: before any connection or worker is made.
 * Signals are the caller's: the SDK's own handlers would stop all workers at once, and pixels whose publishing
 * worker stops with them are drawn again elsewhere.
 */
export function installTemporalRuntime({ log, level, metricsAddress }: TemporalRuntimeOptions): void {
  // Without the serializer pino prints the SDK's errors as {}.
  const target = log.child({ part: 'temporal' }, { serializers: { error: pino.stdSerializers.err } });
  Runtime.install({
    logger: new DefaultLogger(level, (entry) => target[levels[entry.level]](entry.meta ?? {}, entry.message)),
    telemetryOptions: {
      logging: { filter: { core: level, other: 'ERROR' }, forward: {} },
      ...(metricsAddress !== undefined && {
        metrics: {
          prometheus: {
            bindAddress: metricsAddress,
            // As Prometheus has it, and as our own are.
            countersTotalSuffix: true,
            unitSuffix: true,
            useSecondsForDurations: true,
          },
        },
      }),
    },
    shutdownSignals: [],
  });
}
