import { latin1Encode } from "../core/bytes.js";
import { Command, CommandFlag, Op } from "../kv/command.js";
import type { Answer } from "./call.js";
import type { Reference } from "./reference.js";

/**
 * One scan walked page by page, in either direction, perhaps over several nodes. A page must list all that stands between its cursor and the
 * next one at the position that it names; walked to its end, the scan must have found whatever was there all the while,
 * and nothing that never was.
 */
export class Walk {
  private readonly found = new Set<string>();
  private from = "";
  private lowest = Number.POSITIVE_INFINITY;
  private highest = 0;
  private ended = false;

  constructor(
    /** Keys that one page may visit. */
    private readonly limit: number,
    /** Only keys that begin like this are listed. */
    private readonly prefix: string,
    private readonly reverse: boolean,
  ) {}

  get isDone(): boolean {
    return this.ended;
  }

  /** Whether something was written between its first page and its last. */
  get wasOvertaken(): boolean {
    return this.highest > this.lowest;
  }

  nextPage(): Command {
    const command = new Command(Op.scan, this.from);
    command.limit = this.limit;
    if (this.prefix !== "") command.value = latin1Encode(`${this.prefix}*`);
    if (this.reverse) command.flags = CommandFlag.reverse;
    return command;
  }

  /** Takes the answer to {@link nextPage}. Answers what is wrong with it, or "". */
  take(answer: Answer, reference: Reference): string {
    const { from, limit, prefix, reverse } = this;
    const { position } = answer;
    const until = answer.key;
    const keys = answer.items.map((item) => item.key);
    // In reverse a page is that below its cursor, down to the next one.
    const [start, end] = reverse ? [until, from] : [from, until];
    const visited = reference.keysAt(position).filter((key) => key >= start && (end === "" || key < end));
    const expected = visited.filter((key) => key.startsWith(prefix));
    if (reverse) expected.reverse();
    const page = `the ${reverse ? "reverse " : ""}page of ${prefix}* from "${from}" to "${until}" at position ${position}`;
    if (keys.join() !== expected.join()) return `${page} lists ${keys}; the entries up to there make it ${expected}`;
    if (visited.length > limit) return `${page} passes over ${visited.length} keys and was to visit ${limit}`;
    if (start !== "" && end !== "" && start >= end) return `${page} goes back`;
    for (const key of keys) this.found.add(key);
    this.lowest = Math.min(this.lowest, position);
    this.highest = Math.max(this.highest, position);
    this.from = until;
    this.ended = until === "";
    return this.ended ? this.judgeWhole(reference) : "";
  }

  private judgeWhole(reference: Reference): string {
    const { lowest, highest, found, prefix } = this;
    const during = `between positions ${lowest} and ${highest}`;
    for (const key of reference.keys) {
      if (!key.startsWith(prefix)) continue;
      const presence = reference.presence(key, lowest, highest);
      if (presence === "throughout" && !found.has(key)) return `a walk missed ${key}, which was there ${during}`;
      if (presence === "never" && found.has(key)) return `a walk found ${key}, which was never there ${during}`;
    }
    return "";
  }
}
