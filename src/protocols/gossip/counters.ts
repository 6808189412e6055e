import { ByteReader, ByteWriter, CodecError } from "../../core/bytes.js";
import { HYBRID_ZERO, type HybridTime } from "../../core/hybrid-clock.js";
import type { State } from "../../core/state.js";
import { GossipTable } from "./tables.js";

const COUNTERS_VERSION = 2;
/** Without the last field. */
const COUNTERS_VERSION_1 = 1;

/** What a replica remembers besides rows: saved with every record that takes effect. */
export class Counters {
  /** No write in effect here has a later stamp, and none of this node's own will have an earlier one. */
  clock: HybridTime = HYBRID_ZERO;
  /** The latest stamp of a tombstone that was collected here. */
  collected: HybridTime = HYBRID_ZERO;
  tombstones = 0;
  parked = 0;
  parkedBytes = 0;
  /** Rows that tell of dependencies not held here. */
  dependents = 0;
  /** Rows by which writes are found by their sequence. */
  indexed = 0;
  /** Writes that lost, or were replaced, though their writer's rival had not seen them. */
  overwritten = 0;
  /** The latest deadline that has passed for a write in effect here, by whose clock so ever. */
  expiredThroughMs = 0;

  constructor(private readonly state: State) {
    const row = state.get(GossipTable.counters);
    if (row === undefined) return;
    const reader = new ByteReader(row);
    const version = reader.u8();
    if (version !== COUNTERS_VERSION && version !== COUNTERS_VERSION_1) {
      throw new CodecError(`gossip counters version ${version}; this build reads 1 and 2`);
    }
    this.clock = { ms: reader.u53(), logical: reader.u32() };
    this.collected = { ms: reader.u53(), logical: reader.u32() };
    this.tombstones = reader.u53();
    this.parked = reader.u53();
    this.parkedBytes = reader.u53();
    this.dependents = reader.u53();
    this.indexed = reader.u53();
    this.overwritten = reader.u53();
    if (version !== COUNTERS_VERSION_1) this.expiredThroughMs = reader.u53();
  }

  save(): void {
    const writer = new ByteWriter(96);
    writer.u8(COUNTERS_VERSION);
    for (const time of [this.clock, this.collected]) {
      writer.u53(time.ms);
      writer.u32(time.logical);
    }
    writer.u53(this.tombstones);
    writer.u53(this.parked);
    writer.u53(this.parkedBytes);
    writer.u53(this.dependents);
    writer.u53(this.indexed);
    writer.u53(this.overwritten);
    writer.u53(this.expiredThroughMs);
    this.state.put(GossipTable.counters, writer.copy());
  }
}
