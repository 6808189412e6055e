import type { NodeId } from "../core/machine.js";
import { ScriptError, splitArguments, type TraceCommand, type TraceDriver, wholeNumber } from "./script.js";
import { InFlight, linkName, parseLink, ScriptLinks } from "./script-links.js";
import { ScriptNode } from "./script-node.js";
import type { ScriptNodeSetup, ScriptProtocol } from "./script-protocol.js";

const STABLE_AFTER_STEPS_MAX = 2_000;
const DEFAULT_TICK_MS = 20;

/**
 * A handful of machines of one protocol, moved by a golden trace and by nothing else: messages wait in flight until they
 * are delivered, writes wait until they are stored, time stands still between ticks.
 */
export class ScriptWorld<Message, Request, Result> implements TraceDriver {
  private readonly nodes = new Map<NodeId, ScriptNode<Message, Request, Result>>();
  private readonly links = new ScriptLinks<Message>();
  private tickMs = DEFAULT_TICK_MS;

  constructor(private readonly protocol: ScriptProtocol<Message, Request, Result>) {}

  run({ name, words }: TraceCommand): string[] {
    const lines: string[] = [];
    switch (name) {
      case "cluster":
        this.cluster(words);
        break;
      case "log":
        this.log(words);
        break;
      case "start":
      case "restart":
        for (const node of this.chosen(words[0])) node.start(words[1] === "amnesia", lines);
        break;
      case "crash":
        for (const node of this.chosen(words[0])) node.crash(lines);
        break;
      case "tick":
        this.tick(words, lines);
        break;
      case "campaign":
        this.node(words[0]).turn(lines, (machine) => this.protocol.campaign(machine));
        break;
      case "propose":
      case "read":
        this.request(words, lines);
        break;
      case "collect":
        this.node(words[0]).collect();
        break;
      case "drain":
        this.node(words[0]).drain(lines);
        break;
      case "stored":
        this.node(words[0]).stored(words[1] === undefined ? Infinity : wholeNumber(words[1], "writes", 1), lines);
        break;
      case "checkpoint":
        this.node(words[0]).takeCheckpoint(lines);
        break;
      case "snapshot":
        this.snapshot(words, lines);
        break;
      case "deliver":
      case "drop":
      case "dup":
        this.move(name, words, lines);
        break;
      case "stabilize":
        this.stabilize(words, lines);
        break;
      case "partition":
        this.partition(words);
        break;
      case "heal":
        this.links.heal();
        break;
      case "flight":
        for (const item of this.links.all()) lines.push(this.describe(item));
        break;
      case "show":
        for (const node of this.chosen(words[0])) lines.push(...node.show());
        break;
      case "disk":
        this.disk(words, lines);
        break;
      case "clock":
        this.setClock(words);
        break;
      case "step-aside":
        this.node(words[0]).turn(lines, (machine) => machine.stepAside());
        break;
      case "may-lead":
        this.node(words[0]).turn(lines, (machine) => machine.mayLead(words[1] !== "no"));
        break;
      default:
        throw new ScriptError(`there is no command ${name}`);
    }
    return lines;
  }

  /** `cluster nodes=3 [tickMs=20] [option=value …]` */
  private cluster(words: readonly string[]): void {
    if (this.nodes.size > 0) throw new ScriptError("there is a cluster already");
    const { named } = splitArguments(words);
    const size = wholeNumber(named.get("nodes"), "nodes", 1);
    if (named.has("tickMs")) this.tickMs = wholeNumber(named.get("tickMs"), "tickMs", 1);
    const members = Array.from({ length: size }, (_, i) => i + 1);
    for (const node of members) {
      const setup: ScriptNodeSetup = { node, members, options: named };
      this.nodes.set(node, new ScriptNode(setup, this.protocol, this.take));
    }
  }

  private readonly take = (from: NodeId, to: NodeId, message: Message, lines: string[]): void => {
    const life = this.nodes.get(from)?.life ?? 0;
    const lost = this.links.send(new InFlight(from, to, message, life)) ? "" : " (lost: cut)";
    lines.push(`${linkName(from, to)} ${this.protocol.printMessage(message)}${lost}`);
  };

  /** `log 1 terms=1,1,2 …`: what the disk holds before the start. */
  private log(words: readonly string[]): void {
    const node = this.node(words[0]);
    if (node.machine !== null) throw new ScriptError(`node ${node.node} is running: give it a log before its start`);
    node.durable = this.protocol.log(splitArguments(words.slice(1)), node.setup);
  }

  private tick(words: readonly string[], lines: string[]): void {
    const count = words[1] === undefined ? 1 : wholeNumber(words[1], "ticks", 1);
    for (let i = 0; i < count; i += 1) {
      for (const node of this.chosen(words[0])) node.tick(this.tickMs, lines);
    }
  }

  private request(words: readonly string[], lines: string[]): void {
    const node = this.node(words[0]);
    const request = this.protocol.makeRequest(words.slice(1));
    node.turn(lines, (machine) => machine.request(request));
  }

  /** `snapshot deliver 1->2` hands over the newest checkpoint, `snapshot fail 1->2` tells the sender that it did not. */
  private snapshot(words: readonly string[], lines: string[]): void {
    const [from, to] = parseLink(words[1]);
    const sender = this.node(String(from));
    if (words[0] === "fail") {
      sender.turn(lines, (machine) => machine.snapshotFailed(to));
      return;
    }
    if (words[0] !== "deliver") throw new ScriptError("snapshot deliver 1->2, or snapshot fail 1->2");
    const { checkpoint } = sender;
    if (checkpoint.position === 0) throw new ScriptError(`node ${from} has no checkpoint`);
    this.node(String(to)).install(checkpoint, lines);
    sender.turn(lines, (machine) => machine.snapshotSent(to, checkpoint.position));
  }

  /** `deliver 1->2 last`; see {@link ScriptLinks.choose}. `drop all` loses everything in flight. */
  private move(name: "deliver" | "drop" | "dup", words: readonly string[], lines: string[]): void {
    if (name === "drop" && words[0] === "all") {
      lines.push(...this.links.takeAll().map((item) => `lost ${this.describe(item)}`));
      return;
    }
    const [from, to] = parseLink(words[0]);
    for (const item of this.links.choose(from, to, words.slice(1), this.protocol.printMessage)) {
      if (name !== "dup") this.links.take(item);
      if (name !== "drop") this.deliver(item, lines);
      else lines.push(`lost ${this.describe(item)}`);
    }
  }

  private deliver(item: InFlight<Message>, lines: string[]): void {
    const receiver = this.nodes.get(item.to);
    if (receiver === undefined || receiver.machine === null) {
      lines.push(`lost ${this.describe(item)}: ${item.to} is not running`);
      return;
    }
    lines.push(`> ${this.describe(item)}`);
    receiver.turn(lines, (machine) => machine.receive(item.from, item.message));
  }

  /** Stores and delivers among the nodes named (all by default) until nothing moves. */
  private stabilize(words: readonly string[], lines: string[]): void {
    const among = words.length === 0 ? [...this.nodes.values()] : words.map((word) => this.node(word));
    const names = new Set(among.map((node) => node.node));
    for (let step = 0; step < STABLE_AFTER_STEPS_MAX; step += 1) {
      const writer = among.find((node) => node.machine !== null && node.writing > 0);
      const item = this.links.next(names);
      if (writer !== undefined) writer.stored(Infinity, lines);
      else if (item !== null) {
        this.links.take(item);
        this.deliver(item, lines);
      } else return;
    }
    lines.push(`error: still moving after ${STABLE_AFTER_STEPS_MAX} steps`);
  }

  /** `partition 1 | 2 3`, or one way: `partition 1 > 2 3` loses what 1 sends. */
  private partition(words: readonly string[]): void {
    const at = words.findIndex((word) => word === "|" || word === ">");
    if (at < 1 || at === words.length - 1) throw new ScriptError("partition 1 | 2 3, or partition 1 > 2 3");
    const first = words.slice(0, at).map((word) => this.node(word).node);
    const second = words.slice(at + 1).map((word) => this.node(word).node);
    this.links.partition(first, second, words[at] === ">");
  }

  /** `disk 1 short` (of room: nothing is to be proposed), `disk 1 full` and `disk 1 free`. */
  private disk(words: readonly string[], lines: string[]): void {
    const what = words[1];
    if (what !== "short" && what !== "full" && what !== "free") {
      throw new ScriptError("disk 1 short, disk 1 full, or disk 1 free");
    }
    const reason = what === "free" ? "" : "the disk is full";
    this.node(words[0]).turn(lines, (machine) => machine.diskRefused(reason, what === "full"));
  }

  /** `clock 1 ahead 60000`: that node's wall clock, in ms, from its next input on. */
  private setClock(words: readonly string[]): void {
    if (words[1] !== "ahead") throw new ScriptError("clock 1 ahead 60000");
    this.node(words[0]).wallAheadMs = wholeNumber(words[2], "milliseconds");
  }

  private describe(item: InFlight<Message>): string {
    const late = item.life === this.nodes.get(item.from)?.life ? "" : ` (sent in life ${item.life})`;
    return `${linkName(item.from, item.to)} ${this.protocol.printMessage(item.message)}${late}`;
  }

  private chosen(word: string | undefined): ScriptNode<Message, Request, Result>[] {
    return word === "all" ? [...this.nodes.values()] : [this.node(word)];
  }

  private node(word: string | undefined): ScriptNode<Message, Request, Result> {
    const node = this.nodes.get(Number(word));
    if (node === undefined) throw new ScriptError(`there is no node ${word ?? "named"}`);
    return node;
  }
}
