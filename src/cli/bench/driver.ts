// What the load loop knows about a wire.
import type { Address } from "../address.js";
import type { OperationKind } from "./workload.js";

/** The wires that there are drivers for. */
export const DRIVERS = ["resp", "memcached", "http", "etcd"] as const;

export const OK = 0;
/** A read that found nothing: not an error, but a benchmark of such reads is not what it seems. */
export const MISS = 1;
export const FAILED = 2;
export type Outcome = typeof OK | typeof MISS | typeof FAILED;

/** Whom a connection tells about replies. Times are whole microseconds of the load loop's clock. */
export interface ReplySink {
  /** Bytes arrived: read the clock once for all replies in them. */
  received(): void;
  /** One operation is done. `reason` says why it failed, else it is empty. */
  completed(startedUs: number, outcome: Outcome, reason: string): void;
  /** All replies of these bytes were reported: time to send more. */
  settled(): void;
  /** The connection is gone; `inFlight` operations will never complete. Not called after `close`. */
  lost(reason: string, inFlight: number): void;
}

/** One connection. Requests gather in `send` and leave in `flush`, in one write. */
export interface Connection {
  /** Whether one more request may be sent now; asked before every `send`. */
  ready(): boolean;
  send(kind: OperationKind, key: number, startedUs: number): void;
  flush(): void;
  close(): void;
}

export interface Driver {
  /**
   * How a pipeline refills in a closed loop. `batch`: when all replies are in, as redis-benchmark does, because requests
   * share one ordered stream. `stream`: one for each reply, because requests are independent of each other.
   */
  readonly refill: "batch" | "stream";
  /** Rejects with what could not be reached and why. `sink` is not called before this resolves. */
  connect(address: Address, sink: ReplySink): Promise<Connection>;
}
