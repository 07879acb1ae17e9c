/*
 * IEEE half precision and bfloat16 as their 16 bits, rounded to nearest, ties to even. Node 20 has neither.
 */

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/** Sign, the 8 bits of float32's exponent, 7 of its fraction. */
export function bfloat16Bits(value: number): number {
  float[0] = value;
  const whole = bits[0] as number;
  // The quiet bit, so that a NaN whose fraction is in the lower half stays one.
  if (Number.isNaN(value)) return (whole >>> 16) | 0x40;
  return ((whole + 0x7fff + ((whole >>> 16) & 1)) >>> 16) & 0xffff;
}

/** Sign, 5 bits of exponent, 10 of fraction; beyond 65504 it is infinite, below 2⁻¹⁴ it loses bits. */
export function float16Bits(value: number): number {
  float[0] = value;
  const whole = bits[0] as number;
  const sign = (whole >>> 16) & 0x8000;
  if (Number.isNaN(value)) return sign | 0x7e00;
  const size = Math.abs(float[0] as number);
  // Of a number below 2⁻¹⁴ the last place is 2⁻²⁴ always, of others 2⁻¹⁰ of its power of two.
  const exponent = Math.max(((whole >>> 23) & 0xff) - 127, -14);
  const places = roundHalfToEven(size * 2 ** (10 - exponent));
  // A fraction that rounds up to the next power of two carries into the exponent by itself.
  const encoded = places + (exponent + 14) * 1024;
  return sign | Math.min(encoded, 0x7c00);
}

function roundHalfToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest === 0.5) return floor + (floor % 2);
  return rest < 0.5 ? floor : floor + 1;
}
