import type { CallError } from "../codec/call.js";
import { ERRORS, type ErrorCode } from "../kv/errors.js";
import { LEVEL_NAMES } from "../kv/level.js";
import { type Receipt as KvReceipt, renderReceipt } from "../kv/receipt.js";

/** Of a definite error: the operation has not taken effect and never will. */
export interface Failure {
  readonly kind: "error";
  /** One of Gamut's error codes; a newer node may know more of them than this client. */
  readonly code: string;
  readonly definite: true;
  readonly message: string;
}

/** Nobody knows: it may have taken effect, may still, or never will. */
export interface Unknown {
  readonly kind: "unknown";
  readonly code: string;
  readonly definite: false;
  readonly message: string;
}

/** What a call came to. `kind` tells which of the three it is. */
export type Outcome<T> = (Answered & T) | Failure | Unknown;

export interface Answered {
  readonly kind: "ok";
  /** Where the call asked for one (`explain`). */
  readonly receipt?: Receipt;
}

/** Evidence of the level that was really given. */
export interface Receipt {
  readonly asked: string;
  readonly given: string;
  readonly protocol: string;
  /** The node that answered, and the leader that ordered or confirmed. */
  readonly node: number;
  readonly leader: number;
  readonly epoch: number;
  /** Where the write stands in the order, or the position that the read has seen. */
  readonly position: number;
  /** Replicas known to hold the position durably. */
  readonly durableOn: readonly number[];
  /** `os`: not yet synced there, but with their operating systems; undefined: synced. */
  readonly durability?: "os";
  readonly evidence: string;
  /** In a keyspace without an order of writes, in place of leader, epoch and position: the write's time, or the read's. */
  readonly clock?: { readonly ms: number; readonly logical: number };
  /** Likewise: writes known to exist and missing on the node, and how many of its peers it hears from. */
  readonly staleness?: { readonly missingWrites: number; readonly reachablePeers: number; readonly peers: number };
  /** All of it in a line, for people. */
  readonly text: string;
}

/** What {@link ok} throws: an error or an unknown outcome. `message` begins with the code. */
export class GamutError extends Error {
  override readonly name = "GamutError";
  readonly code: string;
  readonly definite: boolean;
  /** The message of the outcome: without the code. */
  readonly reason: string;

  constructor({ code, definite, message }: CallError) {
    super(`${code}: ${message}`);
    this.code = code;
    this.definite = definite;
    this.reason = message;
  }
}

/** What has changed since a position is not all kept any more, at no node: begin anew. */
export class CompactedError extends GamutError {
  constructor(
    reason: string,
    /** The oldest position from which the node that was asked last could go on; "" if it did not tell. */
    readonly oldest: string,
  ) {
    super(callError("compacted", reason));
  }
}

/** The answer, for those who would rather catch: `ok(await gamut.get("x")).value`. @throws GamutError */
export function ok<T>(outcome: Outcome<T>): Answered & T {
  if (outcome.kind === "ok") return outcome;
  throw new GamutError(outcome);
}

export function failed(error: CallError | GamutError): Failure | Unknown {
  const { code, definite } = error;
  const message = error instanceof GamutError ? error.reason : error.message;
  return definite ? { kind: "error", code, definite, message } : { kind: "unknown", code, definite, message };
}

export function callError(code: ErrorCode, message: string = ERRORS[code].summary): CallError {
  return { code, definite: ERRORS[code].definite, message };
}

export function showReceipt(receipt: KvReceipt): Receipt {
  const asked = LEVEL_NAMES[receipt.asked];
  const given = LEVEL_NAMES[receipt.given];
  return { ...receipt, asked, given, text: renderReceipt(receipt) };
}
