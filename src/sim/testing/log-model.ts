import { type GroupId, LogRecord, RecordKind } from "../../core/machine.js";
import type { Random } from "../../core/random.js";
import type { RecoveredGroup, RecoveryOutcome } from "../../node/log/outcome.js";
import type { LogWorld } from "./log-world.js";
import { words } from "./log-world.js";

interface Issued {
  readonly group: GroupId;
  readonly record: LogRecord;
  readonly seq: number;
}

const GROUPS: GroupId[] = [0, 1, 7];

/**
 * Writes random records to a log and knows what it may remember: some beginning of all that was issued, in the order of
 * issue over all groups, at least as long as what was reported durable.
 */
export class LogModel {
  private readonly issued: Issued[] = [];
  private readonly ends = new Map<GroupId, number>();
  private readonly resets = new Map<GroupId, number>();
  private readonly cuts = new Map<GroupId, number>();
  private readonly seqs = new Map<GroupId, number>();
  private epoch = 1;
  /** So many of the issued records had been recovered once: they may not be lost any more. */
  private kept = 0;

  constructor(private readonly random: Random) {}

  get count(): number {
    return this.issued.length;
  }

  /** One turn of a node: a few records, sometimes a cut of what is durable. */
  turn(world: LogWorld): void {
    const records = this.random.below(4);
    for (let i = 0; i < records; i += 1) this.issue(world, this.random.pick(GROUPS));
    world.log.submit();
    if (this.random.chance(0.2)) this.cut(world, this.random.pick(GROUPS), false);
    if (this.random.chance(0.1)) for (const group of GROUPS) this.cut(world, group, true);
  }

  private issue(world: LogWorld, group: GroupId): void {
    const seq = (this.seqs.get(group) ?? 0) + 1;
    this.seqs.set(group, seq);
    const record = this.nextRecord(group);
    this.issued.push({ group, record, seq });
    world.log.append(group, record, seq);
  }

  private nextRecord(group: GroupId): LogRecord {
    const end = this.ends.get(group) ?? 0;
    // Nothing that a checkpoint or a snapshot holds is ever replaced.
    const agreed = Math.max(this.cuts.get(group) ?? 0, this.resets.get(group) ?? 0);
    const kind = this.random.below(20);
    if (kind < 4) return this.record(RecordKind.hardState, 0, 40);
    this.epoch += kind === 4 ? 1 : 0;
    let position = end + 1;
    if (kind === 4) position = agreed + 1 + this.random.below(end + 1 - agreed);
    if (kind === 5) position = end + this.random.below(20);
    this.ends.set(group, position);
    if (kind === 5) {
      this.resets.set(group, position);
      return this.record(RecordKind.reset, position, 1);
    }
    return this.record(RecordKind.entry, position, this.random.chance(0.4) ? 1900 : 200);
  }

  private record(kind: RecordKind, position: number, payloadBytesMax: number): LogRecord {
    const length = this.random.below(payloadBytesMax);
    const payload = new Uint8Array(length);
    for (let i = 0; i < length; i += 1) payload[i] = this.random.u32();
    return new LogRecord(kind, this.epoch, position, payload);
  }

  /** A checkpoint has reached some durable position; what it holds was agreed on and is not replaced any more. */
  private cut(world: LogWorld, group: GroupId, all: boolean): void {
    const durable = this.fold(this.durableCount(world)).get(group);
    const newest = this.fold(this.issued.length).get(group);
    const agreed = durable?.records.filter((record) => newest?.records.includes(record)) ?? [];
    if (agreed.length === 0) return;
    const { position } = all ? agreed[agreed.length - 1] : this.random.pick(agreed);
    if (position <= (this.cuts.get(group) ?? 0)) return;
    this.cuts.set(group, position);
    world.log.cut(group, position);
  }

  /** How many of the issued records the log has reported as durable, or had to recover. */
  durableCount(world: LogWorld): number {
    let count = this.kept;
    for (let i = this.kept; i < this.issued.length; i += 1) {
      const { group, seq } = this.issued[i];
      if ((world.durable.get(group) ?? 0) >= seq) count = i + 1;
    }
    return count;
  }

  /** What a log that has just these records says of each group. */
  private fold(count: number): Map<GroupId, RecoveredGroup> {
    const groups = new Map<GroupId, RecoveredGroup>();
    for (const { group, record } of this.issued.slice(0, count)) {
      const before = groups.get(group) ?? { hardState: null, records: [] };
      groups.set(group, foldRecord(before, record));
    }
    return groups;
  }

  /**
   * Answers what is wrong with a recovery: null if it gives what the log's first n records give, for an n from
   * `durable` up; the model then goes on from there.
   */
  judge(outcome: RecoveryOutcome, durable: number): string | null {
    if (outcome.kind !== "ok" && outcome.kind !== "empty") return `${outcome.kind}: ${outcome.reason}`;
    for (let count = this.issued.length; count >= durable; count -= 1) {
      if (this.says(this.fold(count), outcome)) {
        this.goOnFrom(count);
        return null;
      }
    }
    return `recovered neither all ${this.issued.length} records nor any beginning of at least ${durable}`;
  }

  private says(groups: Map<GroupId, RecoveredGroup>, outcome: RecoveryOutcome): boolean {
    return GROUPS.every((group) => {
      const cut = this.cuts.get(group) ?? 0;
      return words(groups.get(group), cut) === words(outcome.groups.get(group), cut);
    });
  }

  private goOnFrom(count: number): void {
    this.issued.length = count;
    this.kept = count;
    this.ends.clear();
    this.resets.clear();
    for (const [group, { records }] of this.fold(count)) {
      if (records.length === 0) continue;
      this.ends.set(group, records[records.length - 1].position);
      if (records[0].kind === RecordKind.reset) this.resets.set(group, records[0].position);
    }
    // A new life of the machine counts its writes anew.
    this.seqs.clear();
  }

  /** At its start the host tells the log what its checkpoints hold. */
  tellCuts(world: LogWorld): void {
    for (const [group, position] of this.cuts) world.log.cut(group, position);
  }
}

/** The replace-suffix rule, the slow way. */
function foldRecord(before: RecoveredGroup, record: LogRecord): RecoveredGroup {
  if (record.kind === RecordKind.hardState) return { hardState: record, records: before.records };
  if (record.kind === RecordKind.reset) return { hardState: before.hardState, records: [record] };
  const kept = before.records.filter((r) => r.kind === RecordKind.reset || r.position < record.position);
  return { hardState: before.hardState, records: [...kept, record] };
}
