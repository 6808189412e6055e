// Replies of lines, some with bytes of a told length between them: memcached's text protocol and HTTP/1.1.
import type { ReplySink } from "./driver.js";
import { OrderedConnection, type Template } from "./ordered-connection.js";

const LF = 10;
const LINE_BYTES_MAX = 8_192;

export abstract class LineConnection extends OrderedConnection {
  /** A line's beginning that came in an earlier chunk. */
  #begun = "";
  /** Bytes to come that are no lines. */
  #skip = 0;

  constructor(templates: readonly Template[], pipeline: number, sink: ReplySink) {
    super(templates, pipeline, sink);
  }

  /** The line without its end. Answers how many bytes follow that are no lines, -1: the connection was given up. */
  protected abstract line(text: string): number;

  /** The bytes that were to be skipped are in. */
  protected abstract skipped(): void;

  protected read(bytes: Buffer, count: number): boolean {
    let at = 0;
    while (at < count) {
      if (this.#skip > 0) {
        const take = Math.min(this.#skip, count - at);
        this.#skip -= take;
        at += take;
        if (this.#skip === 0) this.skipped();
        continue;
      }
      const end = bytes.indexOf(LF, at);
      if (end < 0 || end >= count) {
        this.#begun += bytes.toString("latin1", at, count);
        return this.#begun.length <= LINE_BYTES_MAX || this.giveUp("the server sent a line that does not end");
      }
      const text = (this.#begun + bytes.toString("latin1", at, end)).trimEnd();
      this.#begun = "";
      at = end + 1;
      this.#skip = this.line(text);
      if (this.#skip < 0) return false;
    }
    return true;
  }
}
