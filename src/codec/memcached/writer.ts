/** Replies of memcached's text protocol, and of the plain dialect. */
import { latin1Encode } from "../../core/bytes.js";
import { ReplyBuffer } from "../reply-buffer.js";

const END = latin1Encode("END\r\n");
const STORED = latin1Encode("STORED\r\n");
const SPACE = 0x20;

export class MemcachedWriter extends ReplyBuffer {
  stored(): void {
    this.raw(STORED);
  }

  end(): void {
    this.raw(END);
  }

  /** A whole line. Latin1 without line breaks. */
  word(text: string): void {
    this.latin1(text);
    this.crlf();
  }

  /** A line of text for people. */
  sentence(text: string): void {
    this.line(text);
    this.crlf();
  }

  stat(name: string, value: string | number): void {
    this.sentence(`STAT ${name} ${value}`);
  }

  /** `VALUE <key> <flags> <bytes> [<cas unique>]` and the data; a `version` of -1 is left out. */
  value(key: string, recordFlags: number, version: number, data: Uint8Array): void {
    this.latin1("VALUE ");
    this.latin1(key);
    this.number(recordFlags);
    this.number(data.length);
    if (version >= 0) this.number(version);
    this.crlf();
    this.data(data);
  }

  /** The plain dialect's. */
  plainValue(key: string, data: Uint8Array): void {
    this.latin1("VALUE ");
    this.latin1(key);
    this.number(data.length);
    this.crlf();
    this.data(data);
  }

  /** A part of a line that {@link endLine} ends. */
  part(text: string): void {
    this.latin1(text);
  }

  endLine(): void {
    this.reserve(2);
    this.crlf();
  }

  /** A data block. */
  data(bytes: Uint8Array): void {
    this.raw(bytes);
    this.endLine();
  }

  /** A space and the number. Leaves room for two bytes more. */
  private number(value: number): void {
    this.reserve(24);
    this.bytes[this.length] = SPACE;
    this.length += 1;
    this.digits(value);
  }
}
