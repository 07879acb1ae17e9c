import type { DiffusionClient } from '../src/client/diffusion-client.js';
import type { BatchItemResult, BatchRequestInput } from '../src/contract/batch.js';

type Item = BatchRequestInput['items'][number];

/**
 * What automatic batching servers do, to be compared with: whatever comes within a window after the first request
 * becomes one batch. Lives here only: a single request must not wait for company.
 */
export class WindowBatcher {
  #waiting: { item: Item; resolve: (result: BatchItemResult) => void; reject: (error: unknown) => void }[] =
    [];

  constructor(
    private readonly diffusion: DiffusionClient,
    private readonly windowMs: number,
  ) {}

  generate(item: Item): Promise<BatchItemResult> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject });
      if (this.#waiting.length === 1) setTimeout(() => void this.#send(), this.windowMs);
    });
  }

  async #send(): Promise<void> {
    const sent = this.#waiting;
    this.#waiting = [];
    try {
      const handle = await this.diffusion.batch({ items: sent.map(({ item }) => item) });
      for await (const result of handle.items()) sent[result.index]?.resolve(result);
    } catch (error) {
      for (const { reject } of sent) reject(error);
    }
  }
}
