import type { NodeId } from "../core/machine.js";
import { ScriptError, wholeNumber } from "./script.js";

/** A message on its way. Its number is the trace's, over all links, so that each can be named. */
export class InFlight<Message> {
  constructor(
    readonly from: NodeId,
    readonly to: NodeId,
    readonly message: Message,
    /** Life of the sender in which it was sent: late frames of an earlier life are marked so. */
    readonly life: number,
  ) {}
}

/** All messages in flight. Nothing leaves by itself. */
export class ScriptLinks<Message> {
  private readonly messages: InFlight<Message>[] = [];
  private readonly cut = new Set<string>();

  /** False when the link is cut: the message is lost. */
  send(item: InFlight<Message>): boolean {
    if (this.isCut(item.from, item.to)) return false;
    this.messages.push(item);
    return true;
  }

  isCut(from: NodeId, to: NodeId): boolean {
    return this.cut.has(linkName(from, to));
  }

  /** Messages between the two sides, in either direction, are lost from now on. `oneWay`: only from first to second. */
  partition(first: readonly NodeId[], second: readonly NodeId[], oneWay: boolean): void {
    for (const a of first) {
      for (const b of second) {
        this.cut.add(linkName(a, b));
        if (!oneWay) this.cut.add(linkName(b, a));
      }
    }
  }

  heal(): void {
    this.cut.clear();
  }

  all(): readonly InFlight<Message>[] {
    return this.messages;
  }

  on(from: NodeId, to: NodeId): InFlight<Message>[] {
    return this.messages.filter((item) => item.from === from && item.to === to);
  }

  /** The oldest message between two of `nodes`, or null. */
  next(nodes: ReadonlySet<NodeId>): InFlight<Message> | null {
    return this.messages.find((item) => nodes.has(item.from) && nodes.has(item.to)) ?? null;
  }

  take(item: InFlight<Message>): void {
    const at = this.messages.indexOf(item);
    if (at >= 0) this.messages.splice(at, 1);
  }

  takeAll(): InFlight<Message>[] {
    return this.messages.splice(0);
  }

  /**
   * The messages of one link that `words` choose: nothing or a number for the oldest so many, `all`, `last`,
   * `#2` for the second oldest alone, `kind=` for those whose printed form begins so.
   */
  choose(from: NodeId, to: NodeId, words: readonly string[], print: (m: Message) => string): InFlight<Message>[] {
    const found = this.on(from, to);
    const word = words[0] ?? "1";
    const chosen = choose(found, word, print);
    if (chosen.length === 0) throw new ScriptError(`nothing in flight on ${linkName(from, to)} is ${word}`);
    return chosen;
  }
}

function choose<Message>(found: InFlight<Message>[], word: string, print: (m: Message) => string): InFlight<Message>[] {
  if (word === "all") return found;
  if (word === "last") return found.slice(-1);
  if (word.startsWith("#")) return found.slice(wholeNumber(word.slice(1), "the place in the link", 1) - 1).slice(0, 1);
  if (word.startsWith("kind=")) {
    const kind = word.slice("kind=".length).toLowerCase();
    return found.filter((item) => print(item.message).toLowerCase().startsWith(kind));
  }
  return found.slice(0, wholeNumber(word, "how many to take", 1));
}

export function linkName(from: NodeId, to: NodeId): string {
  return `${from}->${to}`;
}

/** `1->2` as two nodes. */
export function parseLink(word: string | undefined): [NodeId, NodeId] {
  const match = /^(\d+)->(\d+)$/.exec(word ?? "");
  if (match === null) throw new ScriptError(`a link is written 1->2, not ${word ?? "nothing"}`);
  return [Number(match[1]), Number(match[2])];
}
