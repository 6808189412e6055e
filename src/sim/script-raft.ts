/** Raft in golden traces. */
import { ByteReader } from "../core/bytes.js";
import { LogRecord, RecordKind } from "../core/machine.js";
import { readSectionHeader, readSections, writeBatch } from "../kv/batch.js";
import { decodeCommand } from "../kv/command-codec.js";
import type { Request } from "../kv/request.js";
import type { Result } from "../kv/result.js";
import { HardState } from "../protocols/raft/hard-state.js";
import { MessageFlag, MessageKind, type RaftMessage } from "../protocols/raft/message.js";
import { RAFT_DEFAULTS, type RaftOptions } from "../protocols/raft/options.js";
import { Raft } from "../protocols/raft/raft.js";
import { type Arguments, ScriptError, wholeNumber } from "./script.js";
import { makeKvRequest, printKvCommand, printKvRequest, printKvResult } from "./script-kv.js";
import type { ScriptNodeSetup, ScriptProtocol } from "./script-protocol.js";

/** What makes the machine: raft itself, or raft with a planted bug. */
export type MakeRaft = (...parts: ConstructorParameters<typeof Raft>) => Raft;

const makePlainRaft: MakeRaft = (options, state) => new Raft(options, state);

export function raftScript(make: MakeRaft = makePlainRaft): ScriptProtocol<RaftMessage, Request, Result> {
  return {
    name: "raft",
    create: (setup, state, life) => make(raftOptions(setup, life), state),
    log: raftLog,
    makeRequest: makeKvRequest,
    printMessage: printRaftMessage,
    printRecord: printRaftRecord,
    printRequest: printKvRequest,
    printResult: printKvResult,
    show: (machine) => showRaft(machine as Raft),
    campaign: (machine) => campaign(machine as Raft),
  };
}

/**
 * Any numeric setting of {@link RaftOptions} may stand in the `cluster` command; `learners=4,5` takes votes away.
 * Writes go at once, unless the story sets `gatherBytes`.
 */
function raftOptions({ node, members, options }: ScriptNodeSetup, life: number): RaftOptions {
  const numbers: Record<string, number> = { ...RAFT_DEFAULTS, gatherBytes: 0, gatherWritesPerMs: 0 };
  for (const name of Object.keys(RAFT_DEFAULTS)) {
    if (options.has(name)) numbers[name] = wholeNumber(options.get(name), name);
  }
  const learners = (options.get("learners") ?? "")
    .split(",")
    .filter((word) => word !== "")
    .map(Number);
  const voters = members.filter((member) => !learners.includes(member));
  let clients = 0;
  return {
    ...(numbers as typeof RAFT_DEFAULTS),
    node,
    configuration: { voters, outgoing: [], learners },
    seed: node * 1_000 + life,
    newClientId: () => {
      clients += 1;
      return `node${node}.${life}.${clients}`.padEnd(16, ".");
    },
  };
}

/**
 * `terms=1,1,4 [term=4] [vote=2] [incarnation=7]`: the figures of the paper. The entries are empty; `payload=advance`
 * gives them the bytes of a batch without commands, so that `maxAppendBytes=1` sends them one by one.
 */
function raftLog({ named }: Arguments, { node }: ScriptNodeSetup): LogRecord[] {
  const terms = (named.get("terms") ?? "").split(",").filter((word) => word !== "");
  const payload = named.get("payload") === "advance" ? writeBatch(0, []) : new Uint8Array(0);
  const entries = terms.map(
    (term, i) => new LogRecord(RecordKind.entry, wholeNumber(term, "a term", 1), i + 1, payload),
  );
  const hard = new HardState();
  hard.term = wholeNumber(named.get("term") ?? String(entries.at(-1)?.epoch ?? 0), "term");
  hard.vote = wholeNumber(named.get("vote") ?? "0", "vote");
  hard.incarnation = wholeNumber(named.get("incarnation") ?? "1", "incarnation", 1);
  if (hard.term < (entries.at(-1)?.epoch ?? 0)) throw new ScriptError(`node ${node}: the term is older than the log`);
  return [new LogRecord(RecordKind.hardState, hard.term, 0, hard.encode()), ...entries];
}

/** The timeout passes: as many ticks as it takes. The pre-vote comes first, as in the life of any candidate. */
function campaign(raft: Raft): void {
  for (let i = 0; i < 2 * raft.options.electionTicks && raft.role === "follower"; i += 1) raft.tick();
}

function showRaft(raft: Raft): string[] {
  const terms: string[] = [];
  for (let index = raft.log.firstIndex; index <= raft.log.lastIndex; index += 1)
    terms.push(String(raft.log.termAt(index)));
  const base = raft.log.baseIndex === 0 ? "" : `${raft.log.baseTerm}/${raft.log.baseIndex} then `;
  return [`vote=${raft.hard.vote} durable=${raft.durableIndex} log=${base}[${terms.join(" ")}]`];
}

const KIND_NAMES = new Map<number, string>(Object.entries(MessageKind).map(([name, kind]) => [kind, name]));

/** Names a message and those of its fields that its kind uses. */
export function printRaftMessage(message: RaftMessage): string {
  const parts = [KIND_NAMES.get(message.kind) ?? `kind ${message.kind}`, `term=${message.term}`];
  parts.push(...kindFields(message));
  for (const [name, flag] of Object.entries(MessageFlag)) {
    // Said of every vote and heartbeat's answer.
    if (message.has(flag) && flag !== MessageFlag.clock) parts.push(name);
  }
  return parts.join(" ");
}

function kindFields(message: RaftMessage): string[] {
  const { kind, index, logTerm, commit, round } = message;
  switch (kind) {
    case MessageKind.append: {
      const entries = message.entries.map((entry) => `${entry.term}/${entry.index}${describePayload(entry.payload)}`);
      return [`prev=${logTerm}/${index}`, `commit=${commit}`, `round=${round}`, `entries=[${entries.join(", ")}]`];
    }
    case MessageKind.appendResponse:
      return message.has(MessageFlag.granted) ? [`match=${index}`, `round=${round}`] : [`hint=${logTerm}/${index}`];
    case MessageKind.heartbeat:
      return [`commit=${commit}`, `round=${round}`];
    case MessageKind.heartbeatResponse:
      return [`last=${index}`, `round=${round}`];
    case MessageKind.preVote:
    case MessageKind.vote:
      return [`last=${logTerm}/${index}`];
    case MessageKind.forward:
      return [describeSections(message.payload)];
    case MessageKind.forwardRefused:
      return [`client=${clientName(message.client)}`, `expected=${index}`];
    case MessageKind.readIndex:
      return [`question=${round}`];
    case MessageKind.readIndexResponse:
      return [`question=${round}`, `index=${index}`];
    case MessageKind.progressResponse:
      return [
        `durable=${chunks(message.numbers, 3)
          .map(([node, position]) => `${node}:${position}`)
          .join(",")}`,
      ];
    case MessageKind.staleIncarnation:
      return [`known=${index}`];
    default:
      return [];
  }
}

function chunks(numbers: readonly number[], size: number): number[][] {
  const out: number[][] = [];
  for (let at = 0; at < numbers.length; at += size) out.push(numbers.slice(at, at + size));
  return out;
}

export function printRaftRecord(record: LogRecord): string {
  if (record.kind === RecordKind.hardState) {
    const hard = HardState.decode(record.payload);
    const known = [...hard.known].map(([node, incarnation]) => `${node}:${incarnation}`).join(",");
    const life = hard.recovering ? ` recovering life=${hard.incarnation}` : "";
    return `hardState term=${hard.term} vote=${hard.vote} known=${known || "nobody"}${life}`;
  }
  if (record.kind === RecordKind.reset) return `reset ${record.epoch}/${record.position}`;
  return `entry ${record.epoch}/${record.position}${describePayload(record.payload)}`;
}

function describePayload(payload: Uint8Array): string {
  if (payload.length === 0) return "";
  const commands = readSections(payload).flatMap((section) =>
    commandsOf(payload, section.commandsStart, section.count),
  );
  return commands.length === 0 ? " advance" : ` ${commands.join("; ")}`;
}

function describeSections(bytes: Uint8Array): string {
  const parts: string[] = [];
  let at = 0;
  while (at + 4 <= bytes.length) {
    const section = readSectionHeader(bytes, at);
    const commands = commandsOf(bytes, section.commandsStart, section.count).join("; ");
    parts.push(`${clientName(section.client)}#${section.firstSequence} ${commands}`);
    at = section.end;
  }
  return `[${parts.join(", ")}]`;
}

function commandsOf(bytes: Uint8Array, start: number, count: number): string[] {
  const reader = new ByteReader(bytes);
  reader.position = start;
  const commands: string[] = [];
  for (let i = 0; i < count; i += 1) commands.push(printKvCommand(decodeCommand(reader)));
  return commands;
}

function clientName(client: string): string {
  return client.replace(/\.+$/, "");
}
