import { z } from 'zod';

/*
 * What a host and its checkpoint helper say to each other, a line of JSON each: CUDA's checkpoint calls are made in a
 * process of their own, since a host loads no CUDA, and since a call that the driver never returns from must be ended.
 */

/** `CUprocessState`, in the header's order. */
export const PROCESS_STATES = ['running', 'locked', 'checkpointed', 'failed'] as const;
export type ProcessState = (typeof PROCESS_STATES)[number];

/** `GPU-` and the 16 bytes in groups, as NVIDIA's tools write it. */
const GpuUuid = z.string().regex(/^GPU-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);

/** A GPU as the driver describes it, before anything is done with it. */
export const GpuFacts = z.strictObject({
  /** Its number among those that the helper sees. */
  index: z.int().nonnegative(),
  /** Such as `NVIDIA H100 80GB HBM3`. */
  name: z.string(),
  uuid: GpuUuid,
  /** Such as `580.159.04`; `unknown` where neither the kernel nor NVML tells. */
  driver: z.string(),
  totalBytes: z.int().nonnegative(),
  /** Memory that nobody has, now; absent where there is no NVML to ask. */
  freeBytes: z.int().nonnegative().optional(),
});
export type GpuFacts = z.infer<typeof GpuFacts>;

const Id = z.int().nonnegative();
/** As the helper sees it. */
const Pid = z.int().positive();

export const HelperRequest = z.discriminatedUnion('call', [
  /** Number of the GPU among those that the helper sees, which are those that an engine sees. */
  z.strictObject({ id: Id, call: z.literal('device'), device: z.int().nonnegative() }),
  z.strictObject({ id: Id, call: z.literal('state'), pid: Pid }),
  /** Waits for CUDA calls under way, and lets no other begin. `timeoutMs`: until the driver gives up. */
  z.strictObject({ id: Id, call: z.literal('lock'), pid: Pid, timeoutMs: z.int().positive() }),
  /** Brings all device memory into the process's own and gives the device back. */
  z.strictObject({ id: Id, call: z.literal('checkpoint'), pid: Pid }),
  /** `moved`: where the process was on another GPU before, that one's UUID and the new one's. */
  z.strictObject({
    id: Id,
    call: z.literal('restore'),
    pid: Pid,
    moved: z.strictObject({ from: GpuUuid, to: GpuUuid }).optional(),
  }),
  z.strictObject({ id: Id, call: z.literal('unlock'), pid: Pid }),
  /** Not the driver's: the kernel reads these files into the page cache. Answered when that has begun. */
  z.strictObject({ id: Id, call: z.literal('read-ahead'), paths: z.array(z.string()) }),
]);
export type HelperRequest = z.infer<typeof HelperRequest>;

export const HelperReply = z.strictObject({
  id: Id,
  device: GpuFacts.optional(),
  state: z.enum(PROCESS_STATES).optional(),
  error: z
    .strictObject({ kind: z.enum(['unsupported', 'no-room', 'refused']), message: z.string() })
    .optional(),
});
/** `unsupported`: no process of this machine can be checkpointed; `refused`: this call was not done. */
export type RefusalKind = NonNullable<HelperReply['error']>['kind'];
export type HelperReply = z.infer<typeof HelperReply>;
