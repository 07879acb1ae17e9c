/** How long what surrounds a job took, in milliseconds. Server and engine start side by side. */
export interface Timings {
  /** Until Temporal answered: the embedded server's start, or the connection to another one. */
  readonly serverMs: number;
  /** Until the engine of the embedded worker could draw; undefined where there is none. */
  readonly engineMs: number | undefined;
  /** From the request to the result. */
  readonly jobMs: number;
  /** From the start of the command's process. */
  readonly totalMs: number;
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}
