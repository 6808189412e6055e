import { Client } from "../../src/cli/client.js";
import { ReplyError } from "../../src/cli/reply-reader.js";
import type { Member } from "./member.js";

/** Writes without a pause, one after the other, at whichever node answers, until it is stopped. */
export abstract class RestlessWriter {
  private going = true;
  private readonly done: Promise<void>;

  constructor(private readonly members: readonly Member[]) {
    this.done = this.run();
  }

  protected abstract write(client: Client, n: number, member: Member): Promise<void>;

  protected connect(member: Member): Promise<Client> {
    return Client.connectTo(member.address, 1_500);
  }

  protected failed(_n: number, _error: unknown): void {}

  private async run(): Promise<void> {
    let at = 0;
    let client: Client | null = null;
    for (let n = 0; this.going; n += 1) {
      const member = this.members[at % this.members.length];
      try {
        client ??= await this.connect(member);
        await this.write(client, n, member);
      } catch (error) {
        this.failed(n, error);
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

/** Writes values that nobody else writes. */
export class UniqueWriter extends RestlessWriter {
  readonly acknowledged: string[] = [];
  readonly refused: string[] = [];

  constructor(
    private readonly name: string,
    members: readonly Member[],
  ) {
    super(members);
  }

  protected async write(client: Client, n: number): Promise<void> {
    await client.demand(["SET", `written:${n % 7}`, `${this.name}-${n}`]);
    this.acknowledged.push(`${this.name}-${n}`);
  }

  protected override failed(n: number, error: unknown): void {
    if (error instanceof ReplyError && error.definite) this.refused.push(`${this.name}-${n}`);
  }
}
