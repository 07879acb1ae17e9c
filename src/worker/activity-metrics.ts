import { CancelledFailure } from '@temporalio/common';
import type { ActivityInterceptorsFactory } from '@temporalio/worker';
import type { WorkerMetrics } from './metrics.js';
import { reasonOf } from './reason.js';

/** Counts the attempts at activities, how long they waited and took, and what they failed with. */
export function activityMetrics(metrics: WorkerMetrics): ActivityInterceptorsFactory {
  return ({ info }) => ({
    inbound: {
      async execute(input, next) {
        const { activityType: activity, attempt, currentAttemptScheduledTimestampMs } = info;
        const waited = Math.max(0, Date.now() - currentAttemptScheduledTimestampMs);
        metrics.record('activityQueue', waited / 1000, { activity });
        if (attempt > 1) metrics.count('activityRetries', 1, { activity });
        const begun = performance.now();
        const ended = (outcome: 'completed' | 'failed' | 'cancelled') =>
          metrics.record('activityDuration', (performance.now() - begun) / 1000, { activity, outcome });
        try {
          const result = await next(input);
          ended('completed');
          return result;
        } catch (error) {
          if (error instanceof CancelledFailure) ended('cancelled');
          else {
            ended('failed');
            metrics.count('activityFailures', 1, { activity, reason: reasonOf(error) });
          }
          throw error;
        }
      },
    },
  });
}
