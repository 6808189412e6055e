import type { ReplyBuffer } from "../codec/reply-buffer.js";
import type { Command } from "../kv/command.js";
import type { ReplySink, Request } from "../kv/request.js";
import { type Result, ResultKind } from "../kv/result.js";
import type { ClientConnection } from "./client-connection.js";
import type { PendingReply } from "./pipeline.js";

/**
 * Goes through a keyspace for one answer, by reads at the connection's level. Each page is asked for in a turn of its
 * own, so that others get theirs in between. It shows what is there throughout; of what comes or goes meanwhile, some.
 */
export abstract class PageWalk<Writer extends ReplyBuffer, Connection extends ClientConnection<Writer, PendingReply>>
  implements ReplySink
{
  private readonly answer: (write: (writer: Writer) => void) => void;

  constructor(protected readonly connection: Connection) {
    connection.drainFirst();
    this.answer = connection.answerLater();
  }

  /** A scan or a range from this key on. */
  protected abstract pageFrom(key: string): Command;
  /** False: that is enough. */
  protected abstract take(items: readonly Result[]): boolean;
  protected abstract write(writer: Writer): void;

  begin(): void {
    this.ask("");
  }

  private ask(key: string): void {
    this.connection.session.submit(this.pageFrom(key), this, 0);
  }

  reply(request: Request, result: Result): void {
    const { connection } = this;
    if (connection.session.explains) connection.lastReceipt = request.receipt;
    if (result.kind === ResultKind.error) {
      this.answer((writer) => connection.writeRefusal(writer, result.error!));
    } else if (!this.take(result.items!) || result.key === "") this.answer((writer) => this.write(writer));
    else {
      setImmediate(() => {
        if (!connection.isClosed) this.ask(result.key);
      });
    }
  }
}
