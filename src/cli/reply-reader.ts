/** Reads replies of RESP 3, as a client does. */
import { parseErrorLine } from "../codec/resp/error-line.js";

/** An error that the server answered with, e.g. `TRYAGAIN unavailable: no majority could be reached in time`. */
export class ReplyError extends Error {
  override readonly name = "ReplyError";
  readonly code: string;
  readonly definite: boolean;

  constructor(line: string) {
    const { code, definite, message } = parseErrorLine(line);
    super(message);
    this.code = code;
    this.definite = definite;
  }
}

export type Reply = null | number | bigint | string | Uint8Array | ReplyError | Reply[] | Map<string, Reply>;

/** No reply: it comes by itself. */
export class Push {
  constructor(readonly items: readonly Reply[]) {}
}

/** A reply and what an attribute before it said. */
export interface Answer {
  readonly reply: Reply;
  readonly attributes: ReadonlyMap<string, Reply> | null;
}

const REPLY_BYTES_MAX = 256 * 1024 * 1024;
const DEPTH_MAX = 16;

/** What the server sends is no RESP. */
export class ReplyFormatError extends Error {
  override readonly name = "ReplyFormatError";
}

export class ReplyReader {
  private bytes: Buffer = Buffer.alloc(0);
  private at = 0;

  feed(chunk: Buffer): void {
    const rest = this.bytes.subarray(this.at);
    this.bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    this.at = 0;
    if (this.bytes.length > REPLY_BYTES_MAX) throw new ReplyFormatError("a reply is longer than 256 MiB");
  }

  /** The next whole answer, or what comes by itself; null while there is none. @throws ReplyFormatError */
  next(): Answer | Push | null {
    const start = this.at;
    let attributes: ReadonlyMap<string, Reply> | null = null;
    let reply = this.read(0);
    while (reply instanceof Attributes) {
      attributes = reply.map;
      reply = this.read(0);
    }
    if (reply instanceof Push) return reply;
    if (reply !== undefined) return { reply, attributes };
    this.at = start;
    return null;
  }

  /** undefined: it is not whole yet. */
  private read(depth: number): Reply | Push | Attributes | undefined {
    const end = this.bytes.indexOf("\r\n", this.at, "latin1");
    if (end < 0) return undefined;
    const marker = String.fromCharCode(this.bytes[this.at]);
    const line = this.bytes.toString("utf8", this.at + 1, end);
    this.at = end + 2;
    if (depth > DEPTH_MAX) throw new ReplyFormatError("a reply is nested too deeply");
    switch (marker) {
      case "+":
        return line;
      case "-":
        return new ReplyError(line);
      case ":":
        return Number.isSafeInteger(Number(line)) ? Number(line) : BigInt(line);
      case "_":
        return null;
      case "$":
        return this.readBulk(line);
      case "=": {
        const text = this.readBulk(line);
        return text instanceof Uint8Array ? Buffer.from(text).toString("utf8", 4) : text;
      }
      case "*":
      case "~":
        return this.readItems(count(line), depth);
      case ">": {
        const items = this.readItems(count(line), depth);
        return Array.isArray(items) ? new Push(items) : items;
      }
      case "%":
        return this.readMap(line, depth);
      case "|": {
        const map = this.readMap(line, depth);
        return map instanceof Map ? new Attributes(map) : undefined;
      }
      default:
        throw new ReplyFormatError(`this is no reply of RESP: ${JSON.stringify(marker + line.slice(0, 60))}`);
    }
  }

  private readBulk(line: string): Uint8Array | null | undefined {
    const length = count(line);
    if (length < 0) return null;
    const end = this.at + length;
    if (end + 2 > this.bytes.length) return undefined;
    const value = new Uint8Array(this.bytes.subarray(this.at, end));
    this.at = end + 2;
    return value;
  }

  private readItems(length: number, depth: number): Reply[] | null | undefined {
    if (length < 0) return null;
    const items: Reply[] = [];
    for (let i = 0; i < length; i += 1) {
      const item = this.read(depth + 1);
      if (item === undefined || item instanceof Push || item instanceof Attributes) return undefined;
      items.push(item);
    }
    return items;
  }

  private readMap(line: string, depth: number): Map<string, Reply> | undefined {
    const items = this.readItems(count(line) * 2, depth);
    if (items === undefined || items === null) return undefined;
    const map = new Map<string, Reply>();
    for (let i = 0; i < items.length; i += 2) map.set(textOf(items[i]), items[i + 1]);
    return map;
  }
}

class Attributes {
  constructor(readonly map: Map<string, Reply>) {}
}

function count(line: string): number {
  if (!/^-?\d{1,10}$/.test(line)) throw new ReplyFormatError(`this is no length: ${JSON.stringify(line.slice(0, 60))}`);
  return Number(line);
}

/** A status or a bulk as text; "" for what is neither. */
export function textOf(reply: Reply | undefined): string {
  if (typeof reply === "string") return reply;
  return reply instanceof Uint8Array ? Buffer.from(reply).toString("utf8") : "";
}
