/** What spans of workflows leave them by (a sink of Temporal's), to a worker that does not want them. */
export const NO_SPANS = { exporter: { export: { fn(): void {} } } };
