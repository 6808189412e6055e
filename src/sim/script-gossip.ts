/** Gossip in golden traces. */
import { type LogRecord, RecordKind } from "../core/machine.js";
import { Change, kindOf } from "../kv/change-history.js";
import { Level } from "../kv/level.js";
import { OriginHistory } from "../kv/origin-history.js";
import type { Request } from "../kv/request.js";
import type { Result } from "../kv/result.js";
import { Seen } from "../kv/seen.js";
import { Gossip } from "../protocols/gossip/gossip.js";
import { HardState } from "../protocols/gossip/hard-state.js";
import { decodeItems, type Item } from "../protocols/gossip/item.js";
import { type GossipMessage, MessageFlag, MessageKind, type Stretch } from "../protocols/gossip/message.js";
import { GOSSIP_DEFAULTS, type GossipOptions } from "../protocols/gossip/options.js";
import type { Vector } from "../protocols/gossip/origins.js";
import { readSections, type Section, SectionKind } from "../protocols/gossip/section.js";
import type { SequenceSet } from "../protocols/gossip/sequence-set.js";
import { ScriptError, wholeNumber } from "./script.js";
import { makeKvRequest, printKvRequest, printKvResult } from "./script-kv.js";
import type { ScriptNodeSetup, ScriptProtocol } from "./script-protocol.js";

/** What makes the machine: gossip itself, or gossip with a planted bug. */
export type MakeGossip = (...parts: ConstructorParameters<typeof Gossip>) => Gossip;

const makePlainGossip: MakeGossip = (options, state) => new Gossip(options, state);

export function gossipScript(make: MakeGossip = makePlainGossip): ScriptProtocol<GossipMessage, Request, Result> {
  const sessions = new Map<string, Seen>();
  return {
    name: "gossip",
    create: (setup, state, life) => make(gossipOptions(setup, life), state),
    log: () => {
      throw new ScriptError("a trace of gossip begins with empty logs");
    },
    makeRequest: (words) => makeRequest(words, sessions),
    printMessage: printGossipMessage,
    printRecord: printGossipRecord,
    printRequest: printKvRequest,
    printResult: (request, result) => printKvResult(request, result) + printSeen(request.seen),
    show: (machine) => showGossip(machine as Gossip),
    campaign: () => {
      throw new ScriptError("nobody leads in gossip");
    },
  };
}

/** Enough for any trace. */
const HISTORY = { changesMax: 1_000, bytesMax: 1_000_000, ageMsMax: 600_000 };

/** Any numeric setting of {@link GossipOptions} may stand in the `cluster` command; with `watched=1` every node is watched. */
function gossipOptions({ node, members, options }: ScriptNodeSetup, life: number): GossipOptions {
  const numbers: Record<string, number> = { ...GOSSIP_DEFAULTS };
  for (const name of Object.keys(GOSSIP_DEFAULTS)) {
    if (options.has(name)) numbers[name] = wholeNumber(options.get(name), name);
  }
  const plain = { ...(numbers as typeof GOSSIP_DEFAULTS), node, members, seed: node * 1_000 + life };
  if (!options.has("watched")) return plain;
  const changes = new OriginHistory(HISTORY);
  changes.watchers = wholeNumber(options.get("watched"), "watched");
  return { ...plain, changes };
}

/** As in every trace; `session=a` names a session, and with it the level is `session` unless one is named. */
function makeRequest(words: readonly string[], sessions: Map<string, Seen>): Request {
  const named = words.find((word) => word.startsWith("session="));
  const hasLevel = words.some((word) => word.startsWith("level="));
  const level = named === undefined ? Level.eventual : Level.session;
  const plain = words.filter((word) => word !== named);
  const request = makeKvRequest(
    hasLevel ? plain : [...plain, `level=${level === Level.session ? "session" : "eventual"}`],
  );
  if (named !== undefined) {
    const seen = sessions.get(named) ?? new Seen();
    sessions.set(named, seen);
    request.seen = seen;
  }
  return request;
}

function printSeen(seen: Seen | null): string {
  if (seen === null || seen.origins.length === 0) return "";
  return ` (seen ${seen.origins.map((it) => `${it.node}.${it.incarnation}:${it.sequence}`).join(" ")})`;
}

function showGossip(gossip: Gossip): string[] {
  const { counters, entries, meta } = gossip.replica;
  const lines = [
    `life=${gossip.hard.incarnation} have=${printVector(gossip.replica.origins.vector(false))} keys=${meta.recordCount} ` +
      `tombstones=${counters.tombstones} parked=${counters.parked} overwritten=${counters.overwritten}`,
  ];
  const items: string[] = [];
  entries.eachIn(0, 0xffff_ffff, (key) => {
    items.push(printItem(entries.item(key)!));
    return true;
  });
  lines.push(...items.sort());
  const { changes } = gossip.options;
  if (changes !== undefined) lines.push(`noted ${printChanges(changes).join(", ") || "nothing"}`);
  return lines;
}

function printChanges(changes: OriginHistory): string[] {
  const lines: string[] = [];
  const change = new Change();
  for (let number = changes.first; number < changes.end; number += 1) {
    changes.read(number, change);
    lines.push(`${kindOf(change)} ${change.key}`);
  }
  return lines;
}

const KIND_NAMES = new Map<number, string>(Object.entries(MessageKind).map(([name, kind]) => [kind, name]));

export function printGossipMessage(message: GossipMessage): string {
  const parts = [KIND_NAMES.get(message.kind) ?? `kind ${message.kind}`, ...kindFields(message)];
  for (const [name, flag] of Object.entries(MessageFlag)) if (message.has(flag)) parts.push(name);
  return parts.join(" ");
}

function kindFields(message: GossipMessage): string[] {
  const items = message.writes;
  const writes = `[${items.map(printItem).join(", ")}]`;
  switch (message.kind) {
    case MessageKind.push:
      return [writes];
    case MessageKind.digest: {
      const taken = message.taken === null ? [] : [`taken=${printVector(message.taken)}`];
      return [`have=${printVector(message.have)}`, ...taken];
    }
    case MessageKind.answer: {
      const covers = message.covers.map((it) => `${it.node}.${it.incarnation}:${it.sequence} ${it.key}`);
      return covers.length === 0 ? [writes] : [writes, `covers=[${covers.join(", ")}]`];
    }
    case MessageKind.treeQuestion:
      return [`[${message.stretches.map(printStretch).join(", ")}]`];
    case MessageKind.treeAnswer:
      return [`done=${message.known}`, `parts=[${message.stretches.map(printStretch).join(", ")}]`, writes];
    default:
      return [`known=${message.known}`];
  }
}

function printStretch({ first, last, versions }: Stretch): string {
  const bounds = `${first.toString(16).padStart(8, "0")}-${last.toString(16).padStart(8, "0")}`;
  return versions === null ? bounds : `${bounds} of ${versions.length}`;
}

function printVector({ entries }: Vector): string {
  if (entries.length === 0) return "nothing";
  return entries
    .map(({ node, incarnation, sequences }) => `${node}.${incarnation}:${printSequences(sequences)}`)
    .join(",");
}

function printSequences({ contiguous, ranges }: SequenceSet): string {
  const exceptions: string[] = [];
  for (let i = 0; i < ranges.length; i += 2) {
    exceptions.push(ranges[i] === ranges[i + 1] ? `+${ranges[i]}` : `+${ranges[i]}-${ranges[i + 1]}`);
  }
  return contiguous + exceptions.join("");
}

function printItem({ stamp, key, isDelete, value, dependencies }: Item): string {
  const what = isDelete ? `delete ${key}` : `set ${key} ${String.fromCharCode(...value)}`;
  const after =
    dependencies.length === 0
      ? ""
      : ` after ${dependencies.map((it) => `${it.node}.${it.incarnation}:${it.sequence}`).join("+")}`;
  return `${what} @${stamp.ms}.${stamp.logical} ${stamp.node}.${stamp.incarnation}:${stamp.sequence}${after}`;
}

export function printGossipRecord(record: LogRecord): string {
  if (record.kind === RecordKind.hardState) {
    const hard = HardState.decode(record.payload);
    const known = [...hard.known].map(([node, incarnation]) => `${node}:${incarnation}`).join(",");
    return `hardState life=${hard.incarnation} known=${known || "nobody"}${hard.recovering ? " recovering" : ""}`;
  }
  return `record ${record.position} ${readSections(record.payload).map(printSection).join("; ")}`;
}

const SECTION_NAMES = new Map<number, string>(Object.entries(SectionKind).map(([name, kind]) => [kind, name]));

function printSection(section: Section): string {
  const name = SECTION_NAMES.get(section.kind) ?? `kind ${section.kind}`;
  switch (section.kind) {
    case SectionKind.writes:
    case SectionKind.park:
    case SectionKind.found:
      return `${name} ${decodeItems(section.batch).map(printItem).join(", ")}`;
    case SectionKind.covers:
      return `${name} ${section.covers.map((it) => `${it.node}.${it.incarnation}:${it.sequence} ${it.key}`).join(", ")}`;
    case SectionKind.merge:
    case SectionKind.barrier:
      return `${name} ${printVector(section.vector)}`;
    case SectionKind.expire:
      return `${name} ${section.expiries.map((it) => it.key).join(", ")}`;
    default:
      return `${name} ${section.node}.${section.incarnation} through ${section.through}`;
  }
}
