import { assert } from "../../core/assert.js";
import { HEADER_BYTES, SECTOR_BYTES } from "./format.js";

/**
 * What to make of bytes that no sound batch explains. `provenDurable`: a mark or something later in the log says that
 * what stood there had been synced. Only tests have reason to give another rule than {@link soundVerdict}.
 */
export type Verdict = (provenDurable: boolean) => "damaged" | "tail";

export function soundVerdict(provenDurable: boolean): "damaged" | "tail" {
  return provenDurable ? "damaged" : "tail";
}

export interface LogOptions {
  /** 48 random bits, drawn at every start; used when a log is created, which bears this name from then on. */
  readonly freshIdentity: number;
  /** Size of a segment's file. */
  readonly segmentBytes: number;
  /** Payload of one batch, at most; also the limit of one record with its 25 bytes of overhead. */
  readonly batchBytesMax: number;
  /**
   * When the next segment cannot be made, writes are refused from where the current one has less than this left: room
   * for what has already been proposed. The last quarter of it takes no entries, only votes and the like.
   */
  readonly reserveBytes: number;
  /** Ticks between two attempts to make a segment on a full disk. */
  readonly spaceRetryTicks: number;
  /** Ticks between two syncs of what was written without one. */
  readonly syncTicks: number;
  readonly verdict: Verdict;
}

export const LOG_DEFAULTS = {
  segmentBytes: 16 * 1024 * 1024,
  batchBytesMax: 4 * 1024 * 1024,
  reserveBytes: 8 * 1024 * 1024,
  spaceRetryTicks: 50,
  syncTicks: 50,
  verdict: soundVerdict,
} as const;

export function checkLogOptions(options: LogOptions): void {
  assert(options.freshIdentity > 0, "log: the fresh identity is not a positive number");
  assert(options.segmentBytes % SECTOR_BYTES === 0, "log: segments must be whole sectors");
  assert(options.segmentBytes <= 0xffffffff, "log: segments end below 4 GiB");
  assert(options.batchBytesMax > 0, "log: batches must have room");
  // The other half takes the hard states that are repeated at a segment's start.
  assert(2 * (HEADER_BYTES + options.batchBytesMax) <= options.segmentBytes, "log: two batches must fit a segment");
  assert(options.reserveBytes >= options.batchBytesMax, "log: the reserve must take a batch");
  assert(options.reserveBytes < options.segmentBytes, "log: the reserve must be less than a segment");
  assert(options.spaceRetryTicks > 0, "log: retries must be some ticks apart");
  assert(options.syncTicks > 0, "log: syncs must be some ticks apart");
}
