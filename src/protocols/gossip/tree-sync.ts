import type { Entries } from "./entries.js";
import { ITEM_OVERHEAD_BYTES, type Item } from "./item.js";
import { MAX_VERSIONS, type Stretch } from "./message.js";
import type { Vector } from "./origins.js";
import type { Peer } from "./peers.js";

/** The tree's fan-out: a stretch that differs is told in so many parts. */
const PARTS = 16;
/** Stretches in one question. */
const ASKED_MAX = 16;
/** Of so few entries a question lists the versions. */
export const LISTED_MAX = 16;

const LISTED_OF_ONE_HASH_MAX = MAX_VERSIONS - 1;

/** Every hash there is. */
export const WHOLE = { first: 0, last: 0xffff_ffff } as const;

interface Range {
  readonly first: number;
  readonly last: number;
}

/**
 * One comparison of this replica's hash tree with a peer's, to have all that the peer holds. It goes down into the
 * stretches that differ, depth first, so that what is left to do stays short.
 */
export class TreeSync {
  /** What the peer held when the comparison began; held here, too, when it is done. */
  vector: Vector | null = null;
  /** Something could not be taken: what the peer held is not all held here. */
  isPartial = false;
  private readonly todo: Range[] = [WHOLE];
  private asked: Range[] = [];
  /** Questions in a row that nobody answered. */
  silences = 0;
  /** The next question waits until this record has taken effect. */
  afterPosition = 0;

  /** Whether the peer has no memory: what it gets while it is compared with does not count. */
  readonly withRecovering: boolean;

  constructor(
    readonly peer: Peer,
    readonly incarnation: number,
  ) {
    this.withRecovering = peer.recovering;
  }

  get isDone(): boolean {
    return this.todo.length === 0 && this.asked.length === 0;
  }

  get isAsking(): boolean {
    return this.asked.length > 0;
  }

  /** The next question's stretches. */
  question(entries: Entries): Stretch[] {
    this.asked = this.todo.splice(Math.max(0, this.todo.length - ASKED_MAX));
    return this.asked.map((range) => describe(entries, range));
  }

  /** `done`: so many of the stretches asked about are dealt with; `parts`: the peer's sums of what differs. */
  answered(entries: Entries, done: number, parts: readonly Stretch[]): void {
    this.silences = 0;
    this.todo.push(...this.asked.slice(done));
    this.asked = [];
    for (const { first, last, low, high } of parts) {
      if (!entries.digest(first, last).equals({ low, high })) this.todo.push({ first, last });
    }
  }

  /** Nobody answered: ask again. */
  unanswered(): void {
    this.silences += 1;
    this.todo.push(...this.asked);
    this.asked = [];
  }
}

function describe(entries: Entries, { first, last }: Range): Stretch {
  const digest = entries.digest(first, last);
  // Keys of one hash cannot be told apart by it: whoever asks for them has to say which it has.
  const listedMax = first === last ? LISTED_OF_ONE_HASH_MAX : LISTED_MAX;
  if (digest.count > listedMax) return { first, last, low: digest.low, high: digest.high, versions: null };
  const versions: number[] = [];
  entries.eachIn(first, last, (key) => {
    versions.push(entries.current(key)!.version);
    return true;
  });
  return { first, last, low: 0, high: 0, versions };
}

export interface TreeAnswer {
  done: number;
  readonly parts: Stretch[];
  readonly items: Item[];
}

/** The other side: as many stretches as fit into `maxBytes`, at least a part of one. */
export function answerTree(entries: Entries, asked: readonly Stretch[], maxBytes: number): TreeAnswer {
  const answer: TreeAnswer = { done: 0, parts: [], items: [] };
  let bytes = 0;
  for (const stretch of asked) {
    if (bytes >= maxBytes) break;
    const single = stretch.first === stretch.last;
    if (stretch.versions === null && !single) {
      const digest = entries.digest(stretch.first, stretch.last);
      if (!digest.equals(stretch)) bytes += tellParts(entries, stretch, answer);
      answer.done += 1;
      continue;
    }
    const known = new Set(stretch.versions ?? []);
    let next = -1;
    entries.eachIn(stretch.first, stretch.last, (key, hash) => {
      const stamp = entries.current(key);
      if (stamp === null || known.has(stamp.version)) return true;
      if (bytes >= maxBytes) {
        next = hash;
        return false;
      }
      const item = entries.item(key)!;
      answer.items.push(item);
      bytes += item.byteLength + ITEM_OVERHEAD_BYTES;
      return true;
    });
    answer.done += 1;
    if (next === -1) continue;
    // What was sent need not be what the asker keeps: it goes on behind it, whatever became of that.
    const { low, high } = entries.digest(next, stretch.last);
    answer.parts.push({ first: next, last: stretch.last, low, high, versions: null });
    break;
  }
  return answer;
}

/** Of the stretch in sixteen parts, the sums of those that hold something: of an empty one there is nothing to be had. */
function tellParts(entries: Entries, { first, last }: Stretch, answer: TreeAnswer): number {
  const width = (last - first + 1) / PARTS;
  const step = Math.max(1, Math.floor(width));
  let bytes = 0;
  for (let from = first; from <= last; from += step) {
    const to = Math.min(last, from + step - 1);
    const { low, high, count } = entries.digest(from, to);
    if (count === 0) continue;
    answer.parts.push({ first: from, last: to, low, high, versions: null });
    bytes += 18;
  }
  return bytes;
}
