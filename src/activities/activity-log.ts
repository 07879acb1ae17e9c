import { Context } from '@temporalio/activity';
import type { Logger } from 'pino';

/** `log`, whose lines say whose they are: the job's, as Temporal knows it, and the attempt at one of its activities. */
export function activityLog(log: Logger): Logger {
  const { workflowExecution, activityType, attempt } = Context.current().info;
  return log.child({ job: workflowExecution?.workflowId, activity: activityType, attempt });
}
