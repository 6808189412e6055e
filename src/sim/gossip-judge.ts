import type { NodeId } from "../core/machine.js";
import { NO_DEADLINE } from "../kv/command.js";
import type { Gossip } from "../protocols/gossip/gossip.js";
import { decodeItems, type Item } from "../protocols/gossip/item.js";
import { SectionKind } from "../protocols/gossip/section.js";
import { compareStamps, type Stamp } from "../protocols/gossip/stamp.js";

/** What one session must see from now on: of each key the latest write that it has seen, or knows of by one. */
export type Past = Map<string, Stamp>;

interface Known {
  readonly item: Item;
  readonly holders: Set<NodeId>;
  /** All who held it have lost their memory. */
  lost: boolean;
}

interface Host {
  gossip: Gossip;
  incarnation: number;
  /** The latest stamp that each key has had in this life. */
  highest: Map<string, Stamp>;
  /** Writes that were in effect in this life, by name. */
  held: Set<string>;
}

const TURNS_BETWEEN_CHECKS = 40;

/** Knows every write that has taken effect anywhere, by looking on from outside, and what follows from it. */
export class GossipJudge {
  private readonly byVersion = new Map<number, Known>();
  private readonly byName = new Map<string, Known>();
  private readonly byKey = new Map<string, Known[]>();
  /** Of each key the latest delete, or write with a deadline: what may have made it absent. */
  private readonly ends = new Map<string, Stamp>();
  /** Sessions' pasts at the time of their writes, by value: each is written once. */
  private readonly pasts = new Map<string, ReadonlyMap<string, Stamp>>();
  private readonly acknowledged = new Set<number>();
  private readonly hosts = new Map<NodeId, Host>();
  private turns = 0;
  collected = 0;
  parked = 0;
  treeWrites = 0;
  lostWrites = 0;

  constructor(private readonly violate: (problem: string) => void) {}

  // Replicas

  watch(node: NodeId, gossip: Gossip): void {
    const before = this.hosts.get(node) ?? null;
    const host: Host = { gossip, incarnation: 0, highest: new Map(), held: new Set() };
    let running = false;
    const { entries } = gossip.replica;
    const take = entries.take.bind(entries);
    entries.take = (item, current) => {
      this.taking(node, host, item, running);
      return take(item, current);
    };
    const collect = entries.collect.bind(entries);
    entries.collect = (key, stamp) => {
      if (running) this.collected += 1;
      collect(key, stamp);
    };
    const apply = gossip.replica.apply.bind(gossip.replica);
    gossip.replica.apply = (section) => {
      const isParking = section.kind === SectionKind.park;
      if (isParking || section.kind === SectionKind.found) {
        const items = decodeItems(section.batch);
        if (isParking) for (const item of items) this.register(item).holders.add(node);
        if (running && isParking) this.parked += items.length;
        else if (running) this.treeWrites += items.length;
      }
      apply(section);
    };
    const start = gossip.start.bind(gossip);
    gossip.start = (from, tail) => {
      start(from, tail);
      running = true;
      host.incarnation = gossip.hard.incarnation;
      if (before !== null && before.incarnation === host.incarnation) this.remembers(node, host, before);
      else if (before !== null) this.forgets(node);
      this.hosts.set(node, host);
    };
  }

  private taking(node: NodeId, host: Host, item: Item, running: boolean): void {
    const known = this.register(item);
    known.holders.add(node);
    if (!running) return;
    const { stamp, key } = item;
    host.held.add(nameOf(stamp));
    const highest = host.highest.get(key);
    if (highest === undefined || compareStamps(stamp, highest) > 0) host.highest.set(key, stamp);
    else if (host.gossip.replica.entries.current(key) === null && compareStamps(stamp, highest) < 0) {
      this.violate(`node ${node} lets a write of ${key} live again that is older than what it had`);
    }
  }

  private register(item: Item): Known {
    const { stamp, key } = item;
    const name = nameOf(stamp);
    const known = this.byName.get(name);
    if (known !== undefined) {
      const same =
        compareStamps(known.item.stamp, stamp) === 0 && known.item.key === key && textOf(known.item) === textOf(item);
      if (!same && !item.isDelete && !known.item.isDelete) this.violate(`two writes have the name ${name}`);
      if (!same && compareStamps(known.item.stamp, stamp) !== 0) this.violate(`the write ${name} has two stamps`);
      return known;
    }
    if (this.byVersion.has(stamp.version)) this.violate(`two writes have the version ${stamp.version}`);
    const fresh: Known = { item, holders: new Set(), lost: false };
    this.byName.set(name, fresh);
    this.byVersion.set(stamp.version, fresh);
    const ofKey = this.byKey.get(key);
    if (ofKey === undefined) this.byKey.set(key, [fresh]);
    else ofKey.push(fresh);
    const end = this.ends.get(key);
    const ends = item.isDelete || item.deadlineMs !== NO_DEADLINE;
    if (ends && (end === undefined || compareStamps(stamp, end) > 0)) this.ends.set(key, stamp);
    return fresh;
  }

  /** A process has come back with its memory: what was in effect before still is. */
  private remembers(node: NodeId, host: Host, before: Host): void {
    for (const name of before.held) {
      const { stamp } = this.byName.get(name)!.item;
      const origin = host.gossip.replica.origins.find(stamp.node, stamp.incarnation);
      if (origin === undefined || !origin.have.has(stamp.sequence)) {
        // A comparison of trees brings writes that count when it is over.
        if (compareOrNull(host.gossip.replica.entries.current(this.byName.get(name)!.item.key), stamp) >= 0) continue;
        if (this.mayBeAbsent(this.byName.get(name)!.item.key, stamp)) continue;
        this.violate(`node ${node} comes back without the write ${name}, which was in effect there`);
        return;
      }
    }
    host.held = before.held;
    host.highest = before.highest;
  }

  private forgets(node: NodeId): void {
    for (const known of this.byName.values()) {
      if (!known.holders.delete(node) || known.holders.size > 0 || known.lost) continue;
      known.lost = true;
      this.lostWrites += 1;
    }
  }

  turned(node: NodeId, gossip: Gossip | undefined): void {
    this.turns += 1;
    if (gossip !== undefined && this.turns % TURNS_BETWEEN_CHECKS === 0) this.check(node, gossip);
  }

  /** What a replica says that it holds must be there, or something later. */
  check(node: NodeId, gossip: Gossip): void {
    for (const [key, writes] of this.byKey) {
      const current = gossip.replica.entries.current(key);
      for (const { item, lost } of writes) {
        const { stamp } = item;
        if (lost) continue;
        const origin = gossip.replica.origins.find(stamp.node, stamp.incarnation);
        if (origin === undefined || !origin.have.has(stamp.sequence)) continue;
        const isThere = current === null ? this.mayBeAbsent(key, stamp) : compareStamps(current, stamp) >= 0;
        if (!isThere) {
          this.violate(`node ${node} counts the write ${nameOf(stamp)} of ${key} as held, and has nothing as late`);
          return;
        }
      }
    }
  }

  private mayBeAbsent(key: string, stamp: Stamp): boolean {
    return compareOrNull(this.ends.get(key) ?? null, stamp) >= 0;
  }

  // Clients

  /** A session is about to write that value. */
  writes(value: string, past: Past): void {
    this.pasts.set(value, new Map(past));
  }

  /** A session was told that its write is done. */
  wrote(key: string, version: number, past: Past): void {
    const known = this.byVersion.get(version);
    if (known === undefined) {
      this.violate(`a write of ${key} was answered and has taken effect nowhere`);
      return;
    }
    this.acknowledged.add(version);
    raise(past, key, known.item.stamp);
  }

  /** A session has read the key: `version` 0 for absent. */
  read(client: string, key: string, version: number, value: string | null, past: Past): void {
    const floor = past.get(key);
    if (version === 0) {
      if (floor === undefined || this.mayBeAbsent(key, floor) || this.isLost(floor)) return;
      this.violate(`${client} read ${key} as absent after it had seen the write ${nameOf(floor)}`);
      return;
    }
    const known = this.byVersion.get(version);
    if (known === undefined || (value !== null && textOf(known.item) !== value)) {
      this.violate(`${client} read ${value} from ${key}, which nobody has written`);
      return;
    }
    const { stamp } = known.item;
    if (floor !== undefined && compareStamps(stamp, floor) < 0 && !this.isLost(floor)) {
      this.violate(`${client} read the write ${nameOf(stamp)} of ${key} after it had seen ${nameOf(floor)}`);
    }
    raise(past, key, stamp);
    for (const [other, seen] of this.pasts.get(textOf(known.item)) ?? []) raise(past, other, seen);
  }

  /** An eventual read: any write will do. */
  readAny(client: string, key: string, version: number, value: string | null): void {
    this.read(client, key, version, value, new Map());
  }

  // Watchers

  /** A watcher is told of a record: somebody has written it. */
  toldProblem(key: string, version: number, value: string | null): string {
    const known = this.byVersion.get(version);
    const isKnown = known !== undefined && known.item.key === key && (value === null || textOf(known.item) === value);
    return isKnown
      ? ""
      : `was told of ${value ?? "a value"} of ${key} with version ${version}, which nobody has written`;
  }

  /** How the records that a watcher holds, by key with their versions, differ from what a replica has, of what it watches. */
  heldProblem(held: ReadonlyMap<string, number>, watches: (key: string) => boolean): string {
    const [{ gossip }] = this.hosts.values();
    for (const [key, writes] of this.byKey) {
      if (!watches(key)) continue;
      const item = gossip.replica.entries.item(key);
      const version = item === null || item.isDelete ? undefined : item.stamp.version;
      if (held.get(key) === version) continue;
      // What no node knows any more a watcher may have heard of: a record, or the end of one.
      const isLost = ({ lost, item: { stamp, isDelete } }: Known): boolean =>
        lost && (held.has(key) ? stamp.version === held.get(key) : isDelete);
      if (writes.some(isLost)) continue;
      return `it holds version ${held.get(key) ?? 0} of ${key}, the nodes ${version ?? 0}`;
    }
    return "";
  }

  private isLost(stamp: Stamp): boolean {
    return this.byName.get(nameOf(stamp))?.lost === true;
  }

  // The end

  /** All replicas hold the same, and nothing that was acknowledged has gone without a later write or an end. */
  compare(nodes: readonly Gossip[]): void {
    for (const [key, writes] of this.byKey) {
      const first = nodes[0].replica.entries.item(key);
      for (const gossip of nodes) {
        const item = gossip.replica.entries.item(key);
        const same = first === null ? item === null : item !== null && first.stamp.version === item.stamp.version;
        if (same && (first === null || textOf(first) === textOf(item!))) continue;
        const [a, b] = [first, item].map((it) => (it === null ? "nothing" : nameOf(it.stamp)));
        this.violate(`${key} is ${a} on node ${nodes[0].node} and ${b} on node ${gossip.node}`);
        return;
      }
      for (const { item, lost } of writes) {
        if (lost || !this.acknowledged.has(item.stamp.version)) continue;
        const kept = first === null ? this.mayBeAbsent(key, item.stamp) : compareStamps(first.stamp, item.stamp) >= 0;
        if (kept) continue;
        this.violate(`the acknowledged write ${nameOf(item.stamp)} of ${key} is gone`);
        return;
      }
    }
  }
}

function nameOf(stamp: Stamp): string {
  return `${stamp.node}.${stamp.incarnation}:${stamp.sequence}`;
}

function textOf({ value, isDelete }: Item): string {
  return isDelete ? "" : String.fromCharCode(...value);
}

function raise(past: Past, key: string, stamp: Stamp): void {
  const before = past.get(key);
  if (before === undefined || compareStamps(stamp, before) > 0) past.set(key, stamp);
}

function compareOrNull(a: Stamp | null, b: Stamp): number {
  return a === null ? -1 : compareStamps(a, b);
}
