/** KEYS and RANDOMKEY: reads that go through the keys a page at a time. */
import { randomInt } from "node:crypto";
import { type Arguments, errorText, type RespWriter, renderError } from "../codec/resp/index.js";
import { Command, Op } from "../kv/command.js";
import { checkCommand, SCAN_KEYS_MAX } from "../kv/limits.js";
import type { ReplySink, Request } from "../kv/request.js";
import { type Result, ResultKind } from "../kv/result.js";
import { PageWalk } from "./page-walk.js";
import type { RespConnection } from "./resp-connection.js";

/** Keys of which RANDOMKEY draws one. */
const DRAWN_FROM = 100;

/** KEYS pattern. The keys that are there throughout; of those that come or go meanwhile, some. */
export function answerKeys(connection: RespConnection, request: Arguments, writer: RespWriter): void {
  const pattern = request.copy(1);
  const error = checkCommand(pageOf("", pattern));
  if (error !== null) {
    writer.error(errorText(error));
    return;
  }
  new KeysWalk(connection, pattern).begin();
}

/** To the store no pattern means all keys; here it is that of the empty key, which comes first. */
function pageOf(from: string, pattern: Uint8Array): Command {
  const scan = new Command(Op.scan, from);
  scan.value = pattern;
  scan.limit = pattern.length === 0 ? 1 : SCAN_KEYS_MAX;
  return scan;
}

class KeysWalk extends PageWalk<RespWriter, RespConnection> {
  private readonly keys: string[] = [];
  private bytes = 0;

  constructor(
    connection: RespConnection,
    private readonly pattern: Uint8Array,
  ) {
    super(connection);
  }

  protected pageFrom(key: string): Command {
    return pageOf(key, this.pattern);
  }

  protected take(items: readonly Result[]): boolean {
    const onlyEmpty = this.pattern.length === 0;
    for (const { key } of items) {
      if (onlyEmpty && key !== "") continue;
      this.keys.push(key);
      this.bytes += key.length;
    }
    return !onlyEmpty && !this.isTooLarge;
  }

  private get isTooLarge(): boolean {
    return this.bytes > this.connection.service.limits.keysReplyBytesMax;
  }

  protected write(writer: RespWriter): void {
    if (this.isTooLarge) {
      const { keysReplyBytesMax } = this.connection.service.limits;
      writer.error(`ERR batch_too_large: the keys that match have more than ${keysReplyBytesMax} bytes: use SCAN`);
      return;
    }
    writer.array(this.keys.length);
    for (const key of this.keys) writer.bulkText(key);
  }
}

/**
 * RANDOMKEY. Goes round the keyspace: each call draws one of the hundred keys after those of the call before it, on this
 * node. So each key has its turn, and none costs more than a short scan.
 */
export function answerRandomkey(connection: RespConnection): void {
  const { session, service } = connection;
  connection.drainFirst();
  new RandomDraw(connection, session.keyspace).draw(service.randomPlaces.get(session.keyspace) ?? "");
}

class RandomDraw implements ReplySink {
  private readonly answer: (write: (writer: RespWriter) => void) => void;
  private from = "";

  constructor(
    private readonly connection: RespConnection,
    private readonly keyspace: string,
  ) {
    this.answer = connection.answerLater();
  }

  draw(from: string): void {
    this.from = from;
    const scan = new Command(Op.scan, from);
    scan.limit = DRAWN_FROM;
    this.connection.session.submit(scan, this, 0);
  }

  reply(_request: Request, result: Result): void {
    const items = result.items ?? [];
    if (result.kind === ResultKind.error) this.answer((writer) => renderError(writer, result));
    else if (items.length === 0 && this.from !== "") {
      setImmediate(() => {
        if (!this.connection.isClosed) this.draw("");
      });
    } else {
      this.connection.service.rememberPlace(this.keyspace, result.key);
      this.answer((writer) => {
        if (items.length === 0) writer.null();
        else writer.bulkText(items[randomInt(items.length)].key);
      });
    }
  }
}
