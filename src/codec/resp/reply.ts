/** Replies of the Redis serialization protocol, versions 2 and 3. */
import { latin1Encode, utf8Encode } from "../../core/bytes.js";
import { ReplyBuffer } from "../reply-buffer.js";

const MINUS = 0x2d;
const PLUS = 0x2b;
const COLON = 0x3a;
const DOLLAR = 0x24;
const ASTERISK = 0x2a;
const PERCENT = 0x25;
const TILDE = 0x7e;
const EQUALS = 0x3d;
const PIPE = 0x7c;
const GREATER = 0x3e;

const OK = latin1Encode("+OK\r\n");
const PONG = latin1Encode("+PONG\r\n");
const QUEUED = latin1Encode("+QUEUED\r\n");
const NULL_BULK = latin1Encode("$-1\r\n");
const NULL_ARRAY = latin1Encode("*-1\r\n");
const NULL_3 = latin1Encode("_\r\n");

export type RespVersion = 2 | 3;

/** What differs between the versions is decided here and nowhere else. */
export class RespWriter extends ReplyBuffer {
  version: RespVersion = 2;

  ok(): void {
    this.raw(OK);
  }

  pong(): void {
    this.raw(PONG);
  }

  queued(): void {
    this.raw(QUEUED);
  }

  null(): void {
    this.raw(this.version === 3 ? NULL_3 : NULL_BULK);
  }

  nullArray(): void {
    this.raw(this.version === 3 ? NULL_3 : NULL_ARRAY);
  }

  /** A status. Latin1 without line breaks. */
  simple(text: string): void {
    this.marked(PLUS, text);
  }

  /** `text` begins with the code word ("ERR …"). */
  error(text: string): void {
    this.reserve(1);
    this.bytes[this.length] = MINUS;
    this.length += 1;
    this.line(text);
    this.crlf();
  }

  bulk(value: Uint8Array): void {
    this.header(DOLLAR, value.length);
    this.raw(value);
    this.reserve(2);
    this.crlf();
  }

  /** A bulk of one byte a char. */
  bulkText(text: string): void {
    this.header(DOLLAR, text.length);
    this.latin1(text);
    this.crlf();
  }

  /** A bulk of text for people: version 3 marks it as such. */
  verbatim(text: string): void {
    const bytes = utf8Encode(text);
    if (this.version === 2) {
      this.bulk(bytes);
      return;
    }
    this.header(EQUALS, bytes.length + 4);
    this.latin1("txt:");
    this.raw(bytes);
    this.reserve(2);
    this.crlf();
  }

  integer(value: number): void {
    this.header(COLON, value);
  }

  bigInteger(value: bigint): void {
    if (value >= -9_007_199_254_740_991n && value <= 9_007_199_254_740_991n) this.header(COLON, Number(value));
    else this.marked(COLON, value.toString());
  }

  array(count: number): void {
    this.header(ASTERISK, count);
  }

  /** Followed by `count` pairs. Version 2 has no maps: an array of both. */
  map(count: number): void {
    if (this.version === 3) this.header(PERCENT, count);
    else this.header(ASTERISK, count * 2);
  }

  set(count: number): void {
    this.header(this.version === 3 ? TILDE : ASTERISK, count);
  }

  /** Version 3 alone: `count` pairs about the reply that follows. */
  attribute(count: number): void {
    this.header(PIPE, count);
  }

  /** Version 3 marks what is no reply, but comes by itself; in version 2 it is an array. */
  push(count: number): void {
    this.header(this.version === 3 ? GREATER : ASTERISK, count);
  }

  private marked(marker: number, text: string): void {
    this.reserve(text.length + 3);
    this.bytes[this.length] = marker;
    this.length += 1;
    this.latin1(text);
    this.crlf();
  }

  private header(marker: number, value: number): void {
    this.reserve(24);
    this.bytes[this.length] = marker;
    this.length += 1;
    this.digits(value);
    this.crlf();
  }
}
