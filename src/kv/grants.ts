/**
 * The one table of who grants what: a protocol with its options, a level, and what that level costs there. Requests are
 * judged by it, and errors, `--help` and the documentation are made from it.
 */
import { KvError } from "./errors.js";
import { LEVEL_NAMES, Level } from "./level.js";

export const PROTOCOLS = ["raft", "gossip"] as const;
export type Protocol = (typeof PROTOCOLS)[number];

/** Whether one replica orders the writes of such a keyspace, in terms and positions that a person may look at. */
export function hasLeader(protocol: string): boolean {
  return protocol !== "gossip";
}

export function protocolByName(name: string): Protocol | null {
  return PROTOCOLS.find((protocol) => protocol === name) ?? null;
}

/** What a keyspace is made with, and what its requests are given that ask for nothing else. */
export const DEFAULT_LEVELS: Readonly<Record<Protocol, Level>> = {
  raft: Level.linearizable,
  gossip: Level.eventual,
};

/** The options of a keyspace, as its protocol reads them. */
export type ProtocolOptions = Readonly<Record<string, string | number | boolean>>;

export interface Grant {
  readonly protocol: string;
  readonly level: Level;
  /** What the options must be, for people; "" where any will do. */
  readonly condition: string;
  readonly holds: (options: ProtocolOptions) => boolean;
  readonly readCost: string;
  readonly writeCost: string;
  /** Why it holds, in a line. */
  readonly reason: string;
  /** Weaker levels that this one includes (docs: what each level means). */
  readonly includes: readonly Level[];
}

const always = (): boolean => true;

const RAFT_WRITE =
  "one round trip from the leader to a majority, synced there; batched with the writes of its time, for some ms under load";

const GOSSIP_WRITE = "none: synced on the node asked; batched with all writes of the turn";

export const GRANTS: readonly Grant[] = [
  {
    protocol: "raft",
    level: Level.linearizable,
    condition: "",
    holds: always,
    readCost: "one round trip from the leader to a majority (ReadIndex), shared by all reads of the turn; no disk",
    writeCost: RAFT_WRITE,
    reason: "a read waits until a majority has confirmed the leader after the read arrived",
    includes: [Level.sequential, Level.causal, Level.session, Level.bounded, Level.eventual],
  },
  {
    protocol: "raft",
    level: Level.sequential,
    condition: "",
    holds: always,
    readCost: "none: local on the replica asked, once that has applied all that the session has seen",
    writeCost: RAFT_WRITE,
    reason: "every replica applies one order, and a session never goes back in it",
    includes: [Level.causal, Level.session, Level.eventual],
  },
  {
    protocol: "gossip",
    level: Level.session,
    condition: "",
    holds: always,
    readCost:
      "none on the node that the session stays with; elsewhere it waits until that node has what the session has seen",
    writeCost: GOSSIP_WRITE,
    reason:
      "a session knows which writes it has seen, writes tell what their sessions had seen, and a read waits until all of it is held where it is made",
    includes: [Level.eventual],
  },
  {
    protocol: "gossip",
    level: Level.eventual,
    condition: "",
    holds: always,
    readCost: "none: local on the node asked, at once",
    writeCost: GOSSIP_WRITE,
    reason: "every write reaches every replica, and of two writes all replicas keep the same one",
    includes: [],
  },
];

/** The row that grants `level` on a keyspace of this protocol and these options, or `level_unsupported`. */
export function findGrant(protocol: string, options: ProtocolOptions, level: Level): Grant | KvError {
  for (const grant of GRANTS) {
    if (grant.protocol === protocol && grant.level === level && grant.holds(options)) return grant;
  }
  return new KvError("level_unsupported", refusal(protocol, options, level));
}

/** Says what would grant the level: here under other options, here as part of a stronger level, or elsewhere. */
function refusal(protocol: string, options: ProtocolOptions, level: Level): string {
  const name = LEVEL_NAMES[level];
  const ways: string[] = [];
  const stronger: string[] = [];
  for (const grant of GRANTS) {
    if (grant.level === level) {
      const condition = grant.condition === "" ? "" : ` with ${grant.condition}`;
      ways.push(`a keyspace of protocol ${grant.protocol}${condition} grants it`);
    } else if (grant.protocol === protocol && grant.includes.includes(level) && grant.holds(options)) {
      stronger.push(LEVEL_NAMES[grant.level]);
    }
  }
  if (stronger.length > 0) ways.unshift(`ask for ${stronger.join(" or ")}, which includes it`);
  if (ways.length === 0) ways.push("no protocol of this build does");
  return `this keyspace's protocol (${protocol}) does not grant the level ${name}; ${ways.join("; ")}`;
}

/** Those that a keyspace of this protocol may be asked for, strongest first. */
function levelsOf(protocol: string): string[] {
  return GRANTS.filter((grant) => grant.protocol === protocol).map(({ level }) => LEVEL_NAMES[level]);
}

/** The levels that any protocol grants, strongest first. */
export function grantedLevels(): string[] {
  return Object.values(LEVEL_NAMES).filter((name) => GRANTS.some(({ level }) => LEVEL_NAMES[level] === name));
}

/** `raft grants linearizable and sequential; gossip grants …`. */
export function grantsInWords(): string {
  return PROTOCOLS.map((protocol) => `${protocol} grants ${levelsOf(protocol).join(" and ")}`).join("; ");
}

const SHOWN_CHARS_MAX = 40;

/** Of a name that is no level's. `protocol`: of the keyspace that was asked; "" where that is not known. */
export function unknownLevel(found: string, protocol: string): string {
  const levels = levelsOf(protocol);
  const granted = levels.length === 0 ? grantsInWords() : `this keyspace (${protocol}) grants ${levels.join(" and ")}`;
  return `there is no level ${JSON.stringify(found.slice(0, SHOWN_CHARS_MAX))}; ${granted}`;
}

/** The table as Markdown, for the documentation. */
export function renderGrants(): string {
  const lines = [
    "| Protocol | Level | Options | A read costs | A write costs | Why it holds | Includes |",
    "|---|---|---|---|---|---|---|",
  ];
  for (const grant of GRANTS) {
    const condition = grant.condition === "" ? "any" : grant.condition;
    const includes = grant.includes.map((level) => LEVEL_NAMES[level]).join(", ");
    const cells = [grant.protocol, LEVEL_NAMES[grant.level], condition, grant.readCost, grant.writeCost];
    lines.push(`| ${[...cells, grant.reason, includes].join(" | ")} |`);
  }
  return `${lines.join("\n")}\n`;
}
