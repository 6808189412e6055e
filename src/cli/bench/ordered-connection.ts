// A wire whose replies come in the order of its requests: what RESP, memcached and HTTP/1.1 share here.
import type { Connection, Outcome, ReplySink } from "./driver.js";
import type { Wire } from "./wire.js";
import { keyTemplate, type OperationKind, writeKeyNumber } from "./workload.js";

/** The bytes of one kind of request; the key is patched in at `keyAt`. */
export interface Template {
  readonly bytes: Uint8Array;
  readonly keyAt: number;
}

/** `request` holds the key's template once; `suffix` follows it. */
export function makeTemplate(kind: OperationKind, request: Buffer, suffix: Uint8Array = new Uint8Array(0)): Template {
  return { bytes: Buffer.concat([request, suffix]), keyAt: request.indexOf(keyTemplate(kind)) };
}

export abstract class OrderedConnection implements Connection {
  wire!: Wire;
  readonly #templates: readonly Template[];
  readonly #sink: ReplySink;
  readonly #capacity: number;

  // In flight: a ring of operations in the order of their requests.
  readonly #startedUs: Float64Array;
  readonly #kinds: Uint8Array;
  #head = 0;
  #inFlight = 0;

  constructor(templates: readonly Template[], pipeline: number, sink: ReplySink) {
    this.#templates = templates;
    this.#capacity = pipeline;
    this.#startedUs = new Float64Array(pipeline);
    this.#kinds = new Uint8Array(pipeline);
    this.#sink = sink;
  }

  ready(): boolean {
    return this.#inFlight < this.#capacity;
  }

  send(kind: OperationKind, key: number, startedUs: number): void {
    const { bytes, keyAt } = this.#templates[kind]!;
    const wire = this.wire;
    const at = wire.end;
    wire.append(bytes);
    writeKeyNumber(wire.out, at + keyAt, key);
    let tail = this.#head + this.#inFlight;
    if (tail >= this.#capacity) tail -= this.#capacity;
    this.#startedUs[tail] = startedUs;
    this.#kinds[tail] = kind;
    this.#inFlight += 1;
  }

  flush(): void {
    this.wire.flush();
  }

  close(): void {
    this.wire.close();
  }

  lost(reason: string): void {
    this.#sink.lost(reason, this.#inFlight);
  }

  data(bytes: Buffer, count: number): void {
    this.#sink.received();
    if (this.read(bytes, count)) this.#sink.settled();
  }

  /** Takes `count` bytes of replies. False when the connection was given up. */
  protected abstract read(bytes: Buffer, count: number): boolean;

  /** Whether a reply is due. */
  protected get isAwaiting(): boolean {
    return this.#inFlight > 0;
  }

  /** Of the operation whose reply is next. */
  protected get kind(): OperationKind {
    return this.#kinds[this.#head]! as OperationKind;
  }

  /** What came is no reply to what was asked. */
  protected giveUp(reason: string): boolean {
    this.close();
    this.lost(reason);
    return false;
  }

  protected complete(outcome: Outcome, reason: string): void {
    const startedUs = this.#startedUs[this.#head]!;
    this.#head = this.#head + 1 === this.#capacity ? 0 : this.#head + 1;
    this.#inFlight -= 1;
    this.#sink.completed(startedUs, outcome, reason);
  }
}
