/**
 * Every run of a few machines within stated bounds. A message that was sent may arrive at any time or never, so losses and
 * every order are in it; stated doubles as well. Equal messages in flight are one.
 *
 * A machine's state depends on its own inputs alone. Each local state is therefore computed once, and a state of the
 * whole is the numbers of the local ones and the set of messages: the machines run some thousand turns for a million
 * states.
 */
import { latin1Decode } from "../../../core/bytes.js";
import { LogRecord, type NodeId, RecordKind } from "../../../core/machine.js";
import { writeBatch } from "../../../kv/batch.js";
import { HardState } from "../hard-state.js";
import { fingerprint } from "./fingerprint.js";
import { type Input, type MakeRaft, TinyHost } from "./tiny-host.js";

export interface Scope {
  readonly nodes: number;
  readonly make: MakeRaft;
  /** What each node's disk holds at first; nothing if it is left out. */
  readonly logs?: readonly StartingLog[];
  /** How often each node may time out (or, leading, send heartbeats). */
  readonly ticks: readonly number[];
  readonly crashes: readonly number[];
  readonly writes: readonly number[];
  /** How many messages stay in flight when they are delivered. */
  readonly doubles: number;
  /** Messages that are not delivered, as if their links were cut. */
  readonly cut?: (from: NodeId, to: NodeId) => boolean;
}

export interface StartingLog {
  readonly term: number;
  /** Of the entries, the first at index 1. They are batches without commands. */
  readonly terms: readonly number[];
}

export interface Exploration {
  readonly states: number;
  readonly localStates: number;
  /** Null, or what went wrong and the shortest way there. */
  readonly violation: string | null;
  /** What was reached at all: a scope in which nothing happens proves nothing. */
  readonly leaders: number;
  readonly committed: number;
}

/** What the promises are about, of one node. */
interface View {
  readonly role: string;
  readonly term: number;
  /** `term` or `term:payload` of each entry, the first at index 1. */
  readonly entries: readonly string[];
  readonly durableTerms: readonly number[];
  readonly commitIndex: number;
  readonly isWriting: boolean;
}

/** A state that one node can be in, and the inputs that lead there from its start. */
class LocalState {
  readonly next = new Map<string, { state: number; sent: number[] }>();

  constructor(
    readonly inputs: readonly Input[],
    readonly view: View,
  ) {}
}

interface Message {
  readonly from: NodeId;
  readonly to: NodeId;
  readonly bytes: Uint8Array;
}

/** Local states and messages are numbers here. */
interface World {
  readonly locals: readonly number[];
  readonly messages: readonly number[];
  /** Leaders that there were: `term:node`. */
  readonly leaders: readonly string[];
  /** Entries that were ever committed. */
  readonly committed: readonly string[];
  /** Ticks, crashes and writes left, node by node; then the doubles. */
  readonly left: readonly number[];
}

/** Time stands still within a scope, so clocks decide nothing. */
const SKIPPED = new Set(["options", "codec", "random", "make", "clock"]);

export class SmallScope {
  private readonly locals: LocalState[] = [];
  private readonly localNumbers = new Map<string, number>();
  private readonly messages: Message[] = [];
  private readonly messageNumbers = new Map<string, number>();
  private readonly worlds: World[] = [];
  private readonly origins: { parent: number; action: string }[] = [];
  private readonly worldNumbers = new Map<string, number>();
  private readonly members: NodeId[];
  private violation: string | null = null;
  private mostLeaders = 0;
  private mostCommitted = 0;

  constructor(private readonly scope: Scope) {
    this.members = Array.from({ length: scope.nodes }, (_, i) => i + 1);
  }

  run(): Exploration {
    const locals = this.members.map((node) => this.localState(this.host(node), []));
    const left = [...this.scope.ticks, ...this.scope.crashes, ...this.scope.writes, this.scope.doubles];
    this.add({ locals, messages: [], leaders: [], committed: [], left }, -1, "");
    for (let at = 0; at < this.worlds.length && this.violation === null; at += 1) this.expand(at);
    return {
      states: this.worlds.length,
      localStates: this.locals.length,
      violation: this.violation,
      leaders: this.mostLeaders,
      committed: this.mostCommitted,
    };
  }

  private host(node: NodeId): TinyHost {
    return new TinyHost(node, this.members, this.scope.make, logOf(this.members, this.scope.logs?.[node - 1]));
  }

  private localState(host: TinyHost, inputs: readonly Input[]): number {
    const key = `${host.node}${fingerprint(host, SKIPPED)}`;
    const known = this.localNumbers.get(key);
    if (known !== undefined) return known;
    this.localNumbers.set(key, this.locals.length);
    this.locals.push(new LocalState(inputs, viewOf(host)));
    return this.locals.length - 1;
  }

  private expand(at: number): void {
    const world = this.worlds[at];
    const { nodes } = this.scope;
    for (let i = 0; i < nodes; i += 1) {
      const name = i + 1;
      if (this.locals[world.locals[i]].view.isWriting) this.move(at, i, { kind: "stored" }, `stored ${name}`, -1);
      if (world.left[i] > 0) this.move(at, i, { kind: "tick" }, `tick ${name}`, i);
      if (world.left[nodes + i] > 0) this.move(at, i, { kind: "crash" }, `crash ${name}`, nodes + i);
      if (world.left[2 * nodes + i] > 0) this.move(at, i, { kind: "write" }, `write ${name}`, 2 * nodes + i);
    }
    for (const number of world.messages) this.deliver(at, number);
  }

  private deliver(at: number, number: number): void {
    const world = this.worlds[at];
    const { from, to, bytes } = this.messages[number];
    const input: Input = { kind: "receive", peer: from, bytes };
    const action = `deliver ${from}->${to} message ${number} of kind ${bytes[1]}`;
    const others = world.messages.filter((other) => other !== number);
    this.move(at, to - 1, input, action, -1, `m${number}`, others);
    const doubles = world.left.length - 1;
    if (world.left[doubles] > 0) this.move(at, to - 1, input, `${action}, a double`, doubles, `m${number}`);
  }

  private move(
    at: number,
    place: number,
    input: Input,
    action: string,
    spent: number,
    key: string = input.kind,
    inFlight: readonly number[] = this.worlds[at].messages,
  ): void {
    if (this.violation !== null) return;
    const world = this.worlds[at];
    const { state, sent } = this.transition(world.locals[place], place + 1, input, key);
    const added = sent.filter((message) => !inFlight.includes(message));
    const locals = [...world.locals];
    locals[place] = state;
    const left = [...world.left];
    if (spent >= 0) left[spent] -= 1;
    const messages = added.length === 0 ? inFlight : [...inFlight, ...added].sort((a, b) => a - b);
    const view = this.locals[state].view;
    this.add(
      {
        locals,
        messages,
        left,
        leaders: withLeader(world.leaders, view, place + 1),
        committed: withCommitted(world.committed, view),
      },
      at,
      action,
    );
  }

  /** Runs the machine of `node` for one turn from a local state, the first time that it is asked. */
  private transition(from: number, node: NodeId, input: Input, key: string): { state: number; sent: number[] } {
    const local = this.locals[from];
    const known = local.next.get(key);
    if (known !== undefined) return known;
    const host = this.host(node);
    for (const before of local.inputs) host.step(before);
    const sent: number[] = [];
    for (const { to, bytes } of host.step(input)) {
      const number = this.messageNumber({ from: node, to, bytes });
      if (number >= 0 && !sent.includes(number)) sent.push(number);
    }
    const result = { state: this.localState(host, [...local.inputs, input]), sent };
    local.next.set(key, result);
    return result;
  }

  private messageNumber(message: Message): number {
    if (this.scope.cut?.(message.from, message.to)) return -1;
    const key = `${message.from},${message.to},${latin1Decode(message.bytes)}`;
    const known = this.messageNumbers.get(key);
    if (known !== undefined) return known;
    this.messageNumbers.set(key, this.messages.length);
    this.messages.push(message);
    return this.messages.length - 1;
  }

  private add(world: World, parent: number, action: string): void {
    const { locals, messages, leaders, committed, left } = world;
    const key = `${locals}|${messages}|${leaders}|${committed}|${left}`;
    if (this.worldNumbers.has(key)) return;
    this.worldNumbers.set(key, this.worlds.length);
    this.worlds.push(world);
    this.origins.push({ parent, action });
    this.mostLeaders = Math.max(this.mostLeaders, leaders.length);
    this.mostCommitted = Math.max(this.mostCommitted, committed.length);
    const problem = check(
      world,
      locals.map((local) => this.locals[local].view),
    );
    if (problem !== null) this.violation = `${problem}\n${this.wayTo(this.worlds.length - 1).join("\n")}`;
  }

  private wayTo(world: number): string[] {
    const actions: string[] = [];
    for (let at = world; at > 0; at = this.origins[at].parent) actions.push(this.origins[at].action);
    return actions.reverse();
  }
}

/** Nodes that know each other's lives already: what they would write at first hearing multiplies the states by much. */
function logOf(members: readonly NodeId[], { term, terms }: StartingLog = { term: 0, terms: [] }): LogRecord[] {
  const hard = new HardState();
  hard.term = term;
  hard.incarnation = 1;
  for (const member of members) hard.known.set(member, 1);
  const entries = terms.map((of, i) => new LogRecord(RecordKind.entry, of, i + 1, writeBatch(0, [])));
  return [new LogRecord(RecordKind.hardState, term, 0, hard.encode()), ...entries];
}

function viewOf(host: TinyHost): View {
  const { machine } = host;
  const entries: string[] = [];
  for (let index = 1; index <= machine.log.lastIndex; index += 1) {
    const { term, payload } = machine.log.at(index);
    entries.push(payload.length === 0 ? String(term) : `${term}:${latin1Decode(payload)}`);
  }
  return {
    role: machine.role,
    term: machine.term,
    entries,
    durableTerms: host.durableTerms(),
    commitIndex: machine.commitIndex,
    isWriting: host.hasWritesUnderWay,
  };
}

function withLeader(leaders: readonly string[], view: View, node: NodeId): readonly string[] {
  const name = `${view.term}:${node}`;
  return view.role !== "leader" || leaders.includes(name) ? leaders : [...leaders, name].sort();
}

function withCommitted(committed: readonly string[], view: View): readonly string[] {
  return view.commitIndex > committed.length ? view.entries.slice(0, view.commitIndex) : committed;
}

/** The promises of Raft (paper, figure 3). */
function check(world: World, views: readonly View[]): string | null {
  const terms = world.leaders.map((name) => name.slice(0, name.indexOf(":")));
  if (new Set(terms).size < terms.length) return `election safety: the leaders were ${world.leaders}`;
  for (const a of views) {
    for (const b of views) if (a !== b && !logsMatch(a.entries, b.entries)) return "log matching does not hold";
    for (let i = 0; i < Math.min(a.commitIndex, world.committed.length); i += 1) {
      if (a.entries[i] !== world.committed[i]) return `state machine safety: entry ${i + 1} was committed twice`;
    }
  }
  return leaderCompleteness(world, views);
}

/** If two logs hold an entry of one index and term, they are the same up to it. */
function logsMatch(a: readonly string[], b: readonly string[]): boolean {
  let at = Math.min(a.length, b.length) - 1;
  while (at >= 0 && termOf(a[at]) !== termOf(b[at])) at -= 1;
  for (let i = at; i >= 0; i -= 1) if (a[i] !== b[i]) return false;
  return true;
}

/** Whoever could be elected, if all lost their power now, has all that was ever committed. */
function leaderCompleteness(world: World, views: readonly View[]): string | null {
  for (const candidate of views) {
    const voters = views.filter((voter) => isUpToDate(candidate.durableTerms, voter.durableTerms)).length;
    if (voters * 2 <= views.length) continue;
    for (let i = 0; i < world.committed.length; i += 1) {
      if (String(candidate.durableTerms[i]) !== termOf(world.committed[i])) {
        return `leader completeness: entry ${i + 1} is committed, and a leader without it could be elected`;
      }
    }
  }
  return null;
}

function isUpToDate(log: readonly number[], than: readonly number[]): boolean {
  const last = log.at(-1) ?? 0;
  const thanLast = than.at(-1) ?? 0;
  return last > thanLast || (last === thanLast && log.length >= than.length);
}

function termOf(entry: string): string {
  const colon = entry.indexOf(":");
  return colon < 0 ? entry : entry.slice(0, colon);
}
