// The part of HPACK (RFC 7541) that a gRPC client needs: request headers that shrink to one byte each after their first
// use, and from replies `:status`, `grpc-status` and `grpc-message`.

import { decodeHuffman } from "./huffman.js";

const DYNAMIC_FIRST = 62;
const TABLE_BYTES_MAX = 4096;
const ENTRY_OVERHEAD_BYTES = 32;

// Static table entries in use (RFC 7541 appendix A).
const METHOD_POST = 3;
const SCHEME_HTTP = 6;
const NAME_AUTHORITY = 1;
const NAME_PATH = 4;
const NAME_CONTENT_TYPE = 31;
const STATUS_FIRST = 8;
const STATUSES = ["200", "204", "206", "304", "400", "404", "500"];
/** All its names, from index 1: an entry's size counts its name's length. */
const STATIC_NAMES = (
  ":authority :method :method :path :path :scheme :scheme :status :status :status :status :status :status :status " +
  "accept-charset accept-encoding accept-language accept-ranges accept access-control-allow-origin age allow " +
  "authorization cache-control content-disposition content-encoding content-language content-length content-location " +
  "content-range content-type cookie date etag expect expires from host if-match if-modified-since if-none-match " +
  "if-range if-unmodified-since last-modified link location max-forwards proxy-authenticate proxy-authorization range " +
  "referer refresh retry-after server set-cookie strict-transport-security transfer-encoding user-agent vary via " +
  "www-authenticate"
).split(" ");

interface Field {
  /** Index of the name in the static table, or the name. */
  readonly name: number | string;
  readonly value: string;
}

/** Encodes the headers of gRPC calls on one connection. */
export class RequestHeaders {
  readonly #authority: string;
  /** Which insertion into the dynamic table a field was, by its value: values differ here. */
  readonly #insertions = new Map<string, number>();

  constructor(authority: string) {
    this.#authority = authority;
  }

  /** The next request's header block, good for that one request: encoding may insert into the dynamic table. */
  encode(path: string): Buffer {
    const fields: readonly Field[] = [
      { name: NAME_PATH, value: path },
      { name: NAME_AUTHORITY, value: this.#authority },
      { name: NAME_CONTENT_TYPE, value: "application/grpc" },
      { name: "te", value: "trailers" },
    ];
    const chunks: Uint8Array[] = [Uint8Array.of(0x80 | METHOD_POST, 0x80 | SCHEME_HTTP)];
    for (const field of fields) {
      const insertion = this.#insertions.get(field.value);
      if (insertion !== undefined) {
        // The newest entry is the first of the dynamic table.
        chunks.push(Uint8Array.of(0x80 | (DYNAMIC_FIRST + this.#insertions.size - 1 - insertion)));
        continue;
      }
      if (typeof field.name === "number") chunks.push(Uint8Array.of(0x40 | field.name), plainString(field.value));
      else chunks.push(Uint8Array.of(0x40), plainString(field.name), plainString(field.value));
      this.#insertions.set(field.value, this.#insertions.size);
    }
    return Buffer.concat(chunks);
  }

  /** How many fields were inserted so far. A block that inserted nothing may be sent again until this number changes. */
  get insertions(): number {
    return this.#insertions.size;
  }
}

function plainString(text: string): Buffer {
  const bytes = Buffer.from(text, "latin1");
  if (bytes.length > 126) throw new Error(`header value is longer than 126 bytes: ${text}`);
  return Buffer.concat([Uint8Array.of(bytes.length), bytes]);
}

/** Decodes the header blocks of one connection's replies, in their order. Throws an Error on a malformed block. */
export class ReplyHeaders {
  /** Of the last block; empty where it had none. */
  httpStatus = "";
  grpcStatus = "";
  grpcMessage = "";

  /** The dynamic table, newest first. */
  readonly #table: { readonly name: string; readonly value: string }[] = [];
  #tableBytes = 0;
  #tableBytesMax = TABLE_BYTES_MAX;
  /** The last block, when it was short and left the table as it was: an equal one has an equal meaning. */
  readonly #lastBlock = new Uint8Array(16);
  #lastLength = 0;
  #at = 0;

  decode(bytes: Uint8Array, from: number, to: number): void {
    if (this.#equalsLast(bytes, from, to)) return;
    this.httpStatus = "";
    this.grpcStatus = "";
    this.grpcMessage = "";
    this.#lastLength = 0;
    let tableChanged = false;
    this.#at = from;
    while (this.#at < to) {
      const first = bytes[this.#at]!;
      if (first >= 0x80) this.#indexed(this.#integer(bytes, to, 7));
      else if (first >= 0x40) {
        this.#literal(bytes, to, 6, true);
        tableChanged = true;
      } else if (first >= 0x20) {
        this.#resize(this.#integer(bytes, to, 5));
        tableChanged = true;
      } else this.#literal(bytes, to, 4, false);
    }
    if (!tableChanged && to - from <= this.#lastBlock.length) {
      this.#lastLength = to - from;
      for (let i = 0; i < this.#lastLength; i += 1) this.#lastBlock[i] = bytes[from + i]!;
    }
  }

  #equalsLast(bytes: Uint8Array, from: number, to: number): boolean {
    if (to - from !== this.#lastLength) return false;
    for (let i = 0; i < this.#lastLength; i += 1) if (bytes[from + i] !== this.#lastBlock[i]) return false;
    return true;
  }

  #indexed(index: number): void {
    if (index >= DYNAMIC_FIRST) {
      const entry = this.#table[index - DYNAMIC_FIRST];
      if (entry === undefined) throw new Error(`HPACK: index ${index} is outside the table`);
      this.#note(entry.name, entry.value);
    } else if (index >= STATUS_FIRST && index < STATUS_FIRST + STATUSES.length) {
      this.#note(":status", STATUSES[index - STATUS_FIRST]!);
    }
  }

  #literal(bytes: Uint8Array, to: number, prefixBits: number, insert: boolean): void {
    const index = this.#integer(bytes, to, prefixBits);
    const name = index === 0 ? this.#string(bytes, to) : this.#nameAt(index);
    const value = this.#string(bytes, to);
    this.#note(name, value);
    if (!insert) return;
    this.#table.unshift({ name, value });
    this.#tableBytes += name.length + value.length + ENTRY_OVERHEAD_BYTES;
    this.#evict();
  }

  #nameAt(index: number): string {
    const name = index < DYNAMIC_FIRST ? STATIC_NAMES[index - 1] : this.#table[index - DYNAMIC_FIRST]?.name;
    if (name === undefined) throw new Error(`HPACK: name index ${index} is outside the table`);
    return name;
  }

  #note(name: string, value: string): void {
    if (name === "grpc-status") this.grpcStatus = value;
    else if (name === "grpc-message") this.grpcMessage = value;
    else if (name === ":status") this.httpStatus = value;
  }

  #resize(bytesMax: number): void {
    if (bytesMax > TABLE_BYTES_MAX) throw new Error(`HPACK: table size ${bytesMax} is above ${TABLE_BYTES_MAX}`);
    this.#tableBytesMax = bytesMax;
    this.#evict();
  }

  #evict(): void {
    while (this.#tableBytes > this.#tableBytesMax) {
      const oldest = this.#table.pop()!;
      this.#tableBytes -= oldest.name.length + oldest.value.length + ENTRY_OVERHEAD_BYTES;
    }
  }

  /** RFC 7541 section 5.1. */
  #integer(bytes: Uint8Array, to: number, prefixBits: number): number {
    const mask = (1 << prefixBits) - 1;
    let value = bytes[this.#at]! & mask;
    this.#at += 1;
    if (value < mask) return value;
    for (let shift = 0; shift <= 21; shift += 7) {
      if (this.#at >= to) break;
      const byte = bytes[this.#at]!;
      this.#at += 1;
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw new Error("HPACK: an integer is cut off or too large");
  }

  #string(bytes: Uint8Array, to: number): string {
    if (this.#at >= to) throw new Error("HPACK: a string is cut off");
    const huffman = bytes[this.#at]! >= 0x80;
    const length = this.#integer(bytes, to, 7);
    const from = this.#at;
    if (from + length > to) throw new Error("HPACK: a string is cut off");
    this.#at = from + length;
    return huffman
      ? decodeHuffman(bytes, from, this.#at)
      : Buffer.from(bytes.subarray(from, this.#at)).toString("latin1");
  }
}
