/**
 * A random walk over the commands of golden traces: whatever goes wrong is a trace already. Machines alone, without the
 * node around them: the quickest way to a raft bug, and the readable one.
 */
import { checkLinearizable } from "../../check/linearizable.js";
import { HistoryRecorder } from "../../check/recorder.js";
import { crc32, latin1Decode } from "../../core/bytes.js";
import { Random } from "../../core/random.js";
import { Op } from "../../kv/command.js";
import type { Request } from "../../kv/request.js";
import { type Result, ResultKind } from "../../kv/result.js";
import type { RaftMessage } from "../../protocols/raft/message.js";
import { between, perMille } from "../chance.js";
import type { TraceCommand } from "../script.js";
import type { ScriptProtocol } from "../script-protocol.js";
import { type MakeRaft, raftScript } from "../script-raft.js";
import { ScriptWorld } from "../script-world.js";

const NODES = 3;
const KEYS = ["x", "y"];

export interface WalkVerdict {
  readonly problem: string | null;
  /** The commands so far: what to paste into a trace. */
  readonly script: string;
  readonly counts: ReadonlyMap<string, number>;
}

export class Walk {
  private readonly random: Random;
  private readonly commands: string[] = [];
  private readonly counts = new Map<string, number>();
  private readonly world: ScriptWorld<RaftMessage, Request, Result>;
  private readonly history = new HistoryRecorder();
  private readonly processes = new Map<Request, number>();
  private readonly committed = new Map<number, string>();
  private readonly leaders = new Map<string, string>();
  private readonly up = new Set<number>();
  /** Nodes that may not have all that they promised. */
  private readonly amnesiac = new Set<number>();
  private wanted: string[] = [];
  private moment = 0;
  private values = 0;
  private readsAnswered = 0;
  private problem: string | null = null;

  constructor(seed: number, make: MakeRaft) {
    this.random = new Random(seed).fork("walk");
    const script = raftScript((options, state) =>
      make({ ...options, onApply: (index, term, payload) => this.applied(options.node, index, term, payload) }, state),
    );
    this.world = new ScriptWorld(this.watch(script));
  }

  run(steps: number): WalkVerdict {
    this.do(`cluster nodes=${NODES} electionTicks=4 heartbeatTicks=1 resendTicks=3 retainedBytes=0`);
    for (let node = 1; node <= NODES; node += 1) this.start(node, false);
    for (let i = 0; i < steps && this.problem === null; i += 1) this.step();
    if (this.problem === null) this.mend();
    if (this.problem === null) this.judge();
    return { problem: this.problem, script: this.commands.join("\n"), counts: this.counts };
  }

  private step(): void {
    const node = between(this.random, 1, NODES);
    const roll = this.random.below(1_000);
    if (!this.up.has(node)) {
      if (roll < 50) this.start(node, this.mayForget() && perMille(this.random, 300));
    } else if (roll < 200) this.do(`tick ${node} ${between(this.random, 1, 3)}`);
    else if (roll < 600) this.deliver(node);
    else if (roll < 800) this.do(`stored ${node} ${between(this.random, 1, 3)}`);
    else if (roll < 940) this.ask(node);
    else if (roll < 970) this.do(`checkpoint ${node}`);
    else if (roll < 976) this.do(`crash ${node}`, () => this.up.delete(node));
    else if (roll < 990) this.snapshot();
    else this.do(`stabilize ${node} ${(node % NODES) + 1}`);
  }

  private start(node: number, forgetful: boolean): void {
    if (forgetful) this.amnesiac.add(node);
    this.up.add(node);
    this.do(`restart ${node}${forgetful ? " amnesia" : ""}`);
  }

  private mayForget(): boolean {
    return this.amnesiac.size === 0;
  }

  private deliver(from: number): void {
    const to = ((from + between(this.random, 0, NODES - 2)) % NODES) + 1;
    const place = perMille(this.random, 200) ? `#${between(this.random, 2, 3)}` : "1";
    const verb = perMille(this.random, 60) ? this.random.pick(["drop", "dup"]) : "deliver";
    this.do(`${verb} ${from}->${to} ${perMille(this.random, 100) ? "last" : place}`);
  }

  private ask(node: number): void {
    const key = this.random.pick(KEYS);
    if (perMille(this.random, 500)) this.do(`read ${node} get ${key}`);
    else {
      this.values += 1;
      this.do(`propose ${node} set ${key} v${this.values}`);
    }
  }

  private snapshot(): void {
    const link = this.wanted.shift();
    if (link === undefined) return;
    const [from, to] = link.split("->").map(Number);
    const works = this.up.has(from) && this.up.has(to) && perMille(this.random, 700);
    if (works) this.do(`snapshot deliver ${link}`);
    else if (this.up.has(from)) this.do(`snapshot fail ${link}`);
  }

  /** All is repaired: one leader, all caught up. */
  private mend(): void {
    for (let node = 1; node <= NODES; node += 1) if (!this.up.has(node)) this.start(node, false);
    for (let round = 0; round < 60; round += 1) {
      for (let node = 1; node <= NODES; node += 1) this.do(`tick ${node}`);
      this.do("stabilize");
      for (const link of this.wanted.splice(0)) this.do(`snapshot ${round % 2 === 0 ? "deliver" : "fail"} ${link}`);
      if (round % 10 === 9)
        for (let node = 1; node <= NODES; node += 1) this.do(`propose ${node} set z v${round}${node}`);
      if (this.problem !== null) return;
    }
    const before = this.readsAnswered;
    for (let node = 1; node <= NODES; node += 1) for (const key of [...KEYS, "z"]) this.do(`read ${node} get ${key}`);
    for (let i = 0; i < 8; i += 1) this.do("tick all").concat(this.do("stabilize"));
    const heads = this.do("show all").filter((line) => !line.startsWith("  "));
    const positions = new Set(
      heads.map((line) => /last=(\d+) commit=(\d+) applied=(\d+)/.exec(line)?.slice(1).join(" ")),
    );
    const leaders = heads.filter((line) => / leader epoch/.test(line)).length;
    if (leaders !== 1 || positions.size !== 1)
      this.fail(`after all was mended they did not agree:\n${heads.join("\n")}`);
    if (this.readsAnswered - before < NODES * 3) this.fail("reads after the mending were not answered");
  }

  private judge(): void {
    const verdict = checkLinearizable(this.history.operations());
    if (verdict.kind === "invalid") this.fail(verdict.sentence);
    this.count(`linearizable ${verdict.kind}`);
  }

  private do(text: string, after?: () => void): string[] {
    const [name, ...words] = text.split(" ");
    const command: TraceCommand = { name, words, line: 0 };
    let shown: string[];
    try {
      shown = this.world.run(command);
    } catch (error) {
      const told = error as Error;
      if (told.name === "ScriptError") return [];
      this.commands.push(text);
      this.fail(`${told.name}: ${told.message}`);
      return [];
    }
    this.commands.push(text);
    this.count(name);
    after?.();
    for (const line of shown) this.notice(line);
    return shown;
  }

  private notice(line: string): void {
    const snapshot = /^(\d+) wants a snapshot for (\d+)/.exec(line);
    if (snapshot !== null) this.wanted.push(`${snapshot[1]}->${snapshot[2]}`);
    const recovered = /^\d+ writes #\d+ hardState (?!.*recovering)/.exec(line);
    if (recovered !== null) this.amnesiac.delete(Number(line.split(" ")[0]));
    if (line.includes("assertion failed") || line.includes("still moving")) this.fail(line);
    const granted = /^(\d+)->(\d+) voteResponse term=(\d+) granted/.exec(line);
    if (granted !== null) this.once(`vote of ${granted[1]} in term ${granted[3]}`, granted[2]);
    const leads = /^(\d+)->\d+ (append|heartbeat) term=(\d+)/.exec(line);
    if (leads !== null) this.once(`leader of term ${leads[3]}`, leads[1]);
    if (line.includes("wants a snapshot")) this.count("snapshots wanted");
    if (line.includes(" installs ")) this.count("snapshots installed");
    if (line.includes("cuts its log")) this.count("cuts");
  }

  private once(what: string, who: string): void {
    const before = this.leaders.get(what);
    if (before !== undefined && before !== who) this.fail(`${what}: ${before} and ${who}`);
    this.leaders.set(what, who);
  }

  private applied(node: number, index: number, term: number, payload: Uint8Array): void {
    const entry = `term ${term}, ${payload.length} bytes with checksum ${crc32(payload)}`;
    const before = this.committed.get(index);
    if (before !== undefined && before !== entry)
      this.fail(`node ${node} applies at ${index} ${entry}; another applied ${before}`);
    this.committed.set(index, entry);
    this.count("applied");
  }

  private watch(script: ScriptProtocol<RaftMessage, Request, Result>): ScriptProtocol<RaftMessage, Request, Result> {
    return {
      ...script,
      makeRequest: (words) => {
        const request = script.makeRequest(words);
        const process = this.history.events.length;
        this.processes.set(request, process);
        const { op, key, value } = request.command;
        this.moment += 1;
        this.history.invoke(
          process,
          op === Op.get ? "read" : "write",
          key,
          op === Op.get ? null : latin1Decode(value),
          this.moment,
        );
        return request;
      },
      printResult: (request, result) => {
        this.answered(request, result);
        return script.printResult(request, result);
      },
    };
  }

  private answered(request: Request, result: Result): void {
    const process = this.processes.get(request);
    if (process === undefined) {
      this.fail("a request was answered twice");
      return;
    }
    this.processes.delete(request);
    this.moment += 1;
    if (request.command.op === Op.get) this.readsAnswered += 1;
    if (result.kind === ResultKind.error) {
      if (result.error?.definite) this.history.fail(process, this.moment);
      else this.history.info(process, this.moment);
      this.count("errors");
      return;
    }
    this.count("answers");
    this.history.ok(process, result.kind === ResultKind.value ? latin1Decode(result.value) : null, this.moment);
  }

  private fail(problem: string): void {
    this.problem ??= problem;
  }

  private count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }
}
