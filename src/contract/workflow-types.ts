/** Names under which clients start our workflows: they never change, since histories hold them. */
export const GENERATE_IMAGE = 'generateImage';

/** Query of every job: `JobProgress`. */
export const PROGRESS_QUERY = 'progress';

/** Signal from `generate` to its workflow: a `StepProgress` without preview. */
export const STEP_SIGNAL = 'step';

/**
 * How many steps of an image its workflow hears of at most: each costs four events of history. All of them reach
 * whoever follows the job, by way of heartbeats, which cost none.
 */
export const STEP_SIGNALS = 3;
