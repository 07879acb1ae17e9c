import type { SchedulerConfig } from '../checkpoint/configs.js';

const f32 = Math.fround;

/**
 * Noise levels of FlowMatchEuler: `steps` of them, then 0. Computed in float32, in the order of diffusers'
 * `FlowMatchEulerDiscreteScheduler.set_timesteps`, so that they agree to the bit.
 * @param steps  number of denoising steps
 * @param tokens latent tokens, H/16 × W/16; matters for dynamic shifting only
 */
export function flowMatchSigmas(config: SchedulerConfig, steps: number, tokens: number): number[] {
  const even = Array.from({ length: steps }, (_, index) =>
    steps === 1 ? 1 : f32(1 + ((1 / steps - 1) * index) / (steps - 1)),
  );
  const shift = config.use_dynamic_shifting
    ? dynamicShift(config.time_shift_type, empiricalMu(tokens, steps))
    : (sigma: number) => f32(f32(config.shift * sigma) / f32(1 + f32((config.shift - 1) * sigma)));
  return [...even.map(shift), 0];
}

/**
 * Shift of the noise schedule for an image of `tokens` latent tokens.
 * Same as diffusers' Flux2 pipelines (`compute_empirical_mu`): two fitted lines, blended by the step count.
 * @param tokens H/16 × W/16
 * @param steps  number of denoising steps
 */
export function empiricalMu(tokens: number, steps: number): number {
  const at200 = 0.00016927 * tokens + 0.45666666;
  if (tokens > 4300) return at200;
  const at10 = 8.73809524e-5 * tokens + 1.89833333;
  const slope = (at200 - at10) / 190;
  return slope * steps + at200 - 200 * slope;
}

function dynamicShift(type: SchedulerConfig['time_shift_type'], mu: number): (sigma: number) => number {
  const weight = type === 'exponential' ? Math.exp(mu) : mu;
  return (sigma) => f32(weight / f32(weight + f32(f32(1 / sigma) - 1)));
}

/** What the transformer is told of a noise level: diffusers goes through timesteps of 0 to 1000 and back. */
export function modelTimestep(config: SchedulerConfig, sigma: number): number {
  return f32(f32(sigma * config.num_train_timesteps) / 1000);
}
