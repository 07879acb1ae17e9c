/** ‖values − expected‖ / ‖expected‖, summed in float64. NaN where anything is. */
export function relativeError(values: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (values.length !== expected.length)
    throw new RangeError(`expected ${expected.length} numbers, got ${values.length}`);
  let [difference, norm] = [0, 0];
  for (let at = 0; at < expected.length; at++) {
    const value = expected[at] as number;
    difference += ((values[at] as number) - value) ** 2;
    norm += value ** 2;
  }
  return Math.sqrt(difference / norm);
}

/** Mean of |values − expected|: for pixels, in levels of 255. */
export function meanDifference(values: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (values.length !== expected.length)
    throw new RangeError(`expected ${expected.length} numbers, got ${values.length}`);
  let sum = 0;
  for (let at = 0; at < expected.length; at++)
    sum += Math.abs((values[at] as number) - (expected[at] as number));
  return sum / expected.length;
}
