// When the operations of an open loop are meant to be sent: evenly spaced, dealt round to the lanes. It is arithmetic
// alone, so a server that stalls cannot delay it: an operation that had to wait was still due at its time.
// That is what keeps "coordinated omission" (Gil Tene) out of the latencies.

export class Schedule {
  readonly #originUs: number;
  readonly #spacingUs: number;
  readonly #lanes: number;
  #arrived = 0;

  constructor(ratePerSecond: number, lanes: number, originUs: number) {
    this.#spacingUs = 1_000_000 / ratePerSecond;
    this.#lanes = lanes;
    this.#originUs = originUs;
  }

  /** How many operations have become due so far, counted by `arrive`. */
  get arrived(): number {
    return this.#arrived;
  }

  /** Counts what is due at `nowUs`, but before `endUs`; returns how many are newly due. */
  arrive(nowUs: number, endUs: number): number {
    const before = this.#arrived;
    while (this.dueUs(this.#arrived) <= nowUs && this.dueUs(this.#arrived) < endUs) this.#arrived += 1;
    return this.#arrived - before;
  }

  /** The intended send time of the n-th operation of all, in whole µs. */
  dueUs(n: number): number {
    return this.#originUs + Math.floor(n * this.#spacingUs);
  }

  /** The intended send time of the n-th operation of one lane. */
  laneDueUs(lane: number, n: number): number {
    return this.dueUs(lane + n * this.#lanes);
  }
}
