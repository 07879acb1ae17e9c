import type { Span } from '../session.js';

/** The stages of a start, as they happen. */
export class Timeline {
  readonly #spans = new Map<string, Span>();

  /** Notes how long a promise took, from now on. */
  async record<T>(name: string, work: Promise<T>): Promise<T> {
    const from = performance.now();
    try {
      return await work;
    } finally {
      this.extend(name, from, performance.now());
    }
  }

  /** Notes a part of a stage that has many. */
  extend(name: string, from: number, to: number): void {
    const known = this.#spans.get(name);
    this.#spans.set(name, {
      name,
      from: Math.min(from, known?.from ?? from),
      to: Math.max(to, known?.to ?? to),
    });
  }

  spans(): Span[] {
    return [...this.#spans.values()];
  }
}
