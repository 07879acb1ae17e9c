export { tracedCalls } from './client/traced-calls.js';
export { traceFields } from './worker/trace-fields.js';
export type { WorkerTracing } from './worker/tracing.js';
