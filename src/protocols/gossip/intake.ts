import { compareHybrid, HYBRID_ZERO, type HybridTime, mergeHybrid } from "../../core/hybrid-clock.js";
import { NO_DEADLINE } from "../../kv/command.js";
import type { Gossip } from "./gossip.js";
import { BatchReader, decodeItems, encodeItems, type Item } from "./item.js";
import { Vector, VectorEntry } from "./origins.js";
import { type Cover, SectionKind } from "./section.js";

/** An answer fills gaps in order, but what covers a gap may come from far ahead: for a while there may be so many more. */
const ANSWER_EXCEPTIONS = 16;

/**
 * Writes of others on their way into this replica: which are new, which have to wait for the clock, and which come too
 * late to be believed.
 */
export class Intake {
  /**
   * What no longer counts as news once a tombstone has been collected: a write that is not known here and not later than
   * this may be one that the tombstone had replaced, and come from before its sender had the tombstone.
   */
  private guard: HybridTime = HYBRID_ZERO;
  /** Rises with every collection: answers to questions from before are as old as any other late message. */
  epoch = 0;

  constructor(protected readonly gossip: Gossip) {}

  started(): void {
    this.guard = this.gossip.replica.counters.collected;
  }

  /** A tombstone of that stamp is about to be collected. */
  collects(stamp: HybridTime): void {
    this.guard = mergeHybrid(this.guard, stamp);
    this.epoch += 1;
  }

  /** Of an answer something was left out, or the vector would have had too many exceptions: the tree has to bring it. */
  isOverflowing = false;

  /** What a peer has sent of its own accord: a batch. */
  takePushed(batch: Uint8Array): void {
    this.take(batch, false, this.gossip.options.maxExceptions);
  }

  /** The answer to a question of epoch `epoch`. Answers whether all of it is held, or about to be. */
  takeAnswer(batch: Uint8Array, covers: readonly Cover[], epoch: number): boolean {
    const isFresh = epoch === this.epoch;
    this.isOverflowing = false;
    const isWhole = this.take(batch, isFresh, ANSWER_EXCEPTIONS * this.gossip.options.maxExceptions);
    if (!isWhole || !isFresh) return false;
    const known = covers.filter((it) => this.gossip.replica.origins.mayKnow(it.node, it.incarnation));
    if (known.length > 0) {
      for (const { node, incarnation, sequence } of known) this.taken(node, incarnation, sequence);
      this.gossip.log.add({ kind: SectionKind.covers, covers: known });
    }
    return true;
  }

  /** `isFresh`: asked for after the last collection. */
  private take(batch: Uint8Array, isFresh: boolean, maxRanges: number): boolean {
    if (batch.length === 0) return true;
    const { gossip } = this;
    const reader = new BatchReader(batch);
    let count = 0;
    /** null as long as all are: then the batch is logged as it has come. */
    let accepted: Item[] | null = null;
    const ahead: Item[] = [];
    let isWhole = true;
    for (; reader.next(); count += 1) {
      const { node, incarnation, sequence } = reader;
      const verdict = this.judge(reader, isFresh, maxRanges);
      if (verdict === "news") {
        this.taken(node, incarnation, sequence);
        accepted?.push(reader.item());
        continue;
      }
      accepted ??= decodeItems(batch, count);
      if (verdict === "known") {
        // Parked, even if its time has come, or on its way to the disk: here, and not in effect.
        if (!gossip.replica.origins.get(node, incarnation).have.has(sequence)) isWhole = false;
        continue;
      }
      isWhole = false;
      if (verdict === "ahead") this.keep(reader.item(), ahead);
    }
    if (ahead.length > 0) gossip.log.add({ kind: SectionKind.park, batch: encodeItems(ahead) });
    if (accepted === null && count > 0) gossip.log.add({ kind: SectionKind.writes, batch });
    else if (accepted !== null && accepted.length > 0) {
      gossip.log.add({ kind: SectionKind.writes, batch: encodeItems(accepted) });
    }
    return isWhole;
  }

  private judge(stamp: BatchReader, isFresh: boolean, maxRanges: number): "known" | "refused" | "ahead" | "news" {
    const { gossip } = this;
    const { origins } = gossip.replica;
    if (!origins.mayKnow(stamp.node, stamp.incarnation)) return "refused";
    const origin = origins.get(stamp.node, stamp.incarnation);
    if (origin.taken.has(stamp.sequence)) return "known";
    if (!isFresh && compareHybrid(stamp, this.guard) <= 0) return "refused";
    if (origin.taken.rangeCount >= maxRanges && origin.taken.needsRange(stamp.sequence)) {
      this.isOverflowing = true;
      return "refused";
    }
    return this.isAhead(stamp) ? "ahead" : "news";
  }

  /** Whether a stamp is further ahead than this node's clock allows. Overridden by a canary. */
  protected isAhead(stamp: HybridTime): boolean {
    return stamp.ms > this.gossip.wallMs + this.gossip.options.maxOffsetMs;
  }

  /** Takes a write that is ahead, if there is room; otherwise it stays with those who have it. Overridden by a canary. */
  protected keep(item: Item, ahead: Item[]): void {
    const { options, replica } = this.gossip;
    const { counters } = replica;
    if (counters.parked + ahead.length >= options.maxParked || counters.parkedBytes >= options.maxParkedBytes) return;
    this.taken(item.stamp.node, item.stamp.incarnation, item.stamp.sequence);
    ahead.push(item);
  }

  /** Whether a write that is not later than that waits for the clock, or is on its way to the disk to do so. */
  parksUpTo(stamp: HybridTime): boolean {
    const { log, replica } = this.gossip;
    if (replica.parksUpTo(stamp)) return true;
    for (const section of log.notInEffect()) {
      if (section.kind !== SectionKind.park) continue;
      if (decodeItems(section.batch).some((item) => compareHybrid(item.stamp, stamp) <= 0)) return true;
    }
    return false;
  }

  /** Those whose time has come take effect, the earliest first. */
  releaseParked(limit: number): void {
    const due: Item[] = [];
    let bytes = 0;
    this.gossip.replica.eachParked((item) => {
      bytes += item.byteLength;
      const isEnough = due.length > 0 && bytes > this.gossip.options.maxRecordBytes;
      if (this.isAhead(item.stamp) || due.length === limit || isEnough) return false;
      due.push(item);
      return true;
    });
    if (due.length > 0) this.gossip.log.add({ kind: SectionKind.writes, batch: encodeItems(due) });
  }

  /** What a comparison of trees has brought. Answers whether all of it is held, or about to be. */
  takeFound(items: readonly Item[], epoch: number): boolean {
    const { gossip } = this;
    const found: Item[] = [];
    const ahead: Item[] = [];
    let isWhole = true;
    for (const item of items) {
      const { stamp } = item;
      if (!gossip.replica.origins.mayKnow(stamp.node, stamp.incarnation)) {
        isWhole = false;
        continue;
      }
      const origin = gossip.replica.origins.get(stamp.node, stamp.incarnation);
      // The guard before the clock: what is parked takes effect later, whatever was collected.
      if (compareHybrid(stamp, this.guard) <= 0) {
        if (epoch !== this.epoch) {
          isWhole = false;
          continue;
        }
        if (this.isOver(item) && origin.have.has(stamp.sequence)) continue;
      }
      if (this.isAhead(stamp)) {
        isWhole = false;
        if (!origin.taken.has(stamp.sequence)) this.keep(item, ahead);
      } else found.push(item);
    }
    if (ahead.length > 0) gossip.log.add({ kind: SectionKind.park, batch: encodeItems(ahead) });
    if (found.length > 0) gossip.log.add({ kind: SectionKind.found, batch: encodeItems(found) });
    return isWhole;
  }

  /** A delete, or a value whose deadline has passed: what was held and is gone was collected. */
  private isOver(item: Item): boolean {
    return item.isDelete || (item.deadlineMs !== NO_DEADLINE && item.deadlineMs <= this.gossip.nowMs);
  }

  /** Whoever reads what a peer has passed on may have to know all that the peer knew. */
  raiseBarrier(have: Vector): void {
    const vector = new Vector();
    for (const { node, incarnation, sequences } of have.entries) {
      const origin = this.gossip.replica.origins.find(node, incarnation);
      if (origin !== undefined && origin.taken.contiguous >= sequences.contiguous) continue;
      if (sequences.contiguous > 0) vector.entries.push(new VectorEntry(node, incarnation, sequences));
    }
    if (vector.entries.length > 0) this.gossip.log.add({ kind: SectionKind.barrier, vector });
  }

  protected taken(node: number, incarnation: number, sequence: number): void {
    this.gossip.replica.origins.get(node, incarnation).taken.add(sequence);
  }
}
