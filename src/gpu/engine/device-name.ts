import { z } from 'zod';
import type { Device } from '../runtime/session.js';

/** `cpu`, or `cuda:N` with the number that the CUDA driver gives the GPU. */
export const DeviceName = z
  .string()
  .regex(/^(cpu|cuda:\d{1,3})$/, 'expected cpu or cuda:N, as in cuda:0')
  .transform((name) => name as Device);
