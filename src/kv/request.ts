import type { Command } from "./command.js";
import type { Level } from "./level.js";
import type { Receipt } from "./receipt.js";
import type { Result } from "./result.js";
import type { Seen } from "./seen.js";

/** Names one request for ever, so that a retry is not done twice. */
export interface RequestId {
  /** 128 random bits as 16 latin1 chars. */
  readonly client: string;
  /** From 1, without gaps. */
  readonly sequence: number;
  /** The client will not ask about sequences up to here again: their results may be forgotten. */
  readonly acknowledgedThrough: number;
  /**
   * Replicated time at which the client id was made: by this the store tells a new client from the late copy of one that
   * it has forgotten, and does not do that copy again. 0: not known, and only the session table protects.
   */
  readonly openedMs: number;
}

/** Who waits for an answer. `reply` is called exactly once a request, from the turn in which the answer is known. */
export interface ReplySink {
  reply(request: Request, result: Result): void;
}

/** One operation under way: created by a listener, answered through its sink. */
export class Request {
  /** The listener's own, e.g. the place in its pipeline. */
  tag = 0;
  id: RequestId | null = null;
  /** Monotonic ms of this node by which an answer is due. */
  deadlineMs = Number.POSITIVE_INFINITY;
  /** Log position that a local read must have seen (the session's token). */
  minimumPosition = 0;
  /** In a group without an order: what the session has seen, raised by the machine with the answer. Null: no session. */
  seen: Seen | null = null;
  /** Filled in with the answer if the session explains: evidence of the level that was given. Null with an error. */
  receipt: Receipt | null = null;
  /** Set by the machine: position at which a write took effect, or that a read has seen. */
  position = 0;
  /** Position and term under which it was proposed; the machine's own bookkeeping. */
  sequence = 0;
  /** Set by a machine without an order: the stamp of the write, or the clock by which a read was made. */
  clockMs = 0;
  clockLogical = 0;
  cancelled = false;

  constructor(
    readonly command: Command,
    public level: Level,
    readonly sink: ReplySink,
  ) {}
}
