import { Client } from "../../src/cli/client.js";
import { ReplyError } from "../../src/cli/reply-reader.js";
import type { Member } from "./member.js";

/** Writes values that nobody else writes, one after the other, at whichever node answers. */
export class UniqueWriter {
  readonly acknowledged: string[] = [];
  readonly refused: string[] = [];
  private going = true;
  private readonly done: Promise<void>;

  constructor(
    private readonly name: string,
    private readonly members: readonly Member[],
  ) {
    this.done = this.run();
  }

  private async run(): Promise<void> {
    let at = 0;
    let client: Client | null = null;
    for (let n = 0; this.going; n += 1) {
      const value = `${this.name}-${n}`;
      try {
        client ??= await Client.connectTo(this.members[at % this.members.length].address, 1_500);
        await client.demand(["SET", `written:${n % 7}`, value]);
        this.acknowledged.push(value);
      } catch (error) {
        if (error instanceof ReplyError && error.definite) this.refused.push(value);
        client?.close();
        client = null;
        at += 1;
      }
    }
    client?.close();
  }

  async stop(): Promise<void> {
    this.going = false;
    await this.done;
  }
}
