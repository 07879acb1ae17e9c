/*
 * Who goes first where several jobs wait for one GPU. Temporal's numbers: 1 is the most urgent, 5 the least; 3 is what
 * a task has that says nothing. Within one of them, tenants share by weight where the server has fairness switched on.
 */

/** Somebody waits for it. */
export const INTERACTIVE = 2;
/** Somebody waits for all of it together. */
export const BATCH = 3;
/** Nobody waits. */
export const CATALOG = 4;

/** Whose turn it is among jobs of the same urgency. */
export interface Share {
  readonly tenant: string;
  readonly tenantWeight: number;
}

/** What Temporal calls an activity's `priority`. */
export function priorityOf(urgency: number, { tenant, tenantWeight }: Share) {
  return { priorityKey: urgency, fairnessKey: tenant, fairnessWeight: tenantWeight };
}
