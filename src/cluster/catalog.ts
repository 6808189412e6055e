import { latin1Decode, latin1Encode } from "../core/bytes.js";
import type { GroupId, Incarnation, NodeId } from "../core/machine.js";
import { Command, Op } from "../kv/command.js";
import type { Protocol } from "../kv/grants.js";
import type { Level } from "../kv/level.js";
import { type Result, ResultKind } from "../kv/result.js";

/** Group of the catalog itself. */
export const CATALOG_GROUP: GroupId = 0;
export const DEFAULT_KEYSPACE = "default";
/** Rules of apply that this build knows; the cluster's version rises when all members support a newer one. */
export const CLUSTER_VERSION = 1;

const CLUSTER_KEY = "cluster";
const NEXT_GROUP_KEY = "next-group";
const MEMBER_PREFIX = "member/";
const KEYSPACE_PREFIX = "keyspace/";

export interface ClusterEntry {
  readonly id: string;
  readonly version: number;
}

export interface MemberEntry {
  readonly node: NodeId;
  readonly incarnation: Incarnation;
  readonly peerAddress: string;
  readonly clientAddress: string;
  /** Highest cluster version that the member's build supports. */
  readonly supports: number;
}

export interface KeyspaceEntry {
  readonly name: string;
  readonly protocol: Protocol;
  readonly defaultLevel: Level;
  /** Unique for ever: it names this keyspace's life, whatever keyspace has the name later. */
  readonly group: GroupId;
  readonly voters: readonly NodeId[];
  readonly learners: readonly NodeId[];
  /** Incarnations of the replicas at creation, as [node, incarnation] pairs: who has none of these lost a memory since. */
  readonly incarnations: readonly (readonly [NodeId, Incarnation])[];
}

function encode(entry: object): Uint8Array {
  return latin1Encode(JSON.stringify(entry));
}

function setCheckedAbsent(sets: [string, object][], checks: [string, number][]): Command {
  const command = new Command(Op.atomic);
  command.keys = checks.map(([key]) => key);
  command.versions = checks.map(([, version]) => version);
  command.children = sets.map(([key, entry]) => {
    const set = new Command(Op.set, key);
    set.value = encode(entry);
    return set;
  });
  return command;
}

/** Founds the cluster: done once, whoever comes first. */
export function foundCommand(cluster: ClusterEntry): Command {
  return setCheckedAbsent([[CLUSTER_KEY, cluster]], [[CLUSTER_KEY, 0]]);
}

export function memberCommand(member: MemberEntry): Command {
  const command = new Command(Op.set, MEMBER_PREFIX + member.node);
  command.value = encode(member);
  return command;
}

/** Creates a keyspace whose group is the catalog's next; fails as a check if the catalog has changed meanwhile. */
export function createKeyspaceCommand(catalog: Catalog, keyspace: KeyspaceEntry): Command {
  return setCheckedAbsent(
    [
      [KEYSPACE_PREFIX + keyspace.name, keyspace],
      [NEXT_GROUP_KEY, { group: keyspace.group + 1 }],
    ],
    [
      [KEYSPACE_PREFIX + keyspace.name, 0],
      [NEXT_GROUP_KEY, catalog.nextGroupVersion],
    ],
  );
}

export function dropKeyspaceCommand(name: string): Command {
  const command = new Command(Op.delete);
  command.keys = [KEYSPACE_PREFIX + name];
  return command;
}

/** Reads the whole catalog, or its next part. */
export function scanCommand(from: string): Command {
  const command = new Command(Op.scan, from);
  command.limit = 1_000;
  return command;
}

/** Null, or what is wrong with a keyspace's name. */
export function keyspaceNameProblem(name: string): string | null {
  if (name === "0") return `a keyspace cannot be named "0": that is what Redis' clients call the default one`;
  if (/^[a-z0-9][a-z0-9._-]{0,63}$/.test(name)) return null;
  return `"${name}" is not a keyspace name: 1 to 64 of a-z, 0-9, ".", "_", "-", beginning with a letter or digit`;
}

/** What the catalog's group says, as of one of its positions. */
export class Catalog {
  cluster: ClusterEntry | null = null;
  nextGroup: GroupId = CATALOG_GROUP + 1;
  nextGroupVersion = 0;
  readonly members = new Map<NodeId, MemberEntry>();
  readonly keyspaces = new Map<string, KeyspaceEntry>();

  take(key: string, record: Result): void {
    if (record.kind !== ResultKind.value) return;
    const entry: unknown = JSON.parse(latin1Decode(record.value));
    if (key === CLUSTER_KEY) this.cluster = entry as ClusterEntry;
    else if (key === NEXT_GROUP_KEY) {
      this.nextGroup = (entry as { group: GroupId }).group;
      this.nextGroupVersion = record.version;
    } else if (key.startsWith(MEMBER_PREFIX)) {
      const member = entry as MemberEntry;
      this.members.set(member.node, member);
    } else if (key.startsWith(KEYSPACE_PREFIX)) {
      const keyspace = entry as KeyspaceEntry;
      this.keyspaces.set(keyspace.name, keyspace);
    }
  }
}
