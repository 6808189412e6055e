import type { ReplyBuffer } from "../codec/reply-buffer.js";
import type { Change } from "../kv/change-history.js";
import { Command, Op } from "../kv/command.js";
import { KvError } from "../kv/errors.js";
import type { ReplySink, Request } from "../kv/request.js";
import { type Result, ResultKind } from "../kv/result.js";
import type { WatchHandle, WatchOptions, WatchSink } from "../kv/watch.js";
import type { ClientConnection } from "./client-connection.js";
import type { PendingReply } from "./pipeline.js";

/**
 * A watch whose reader is a connection. A read at the connection's level begins it; what was sent after that waits until
 * it is answered. What it tells then is written between the replies, as long as the connection's output has room.
 */
export abstract class ConnectionWatch<
  Writer extends ReplyBuffer,
  Connection extends ClientConnection<Writer, PendingReply>,
> implements ReplySink, WatchSink
{
  private handle: WatchHandle | null = null;
  private closed = false;
  private readonly answer: (write: (writer: Writer) => void) => void;

  constructor(
    protected readonly connection: Connection,
    private readonly options: WatchOptions,
  ) {
    connection.drainFirst();
    this.answer = connection.answerLater();
  }

  /** Writes the answer to what has begun it. */
  protected abstract begun(writer: Writer): void;
  abstract record(key: string, version: number, value: Uint8Array): void;
  abstract changed(change: Change, isResumable: boolean): void;
  abstract snapshotEnded(version: number): void;
  abstract progressed(version: number): void;
  abstract ended(error: KvError): void;

  begin(): void {
    this.connection.session.submit(new Command(Op.time), this, 0);
  }

  reply(request: Request, result: Result): void {
    if (this.closed) return;
    const { connection } = this;
    const isRead = result.kind !== ResultKind.error;
    const handle = isRead ? connection.session.watch(request, this.options, this) : result.error!;
    if (handle instanceof KvError) {
      this.forget();
      this.answer((writer) => connection.writeRefusal(writer, handle));
    } else {
      this.handle = handle;
      this.answer((writer) => this.begun(writer));
    }
  }

  /** It is over, and the connection has nothing to end any more. */
  protected forget(): void {
    this.connection.watch = null;
  }

  resume(): void {
    this.handle?.resume();
  }

  /** Ends it from here, and tells why. */
  end(error: KvError): void {
    if (this.handle === null || this.closed) return;
    this.close();
    this.ended(error);
    this.flush();
  }

  close(): void {
    this.closed = true;
    this.handle?.close();
  }

  // What the watch asks.

  ready(): boolean {
    return this.connection.hasRoom;
  }

  flush(): void {
    this.connection.flushUnasked();
  }

  /** Of what is being told. */
  protected position(version: number, ordinal: number): string {
    return this.handle!.position(version, ordinal);
  }

  protected beginning(): string {
    return this.position(this.handle!.beginVersion, this.handle!.beginOrdinal);
  }
}
