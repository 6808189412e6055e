// RESP (Redis serialization protocol, version 2): requests from templates, replies counted but not decoded.

import type { Address } from "../address.js";
import type { Connection, Driver, Outcome, ReplySink } from "./driver.js";
import { FAILED, MISS, OK } from "./driver.js";
import { makeTemplate, OrderedConnection, type Template } from "./ordered-connection.js";
import { openWire } from "./wire.js";
import { GET, INCR, keyTemplate, SET } from "./workload.js";

const CR = 13;
const LF = 10;
const PLUS = 43;
const MINUS = 45;
const COLON = 58;
const DOLLAR = 36;
const ZERO = 48;
/** How long `WAIT` may hold a reply; past it the answer is a number below what was asked, which counts as an error. */
const WAIT_LIMIT_MS = 10_000;
const ERROR_TEXT_BYTES_MAX = 200;

function command(parts: readonly (string | Uint8Array)[]): Buffer {
  const chunks: Uint8Array[] = [Buffer.from(`*${parts.length}\r\n`)];
  for (const part of parts) chunks.push(Buffer.from(`$${part.length}\r\n`), Buffer.from(part), Buffer.from("\r\n"));
  return Buffer.concat(chunks);
}

export class RespDriver implements Driver {
  readonly refill = "batch";
  readonly #templates: readonly Template[];
  readonly #pipeline: number;
  readonly #waitReplicas: number;
  readonly #keyspace: string;

  /** `waitReplicas` > 0 adds `WAIT` to every write: the operation is done when WAIT's reply is in. */
  constructor(value: Uint8Array, pipeline: number, waitReplicas: number, keyspace = "") {
    const wait = waitReplicas > 0 ? command(["WAIT", String(waitReplicas), String(WAIT_LIMIT_MS)]) : new Uint8Array(0);
    const templates: Template[] = [];
    templates[GET] = makeTemplate(GET, command(["GET", keyTemplate(GET)]));
    templates[SET] = makeTemplate(SET, command(["SET", keyTemplate(SET), value]), wait);
    templates[INCR] = makeTemplate(INCR, command(["INCR", keyTemplate(INCR)]), wait);
    this.#templates = templates;
    this.#pipeline = pipeline;
    this.#waitReplicas = waitReplicas;
    this.#keyspace = keyspace;
  }

  async connect(address: Address, sink: ReplySink): Promise<Connection> {
    const isChosen = this.#keyspace !== "";
    const connection = new RespConnection(this.#templates, this.#pipeline, this.#waitReplicas, isChosen, sink);
    connection.wire = await openWire(address, connection);
    if (isChosen) connection.wire.append(command(["SELECT", this.#keyspace]));
    return connection;
  }
}

/** Where in a reply the next byte is. */
const AT_TYPE = 0;
const IN_LINE = 1;
const IN_BULK = 2;

class RespConnection extends OrderedConnection {
  readonly #waitReplicas: number;
  /** The reply to SELECT is not in yet. */
  #awaitsSelect: boolean;
  /** The first of an operation's two replies (its write's) is in, WAIT's is not. */
  #awaitsWait = false;
  #writeFailed = "";

  // The reply being read; it may end in a later chunk.
  #state = AT_TYPE;
  #type = 0;
  #number = 0;
  #negative = false;
  #bulkLeft = 0;
  #errorText = "";

  constructor(
    templates: readonly Template[],
    pipeline: number,
    waitReplicas: number,
    awaitsSelect: boolean,
    sink: ReplySink,
  ) {
    super(templates, pipeline, sink);
    this.#waitReplicas = waitReplicas;
    this.#awaitsSelect = awaitsSelect;
  }

  protected read(bytes: Buffer, count: number): boolean {
    let at = 0;
    while (at < count) {
      if (this.#state === AT_TYPE) {
        if (!this.#beginReply(bytes[at]!)) return false;
        at += 1;
      } else if (this.#state === IN_LINE) {
        at = this.#readLine(bytes, at, count);
        if (at < 0) return false;
      } else {
        const take = Math.min(this.#bulkLeft, count - at);
        this.#bulkLeft -= take;
        at += take;
        if (this.#bulkLeft === 0) this.#endReply(OK, "");
      }
    }
    return true;
  }

  /** Returns false, with the connection closed, when the byte cannot begin a reply to what was asked. */
  #beginReply(type: number): boolean {
    const isDue = this.isAwaiting || this.#awaitsSelect;
    if (!isDue || (type !== PLUS && type !== MINUS && type !== COLON && type !== DOLLAR)) {
      const what = isDue ? "no reply to SET, GET, INCR or WAIT" : "a reply that nobody asked for";
      return this.giveUp(`the server sent ${what}: it begins with byte 0x${type.toString(16).padStart(2, "0")}`);
    }
    this.#type = type;
    this.#number = 0;
    this.#negative = false;
    this.#errorText = "";
    this.#state = IN_LINE;
    return true;
  }

  /** Reads up to and with the line's LF; returns where it stopped, or -1 when the connection was given up. */
  #readLine(bytes: Buffer, from: number, count: number): number {
    const type = this.#type;
    let at = from;
    if (type === COLON || type === DOLLAR) {
      for (; at < count && bytes[at] !== LF; at += 1) {
        const byte = bytes[at]!;
        if (byte === MINUS) this.#negative = true;
        else if (byte !== CR) this.#number = this.#number * 10 + (byte - ZERO);
      }
    } else {
      while (at < count && bytes[at] !== LF) at += 1;
      if (type === MINUS && this.#errorText.length < ERROR_TEXT_BYTES_MAX) {
        this.#errorText += bytes.toString("latin1", from, Math.min(at, from + ERROR_TEXT_BYTES_MAX));
      }
    }
    if (at === count) return at;
    if (this.#awaitsSelect) {
      this.#awaitsSelect = false;
      this.#state = AT_TYPE;
      if (type === MINUS) {
        this.giveUp(this.#errorText.trimEnd());
        return -1;
      }
    } else this.#endLine();
    return at + 1;
  }

  #endLine(): void {
    if (this.#type === MINUS) this.#endReply(FAILED, this.#errorText.trimEnd());
    else if (this.#type !== DOLLAR) this.#endReply(OK, "");
    else if (this.#negative) this.#endReply(MISS, "");
    else {
      this.#bulkLeft = this.#number + 2;
      this.#state = IN_BULK;
    }
  }

  #endReply(outcome: Outcome, reason: string): void {
    this.#state = AT_TYPE;
    if (this.#waitReplicas === 0 || this.kind === GET) this.complete(outcome, reason);
    else if (!this.#awaitsWait) {
      this.#awaitsWait = true;
      this.#writeFailed = reason;
    } else {
      this.#awaitsWait = false;
      if (this.#writeFailed !== "") this.complete(FAILED, this.#writeFailed);
      else if (outcome === OK && this.#number < this.#waitReplicas) {
        this.complete(FAILED, `WAIT ${this.#waitReplicas} was answered by ${this.#number} replicas`);
      } else this.complete(outcome, reason);
    }
  }
}
