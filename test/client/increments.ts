/** Workers that count, and what they were told of it. */
import type { Gamut } from "../../src/client/index.js";

export class Increments {
  acknowledged = 0;
  unknown = 0;
  /** Values that were answered: an increment that was done twice, or lost, shows among them. */
  readonly values = new Set<bigint>();
  /** What no worker should ever hear. */
  readonly surprises: string[] = [];
  private going = true;
  private readonly done: Promise<unknown>;

  constructor(
    clients: readonly Gamut<unknown>[],
    private readonly key: string,
  ) {
    this.done = Promise.all(clients.map((client) => this.run(client)));
  }

  private async run(client: Gamut<unknown>): Promise<void> {
    let last = 0n;
    while (this.going) {
      const outcome = await client.sum(this.key, 1);
      if (outcome.kind === "unknown") this.unknown += 1;
      else if (outcome.kind === "error") this.surprises.push(`${outcome.code}: ${outcome.message}`);
      else {
        this.acknowledged += 1;
        if (this.values.has(outcome.value)) this.surprises.push(`${outcome.value} was answered twice`);
        if (outcome.value <= last) this.surprises.push(`${outcome.value} after ${last}`);
        this.values.add(outcome.value);
        last = outcome.value;
      }
    }
  }

  async stop(): Promise<void> {
    this.going = false;
    await this.done;
  }
}
