import { BEGINNING, type Block, buildBlocks, type Contradiction, hasUniqueValues, linksBetween } from "./blocks.js";
import { type Operation, showCall, showValue } from "./operation.js";
import { Timeline } from "./timeline.js";

export type ZonesResult =
  | { readonly kind: "valid"; readonly order: readonly number[] }
  | { readonly kind: "invalid"; readonly witness: readonly number[]; readonly sentence: string };

/** From the least return to the greatest invocation among a block's members; forward when in this order. */
interface Zone {
  readonly block: Block;
  readonly leastReturn: number;
  readonly greatestInvoke: number;
}

/**
 * Decides one key in O(n log n) when every value names its write; undefined when it does not.
 *
 * A block (see blocks.ts) must fill its forward zone; a block with a backward zone fits into any point of it. So the history is
 * linearizable iff no two forward zones overlap and no backward zone lies inside a forward one: Gibbons & Korach, "Testing
 * shared memories" (1997), section 4, with the zones of Golab, Li & Shah, "Analyzing consistency properties for fun and
 * profit" (2011). Operations are given by index, all of one key.
 */
export function checkZones(operations: readonly Operation[]): ZonesResult | undefined {
  if (!hasUniqueValues(operations)) return undefined;
  const timeline = new Timeline(operations);
  const { found, evidence } = buildBlocks(operations, timeline);
  const result = "reason" in found ? explainContradiction(operations, found) : decide(operations, timeline, found);
  return result.kind === "valid" ? result : { ...result, witness: withEvidence(result.witness, evidence) };
}

/** A write of unknown outcome proves nothing without the operation that saw it. */
function withEvidence(witness: readonly number[], evidence: ReadonlyMap<number, number>): number[] {
  const full = new Set(witness);
  for (const operation of full) {
    const seenBy = evidence.get(operation);
    if (seenBy !== undefined) full.add(seenBy);
  }
  full.delete(BEGINNING);
  return [...full];
}

function decide(operations: readonly Operation[], timeline: Timeline, blocks: readonly Block[]): ZonesResult {
  const forward: Zone[] = [];
  const backward: Zone[] = [];
  for (const block of blocks) {
    const zone = zoneOf(block, timeline);
    (zone.leastReturn < zone.greatestInvoke ? forward : backward).push(zone);
  }
  forward.sort((a, b) => a.leastReturn - b.leastReturn);
  for (let i = 1; i < forward.length; i++) {
    if (forward[i - 1]!.greatestInvoke > forward[i]!.leastReturn) {
      return explainConflict(operations, timeline, forward[i - 1]!, forward[i]!);
    }
  }
  const placed: [number, Zone][] = forward.map((zone) => [zone.leastReturn, zone]);
  for (const zone of backward) {
    // A backward zone can be filled from its left end on, once the forward zone around that end is over.
    const around = forwardAround(forward, zone.greatestInvoke);
    if (around !== undefined && around.greatestInvoke > zone.leastReturn) {
      return explainConflict(operations, timeline, around, zone);
    }
    placed.push([around === undefined ? zone.greatestInvoke : around.greatestInvoke, zone]);
  }
  placed.sort((a, b) => a[0] - b[0]);
  return { kind: "valid", order: placed.flatMap(([, zone]) => zone.block.members).filter((i) => i !== BEGINNING) };
}

function zoneOf(block: Block, timeline: Timeline): Zone {
  let leastReturn = Number.POSITIVE_INFINITY;
  let greatestInvoke = Number.NEGATIVE_INFINITY;
  for (const member of block.members) {
    leastReturn = Math.min(leastReturn, returnOf(timeline, member));
    greatestInvoke = Math.max(greatestInvoke, invokeOf(timeline, member));
  }
  return { block, leastReturn, greatestInvoke };
}

/** The beginning is over before the first event. */
function returnOf(timeline: Timeline, member: number): number {
  return member === BEGINNING ? -1 : timeline.returns[member]!;
}

function invokeOf(timeline: Timeline, member: number): number {
  return member === BEGINNING ? -2 : timeline.invokes[member]!;
}

/** The zone that has `position` inside, of zones that do not overlap and are sorted. */
function forwardAround(forward: readonly Zone[], position: number): Zone | undefined {
  let low = 0;
  let high = forward.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (forward[middle]!.leastReturn < position) low = middle + 1;
    else high = middle;
  }
  const zone = forward[low - 1];
  return zone !== undefined && zone.greatestInvoke > position ? zone : undefined;
}

/**
 * Two blocks that must both come first. In each, one member returned before one of the other was invoked: those are at most
 * four operations, to which come the cas that tie two members of one block together when they carry different values, and
 * whoever saw a write of unknown outcome.
 */
function explainConflict(operations: readonly Operation[], timeline: Timeline, a: Zone, b: Zone): ZonesResult {
  const [early, late] = closestPair(a.block, timeline, b.greatestInvoke, b.leastReturn);
  const [aEarly, aLate] = [a.block.members[early]!, a.block.members[late]!];
  const aReturn = returnOf(timeline, aEarly);
  const aInvoke = invokeOf(timeline, aLate);
  const [otherEarly, otherLate] = closestPair(b.block, timeline, aInvoke, aReturn);
  const [bEarly, bLate] = [b.block.members[otherEarly]!, b.block.members[otherLate]!];
  const links = [...linksBetween(a.block, early, late), ...linksBetween(b.block, otherEarly, otherLate)];
  const aName = nameOf(operations, aEarly, aLate);
  const bName = nameOf(operations, bEarly, bLate);
  return {
    kind: "invalid",
    witness: [aEarly, aLate, bEarly, bLate, ...links],
    sentence:
      `${precedence(operations, aEarly, bLate)}, which puts ${aName} before ${bName}; ` +
      `but ${precedence(operations, bEarly, aLate)}, which puts ${bName} before ${aName}`,
  };
}

/** Places of a member returned before `deadline` and one invoked after `start`, as few swaps apart as can be. */
function closestPair(block: Block, timeline: Timeline, deadline: number, start: number): [number, number] {
  let [early, late] = [-1, -1];
  let best: [number, number] = [-1, -1];
  let bestDistance = Number.POSITIVE_INFINITY;
  for (let place = 0; place < block.members.length; place++) {
    const member = block.members[place]!;
    if (returnOf(timeline, member) < deadline) early = place;
    if (invokeOf(timeline, member) > start) late = place;
    if (early === -1 || late === -1) continue;
    const distance = Math.abs(block.steps[early]! - block.steps[late]!);
    if (distance < bestDistance) [bestDistance, best] = [distance, [early, late]];
  }
  return best;
}

function explainContradiction(operations: readonly Operation[], contradiction: Contradiction): ZonesResult {
  return { kind: "invalid", witness: contradiction.operations, sentence: sentenceOf(operations, contradiction) };
}

function sentenceOf(operations: readonly Operation[], found: Contradiction): string {
  const first = operations[found.operations[0]!]!;
  switch (found.reason) {
    case "nobody wrote it": {
      const value = first.f === "read" ? first.output : first.expected;
      return `${who(first)} found ${showValue(value)}, which nobody can have written`;
    }
    case "two swaps of one value": {
      const second = operations[found.operations[1]!]!;
      return `${who(first)} and ${who(second)} both replaced ${showValue(first.expected)}, which was written only once`;
    }
    case "circle of swaps":
      return `${found.operations.map((i) => who(operations[i]!)).join(", ")} each need the value that another one leaves`;
    case "effect before its cause": {
      const [effect, cause] = [operations[found.effect!]!, operations[found.cause!]!];
      return `${who(effect)} ended before ${who(cause)} began, but can only have come after it`;
    }
  }
}

function precedence(operations: readonly Operation[], before: number, after: number): string {
  if (before === BEGINNING) return "the key is absent at the beginning";
  return `${who(operations[before]!)} ended before ${who(operations[after]!)} began`;
}

/** The value or values by which a block is known in a sentence. */
function nameOf(operations: readonly Operation[], a: number, b: number): string {
  const names = new Set([a, b].map((i) => (i === BEGINNING ? ABSENT : valueNameOf(operations[i]!))));
  return [...names].join(" with ");
}

const ABSENT = "the absent key";

function valueNameOf({ f, output, value }: Operation): string {
  if (f === "delete") return "the delete";
  const named = f === "read" ? output : value;
  return named === null ? ABSENT : showValue(named);
}

function who(operation: Operation): string {
  return `process ${operation.process}'s ${showCall(operation)}`;
}
