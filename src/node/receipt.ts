import type { Machine } from "../core/machine.js";
import { isWrite, Op } from "../kv/command.js";
import { Level } from "../kv/level.js";
import type { Receipt } from "../kv/receipt.js";
import { type Result, ResultKind } from "../kv/result.js";
import type { NodeOptions } from "./options.js";
import type { NodeRequest } from "./session.js";

const OS = { durability: "os" } as const;

/**
 * What the machine's answer rests on, as this node knows it in the turn of the answer: only the leader knows how far the
 * other replicas are. Null where there is nothing to prove: errors, and what is no operation on records.
 */
export function receiptOf(
  request: NodeRequest,
  result: Result,
  machine: Pick<Machine<never, never, never>, "describe" | "progress">,
  options: NodeOptions,
): Receipt | null {
  const { level, position, command } = request;
  if (result.kind === ResultKind.error || command.op === Op.progress) return null;
  const { leader, epoch, counters } = machine.describe();
  if (request.group?.protocol === "gossip") return gossipReceipt(request, counters ?? {}, options);
  const write = isWrite(command.op);
  const durableOn = [];
  for (const replica of options.durability === "memory" ? [] : machine.progress()) {
    if (!replica.recovering && replica.durablePosition >= position) durableOn.push(replica.node);
  }
  return {
    asked: level,
    // The log gives every write its one place, whatever was asked.
    given: write ? Level.linearizable : level,
    protocol: "raft",
    node: options.node,
    leader,
    epoch,
    position,
    durableOn: durableOn.sort((a, b) => a - b),
    ...(options.durability === "os" && OS),
    evidence: write ? "log" : level === Level.linearizable ? "read-index" : "local",
  };
}

/** Nobody else was asked: what is known of the others is what they last told. */
function gossipReceipt(
  request: NodeRequest,
  counters: Readonly<Record<string, number>>,
  options: NodeOptions,
): Receipt {
  const { level, command, clockMs, clockLogical } = request;
  const write = isWrite(command.op);
  return {
    asked: level,
    given: level,
    protocol: "gossip",
    node: options.node,
    leader: 0,
    epoch: 0,
    position: 0,
    durableOn: write && options.durability !== "memory" ? [options.node] : [],
    ...(options.durability === "os" && OS),
    evidence: write ? "own-log" : "local",
    clock: { ms: clockMs, logical: clockLogical },
    staleness: {
      missingWrites: counters.missing ?? 0,
      reachablePeers: counters.reachable ?? 0,
      peers: counters.peers ?? 0,
    },
  };
}
