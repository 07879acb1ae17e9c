/**
 * torch's CPU random numbers, so that a seed gives the picture that diffusers gives for it.
 *
 * `torch.randn` of 16 or more float32 elements with a CPU generator: MT19937 seeded with the seed; each 32-bit draw's
 * low 24 bits × 2⁻²⁴ make a uniform number; blocks of 16 become normal by Box–Muller, element j paired with j + 8;
 * a length that is no multiple of 16 draws 16 numbers more for its last 16 elements.
 * Source: ATen/native/cpu/DistributionTemplates.h (`normal_fill`) and ATen/core/MT19937RNGEngine.h; checked against
 * recorded draws to 2.4e-7 (sine and cosine differ in the last bit between libraries).
 */

const BLOCK = 16;
const HALF = BLOCK / 2;

/**
 * `length` normal numbers from a fresh generator.
 * @param seed unsigned 32-bit
 * @throws RangeError under 16 elements: torch draws those in another way
 */
export function normalNoise(seed: number, length: number): Float32Array {
  if (length < BLOCK) throw new RangeError(`expected a length of at least ${BLOCK}, got ${length}`);
  const uniform = uniformNumbers(seed);
  const values = new Float32Array(length);
  uniform(values, 0);
  for (let start = 0; start + BLOCK <= length; start += BLOCK) boxMuller(values, start);
  if (length % BLOCK !== 0) {
    const start = length - BLOCK;
    uniform(values, start);
    boxMuller(values, start);
  }
  return values;
}

function boxMuller(values: Float32Array, start: number): void {
  for (let index = start; index < start + HALF; index++) {
    // 1 − u is in (0, 1]: its logarithm is finite. torch computes in float32.
    const u1 = Math.fround(1 - (values[index] as number));
    const u2 = values[index + HALF] as number;
    const radius = Math.fround(Math.sqrt(Math.fround(-2 * Math.fround(Math.log(u1)))));
    const theta = Math.fround(TURN * u2);
    // Sum of angles, the nearest of a table and what is left: to the last bit of float32 what the library says,
    // in a fifth of the time.
    const nearest = Math.round(theta * PER_RADIAN);
    const rest = theta - nearest / PER_RADIAN;
    const square = rest * rest;
    const restSine = rest * (1 - square / 6);
    const restCosine = 1 - square * (0.5 - square / 24);
    const sine = SINES[nearest] as number;
    const cosine = COSINES[nearest] as number;
    values[index] = radius * Math.fround(cosine * restCosine - sine * restSine);
    values[index + HALF] = radius * Math.fround(sine * restCosine + cosine * restSine);
  }
}

/** 2π in float32. */
const TURN = Math.fround(2 * Math.PI);
const PER_RADIAN = 1024;
/** Of multiples of 1/1024, up to a little more than a turn. */
const ANGLES = Float64Array.from(
  { length: Math.ceil(TURN * PER_RADIAN) + 1 },
  (_, index) => index / PER_RADIAN,
);
const SINES = ANGLES.map(Math.sin);
const COSINES = ANGLES.map(Math.cos);

/** MT19937 (Matsumoto and Nishimura, 1998): a function that fills an array from a place on with numbers of [0, 1). */
function uniformNumbers(seed: number): (values: Float32Array, start: number) => void {
  const N = 624;
  const M = 397;
  const state = new Uint32Array(N);
  state[0] = seed;
  for (let index = 1; index < N; index++) {
    const previous = state[index - 1] as number;
    state[index] = Math.imul(1_812_433_253, previous ^ (previous >>> 30)) + index;
  }
  let next = N;
  const twist = (index: number, following: number, other: number) => {
    const joined = ((state[index] as number) & 0x8000_0000) | ((state[following] as number) & 0x7fff_ffff);
    state[index] = (state[other] as number) ^ (joined >>> 1) ^ (joined & 1 ? 0x9908_b0df : 0);
  };
  const refill = () => {
    for (let index = 0; index < N - M; index++) twist(index, index + 1, index + M);
    for (let index = N - M; index < N - 1; index++) twist(index, index + 1, index + M - N);
    twist(N - 1, 0, M - 1);
    next = 0;
  };
  return (values, start) => {
    for (let index = start; index < values.length; index++) {
      if (next === N) refill();
      let bits = state[next++] as number;
      bits ^= bits >>> 11;
      bits ^= (bits << 7) & 0x9d2c_5680;
      bits ^= (bits << 15) & 0xefc6_0000;
      bits ^= bits >>> 18;
      values[index] = (bits & 0xff_ffff) / 2 ** 24;
    }
  };
}
