import type { GroupId } from "../core/machine.js";

interface Written {
  /** The group that it was written to, or first read from; 0 as long as nobody has been told. */
  group: GroupId;
  /** The writer was told that it did not take effect and never will. */
  refused: boolean;
}

/** A keyspace was made or dropped, and when that was asked for and answered. */
interface Change {
  readonly begun: number;
  readonly answered: number;
}

/**
 * What clients know about the lives of keyspaces that are dropped and made again under the same name. Every value is
 * written once, so it tells which life it belongs to. Moments are the fleet's.
 */
export class Lives {
  private readonly written = new Map<string, Written>();
  private readonly made = new Map<string, Change[]>();
  private readonly dropped = new Map<string, Change[]>();
  /** When a group was first known to answer. */
  private readonly seen = new Map<GroupId, number>();
  /** Answers of a life whose drop had been answered: the catalog of the node that was asked lags. */
  late = 0;

  writeBegins(value: string): void {
    this.written.set(value, { group: 0, refused: false });
  }

  writeAnswered(value: string, group: GroupId): void {
    this.written.get(value)!.group = group;
  }

  writeRefused(value: string): void {
    this.written.get(value)!.refused = true;
  }

  keyspaceMade(keyspace: string, begun: number, answered: number): void {
    note(this.made, keyspace, { begun, answered });
  }

  keyspaceDropped(keyspace: string, begun: number, answered: number): void {
    note(this.dropped, keyspace, { begun, answered });
  }

  /** A group answers for a keyspace, asked at `begun`. Answers what is wrong with that, or "". */
  answers(keyspace: string, group: GroupId, begun: number, now: number): string {
    const seen = this.seen.get(group) ?? now;
    this.seen.set(group, seen);
    const drop = this.dropped.get(keyspace)?.find((it) => it.begun > seen && it.answered < begun);
    if (drop === undefined) return "";
    this.late += 1;
    const made = this.made.get(keyspace)?.find((it) => it.begun > drop.answered && it.answered < begun);
    if (made === undefined) return "";
    return `keyspace ${keyspace} was dropped and made again, and then group ${group} of its old life answered`;
  }

  /** A read found a value in that group. Answers what is wrong with that, or "". */
  found(keyspace: string, value: string, group: GroupId): string {
    const written = this.written.get(value);
    const what = `${value} was read from keyspace ${keyspace}, group ${group}`;
    if (written === undefined) return `${what}: nobody wrote it`;
    if (written.refused) return `${what}; its writer was told that it never took effect`;
    if (written.group === 0) written.group = group;
    return written.group === group ? "" : `${what}; it belongs to group ${written.group}, another life`;
  }
}

function note(changes: Map<string, Change[]>, keyspace: string, change: Change): void {
  const list = changes.get(keyspace);
  if (list === undefined) changes.set(keyspace, [change]);
  else list.push(change);
}
