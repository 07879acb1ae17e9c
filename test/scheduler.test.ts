import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SchedulerConfig } from '../src/gpu/checkpoint/configs.js';
import { flowMatchSigmas } from '../src/gpu/engine/scheduler.js';
import { readJson } from './support/references.js';

interface Schedule {
  config: object;
  steps: number;
  tokens: number;
  sigmas: number[];
}

function schedulerConfig(config: object): SchedulerConfig {
  return SchedulerConfig.parse({ _class_name: 'FlowMatchEulerDiscreteScheduler', ...config });
}

test("noise levels are diffusers' own: static, exponential and linear shift", () => {
  const schedules = readJson<Schedule[]>('sigmas.json');
  assert.equal(schedules.length, 48);
  for (const { config, steps, tokens, sigmas } of schedules) {
    const ours = flowMatchSigmas(schedulerConfig(config), steps, tokens);
    assert.equal(ours.length, steps + 1);
    for (const [index, expected] of sigmas.entries()) {
      const difference = Math.abs((ours[index] ?? Number.NaN) - expected);
      assert.ok(
        difference <= 1.2e-7,
        `${JSON.stringify(config)}, ${steps} steps, ${tokens} tokens, level ${index}: off by ${difference}`,
      );
    }
  }
});

test('a setting that would change the schedule and is not supported is refused', () => {
  assert.throws(() => schedulerConfig({ use_karras_sigmas: true }), /use_karras_sigmas/);
  assert.throws(() => schedulerConfig({ shift_terminal: 0.02 }), /shift_terminal/);
});
