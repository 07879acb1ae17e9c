import { setTimeout as sleep } from 'node:timers/promises';
import type {
  ActivitySlotInfo,
  CustomSlotSupplier,
  SlotPermit,
  SlotReserveContext,
} from '@temporalio/worker';

const PAUSE_MS = 250;

/**
 * One slot, given out only while this host can draw: one that can't does not ask for work, so no job waits behind it
 * while another host of the model is idle.
 * @param canDraw resolves with true once it can; with false or an error, it is asked again a little later
 */
export function createGpuSlot(canDraw: () => Promise<boolean>): CustomSlotSupplier<ActivitySlotInfo> {
  let taken = false;
  let freed: (() => void) | undefined;

  async function untilReady(abort: AbortSignal): Promise<void> {
    while (!(await canDraw().catch(() => false))) {
      await sleep(PAUSE_MS, undefined, { signal: abort });
    }
  }

  return {
    type: 'custom',
    async reserveSlot(_context: SlotReserveContext, abort: AbortSignal): Promise<SlotPermit> {
      const aborted = new Promise<never>((_, reject) => {
        abort.addEventListener('abort', () => reject(abort.reason), { once: true });
      });
      aborted.catch(() => {});
      while (taken) {
        await Promise.race([aborted, new Promise<void>((resolve) => (freed = resolve))]);
      }
      taken = true;
      try {
        await Promise.race([aborted, untilReady(abort)]);
        return {};
      } catch (error) {
        release();
        throw error;
      }
    },
    // Eager tasks would go past the wait.
    tryReserveSlot: () => null,
    markSlotUsed() {},
    releaseSlot: release,
  };

  function release(): void {
    taken = false;
    freed?.();
  }
}
