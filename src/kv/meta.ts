import { allocate, CodecError } from "../core/bytes.js";
import type { State } from "../core/state.js";
import { getU53, putU53 } from "./fixed-integers.js";
import { Table } from "./tables.js";

const META_VERSION = 1;
const META_BYTES = 1 + 5 * 8;

/** The counters of a keyspace's state. Changed in place while a batch is applied, and saved once at its end. */
export class Meta {
  /** The replicated time: never goes back. */
  timeMs = 0;
  /**
   * The time that relative deadlines and the use of sessions count from, while a batch is applied: the batch's proposal
   * where that is ahead. While the replicated time catches up after a pause it runs far faster than real time, and what
   * counted from it would be over at once. A wrong proposal makes things last too long, which loses nothing. Not saved.
   */
  baseMs = 0;
  /** Version of the newest write; the next one gets this plus one. Never reset, not even by a flush. */
  revision = 0;
  /** Records held, those included whose deadline has passed but which are not removed yet. */
  recordCount = 0;
  sessionCount = 0;
  /** No session that was ever evicted had been opened (see `SectionWriter.begin`) after this. */
  evictedThroughMs = 0;

  constructor(private readonly state: State) {
    const bytes = state.get(Table.meta);
    if (bytes === undefined) return;
    if (bytes.length !== META_BYTES || bytes[0] !== META_VERSION) {
      throw new CodecError(`the state's meta record (version ${bytes[0]}) is not known to this build`);
    }
    this.timeMs = getU53(bytes, 1);
    this.revision = getU53(bytes, 9);
    this.recordCount = getU53(bytes, 17);
    this.sessionCount = getU53(bytes, 25);
    this.evictedThroughMs = getU53(bytes, 33);
  }

  save(): void {
    const bytes = allocate(META_BYTES);
    bytes[0] = META_VERSION;
    putU53(bytes, 1, this.timeMs);
    putU53(bytes, 9, this.revision);
    putU53(bytes, 17, this.recordCount);
    putU53(bytes, 25, this.sessionCount);
    putU53(bytes, 33, this.evictedThroughMs);
    this.state.put(Table.meta, bytes);
  }
}
