/** A duration without the digits that no clock is good for: they would only make histories longer. */
export function tenths(ms: number): number {
  return Math.round(ms * 10) / 10;
}
