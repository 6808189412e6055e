import { type Command, Op } from "../../kv/command.js";
import { KvError } from "../../kv/errors.js";
import type { Result } from "../../kv/result.js";
import type { Seen } from "../../kv/seen.js";
import { neverWritten } from "./credibility.js";
import type { Gossip } from "./gossip.js";
import { isLost } from "./past-lives.js";
import type { Replica } from "./replica.js";

/** What names one key, which may be the empty one. */
const KEYED: ReadonlySet<Op> = new Set([Op.get, Op.length, Op.deadline, Op.getRange]);

/**
 * Whether a session that asked at `sinceTick` may read here now: it has seen nothing that is not held here. Or why it
 * never will. What it names and never was is forgotten.
 */
export function sessionView(gossip: Gossip, seen: Seen | null, sinceTick: number): "now" | "wait" | KvError {
  if (gossip.recovering) return "wait";
  if (seen === null) return "now";
  if (seen.ms > gossip.wallMs + gossip.options.maxOffsetMs) return "wait";
  let view: "now" | "wait" = "now";
  const { origins } = seen;
  for (let i = origins.length - 1; i >= 0; i -= 1) {
    const it = origins[i];
    if (gossip.replica.holdsAll(it)) continue;
    if (neverWritten(gossip, it, sinceTick)) {
      origins.splice(i, 1);
      continue;
    }
    if (isLost(gossip, it)) {
      return new KvError(
        "history_lost",
        `the session has seen write ${it.sequence} of node ${it.node}, which that node has lost with its memory before any other had it: begin a new session`,
      );
    }
    view = "wait";
  }
  return view;
}

/**
 * Raises what the session has seen by what a read has shown: everything in effect here, because each write may depend on
 * all of it; and what was in effect at a peer that has passed writes on. But for what every member holds.
 */
export function raiseSeen(gossip: Gossip, seen: Seen, command: Command, result: Result): void {
  const { replica } = gossip;
  replica.lowerBarrier((it) => isLost(gossip, it));
  for (const origin of replica.origins.all()) {
    const { contiguous } = origin.have;
    if (contiguous > origin.trimmed) seen.raise(origin.node, origin.incarnation, contiguous);
  }
  for (const it of replica.barrier) seen.raise(it.node, it.incarnation, it.sequence);
  if (KEYED.has(command.op)) raiseByKey(gossip, seen, command.key);
  for (const key of command.keys ?? []) raiseByKey(gossip, seen, key);
  if (command.op === Op.scan || command.op === Op.range)
    for (const { key } of result.items ?? []) raiseByKey(gossip, seen, key);
  seen.raiseClock(gossip.nowMs, gossip.nowMs === gossip.clock.ms ? gossip.clock.logical : 0);
  forgetStable(replica, seen);
}

function raiseByKey(gossip: Gossip, seen: Seen, key: string): void {
  const { replica } = gossip;
  const stamp = replica.entries.current(key);
  if (stamp !== null) seen.raise(stamp.node, stamp.incarnation, stamp.sequence);
  for (const it of replica.dependenciesOf(key) ?? []) {
    if (!isLost(gossip, it) && !neverWritten(gossip, it, gossip.ticks))
      seen.raise(it.node, it.incarnation, it.sequence);
  }
}

/** What every member holds need not be asked for: tokens stay small. */
function forgetStable(replica: Replica, seen: Seen): void {
  const { origins } = seen;
  let kept = 0;
  for (const it of origins) {
    if (it.sequence <= (replica.origins.find(it.node, it.incarnation)?.trimmed ?? 0)) continue;
    origins[kept] = it;
    kept += 1;
  }
  origins.length = kept;
}
