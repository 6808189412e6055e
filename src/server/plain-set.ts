import { errorLine, type MemcachedWriter } from "../codec/memcached/index.js";
import { bytesEqual } from "../core/bytes.js";
import { CommandFlag, getCommand, setCommand } from "../kv/command.js";
import { KvError } from "../kv/errors.js";
import { checkCommand } from "../kv/limits.js";
import type { ReplySink, Request } from "../kv/request.js";
import { type Result, ResultKind } from "../kv/result.js";
import type { MemcachedConnection } from "./memcached-connection.js";

/** How often a set begins anew because another client was faster. */
const ATTEMPTS_MAX = 32;

/**
 * The plain dialect's `set`, which writes nothing where the key holds this very value: a read at the session's level, and
 * then a write on the condition that the record is still the one that was read. What was sent after it waits.
 */
export class PlainSet implements ReplySink {
  private attempts = 0;
  private isReading = true;
  private isUnconditional = false;
  private readonly answer: (write: (writer: MemcachedWriter) => void) => void;

  private constructor(
    private readonly connection: MemcachedConnection,
    private readonly key: string,
    private readonly value: Uint8Array,
  ) {
    this.answer = connection.answerLater();
    connection.counts.sets += 1;
    connection.drainFirst();
  }

  static begin(this: void, connection: MemcachedConnection, writer: MemcachedWriter): void {
    const { request } = connection.parser;
    const [key, value] = [request.text(1), request.copy(2)];
    const error = checkCommand(setCommand(key, value));
    if (error === null) new PlainSet(connection, key, value).read();
    else writer.sentence(errorLine(error));
  }

  private read(): void {
    this.isReading = true;
    this.connection.session.submit(getCommand(this.key), this, 0);
  }

  reply(request: Request, result: Result): void {
    if (this.connection.isClosed) return;
    this.connection.lastReceipt = request.receipt;
    if (result.error?.code === "operation_unsupported" && !this.isUnconditional) this.writeAnyway();
    else if (result.kind === ResultKind.error) this.finish(errorLine(result.error!));
    else if (this.isReading) this.write(result);
    else if (result.kind === ResultKind.ok) this.finish("STORED");
    else if (this.attempts < ATTEMPTS_MAX) this.read();
    else {
      const message = `the key was written by others ${ATTEMPTS_MAX} times meanwhile; nothing was done, try again`;
      this.finish(errorLine(new KvError("overloaded", message)));
    }
  }

  private write(present: Result): void {
    if (present.kind === ResultKind.value && bytesEqual(present.value, this.value)) {
      this.finish("NOT-STORED");
      return;
    }
    const command = setCommand(this.key, this.value);
    if (present.kind === ResultKind.absent) command.flags = CommandFlag.ifAbsent;
    else {
      command.flags = CommandFlag.ifVersion;
      command.versions = [present.version];
    }
    this.attempts += 1;
    this.isReading = false;
    this.connection.session.submit(command, this, 0);
  }

  /** Without an order of all writes there is no condition: what this node has was compared, and that is all there is. */
  private writeAnyway(): void {
    this.isUnconditional = true;
    this.connection.session.submit(setCommand(this.key, this.value), this, 0);
  }

  private finish(line: string): void {
    this.answer((writer) => writer.sentence(line));
  }
}
