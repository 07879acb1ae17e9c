import type { WorkflowInboundCallsInterceptor, WorkflowInterceptorsFactory } from '@temporalio/workflow';

/*
 * Traces the jobs whose callers trace them, with Temporal's own interceptors. Whether they do stands in the history of
 * a job (as a header of its start), so a job is the same to a worker that traces and to one that does not, and each can
 * go on with what the other has begun. Awaiting one time more or less than before may change the order of commands:
 * for a job that nobody traces nothing here may be async.
 *
 * Interceptors are evaluated anew for each job; OpenTelemetry's modules are loaded by the jobs that need them.
 */

const TRACE_HEADER = '_tracer-data';
const load = () =>
  import(/* webpackMode: "eager" */ '@temporalio/interceptors-opentelemetry/lib/workflow/index.js');

export const interceptors: WorkflowInterceptorsFactory = () => {
  type Tracing = Awaited<ReturnType<typeof load>>;
  let inbound: InstanceType<Tracing['OpenTelemetryInboundInterceptor']> | undefined;
  let outbound: InstanceType<Tracing['OpenTelemetryOutboundInterceptor']> | undefined;
  let internals: InstanceType<Tracing['OpenTelemetryInternalsInterceptor']> | undefined;

  const executeTraced: NonNullable<WorkflowInboundCallsInterceptor['execute']> = async (input, next) => {
    const tracing = await load();
    inbound = new tracing.OpenTelemetryInboundInterceptor();
    outbound = new tracing.OpenTelemetryOutboundInterceptor();
    internals = new tracing.OpenTelemetryInternalsInterceptor();
    return inbound.execute(input, next);
  };

  return {
    inbound: [
      {
        execute: (input, next) => (TRACE_HEADER in input.headers ? executeTraced(input, next) : next(input)),
        // One without a header would begin a trace beside the job's.
        handleSignal: (input, next) =>
          inbound && TRACE_HEADER in input.headers ? inbound.handleSignal(input, next) : next(input),
      },
    ],
    outbound: [
      {
        scheduleActivity: (input, next) => (outbound ? outbound.scheduleActivity(input, next) : next(input)),
        scheduleLocalActivity: (input, next) =>
          outbound ? outbound.scheduleLocalActivity(input, next) : next(input),
        continueAsNew: (input, next) => (outbound ? outbound.continueAsNew(input, next) : next(input)),
        getLogAttributes: (input, next) => (outbound ? outbound.getLogAttributes(input, next) : next(input)),
      },
    ],
    internals: [
      {
        dispose(input, next): void {
          if (internals) void internals.dispose(input, next);
          else next(input);
        },
      },
    ],
  };
};
