/** The figures as lines of text. */
import Table from "cli-table3";
import type { ClusterFigures, FlowFigures, KeyspaceFigures, NodeFigures, WireFigures } from "./figures.js";

export type Style = "bold" | "dim" | "green" | "yellow" | "red";
export type Paint = (style: Style, text: string) => string;

const UNKNOWN = "–";
const MIB = 1_048_576;
const BARE = {
  ...{ top: "", "top-mid": "", "top-left": "", "top-right": "", bottom: "", "bottom-mid": "", "bottom-left": "" },
  ...{ "bottom-right": "", left: "", "left-mid": "", mid: "", "mid-mid": "", right: "", "right-mid": "", middle: "  " },
};

/** `problem`: why there is nothing to show; "" where there is. */
export function frameLines(clusters: readonly ClusterFigures[], problem: string, paint: Paint): string[] {
  if (clusters.length === 0) return [paint("red", problem)];
  return clusters.flatMap((cluster, i) =>
    i === 0 ? clusterLines(cluster, paint) : ["", ...clusterLines(cluster, paint)],
  );
}

function clusterLines({ clusterId, nodes, wires, keyspaces }: ClusterFigures, paint: Paint): string[] {
  const answering = nodes.filter(({ problem }) => problem === "").length;
  const name = clusterId === "" ? "not founded yet" : clusterId;
  const count = `${answering} of ${nodes.length} nodes answer`;
  return [
    `cluster ${paint("bold", name)}: ${answering === nodes.length ? count : paint("red", count)}`,
    "",
    ...nodeLines(nodes, paint),
    "",
    ...wireLines(wires, paint),
    "",
    ...keyspaceLines(keyspaces, paint),
  ];
}

/** Numbers stand to the right. */
function table(head: readonly string[], rows: readonly string[][], numbers: readonly number[], paint: Paint): string[] {
  const made = new Table({
    head: head.map((title) => paint("bold", title)),
    chars: BARE,
    style: { head: [], border: [], "padding-left": 0, "padding-right": 0 },
    colAligns: head.map((_, i) => (numbers.includes(i) ? "right" : "left")),
  });
  made.push(...rows);
  return made
    .toString()
    .split("\n")
    .map((line) => line.trimEnd());
}

function nodeLines(nodes: readonly NodeFigures[], paint: Paint): string[] {
  const head = [
    "node",
    "role",
    "process",
    "clients",
    "writes/s",
    "reads/s",
    "cpu",
    "memory",
    "conns",
    "loop p99",
    "state",
  ];
  const rows = nodes.map((each) => [
    String(each.node),
    each.role.startsWith("leader") ? paint("green", each.role) : each.role,
    each.processId === 0 ? "" : String(each.processId),
    each.clientAddress,
    rate(each.writesPerSecond),
    rate(each.readsPerSecond),
    each.cpuShare === null ? UNKNOWN : `${Math.round(each.cpuShare * 100)}%`,
    each.memoryBytes === null ? UNKNOWN : `${Math.round(each.memoryBytes / MIB)} MiB`,
    each.connections === null ? UNKNOWN : String(each.connections),
    milliseconds(each.loopLagMs),
    stateOf(each, paint),
  ]);
  return table(head, rows, [4, 5, 6, 7, 8, 9], paint);
}

function stateOf({ problem, hasData, cutOffFrom }: NodeFigures, paint: Paint): string {
  if (problem !== "") return paint("red", `no answer: ${problem}`);
  if (!hasData) return paint("yellow", "up, without data");
  return cutOffFrom.length === 0 ? "up" : paint("yellow", `up, no connection with ${cutOffFrom.join(", ")}`);
}

function wireLines(wires: readonly WireFigures[], paint: Paint): string[] {
  const head = ["wire", "conns", "writes/s", "p50", "p99", "reads/s", "p50", "p99"];
  const rows = wires
    .filter(({ wire }) => wire !== "undecided")
    .map(({ wire, connections, write, read }) => [wire, String(connections), ...flowCells(write), ...flowCells(read)]);
  return table(head, rows, [1, 2, 3, 4, 5, 6, 7], paint);
}

function flowCells(flow: FlowFigures | null): string[] {
  return [rate(flow?.perSecond ?? null), milliseconds(flow?.p50Ms ?? null), milliseconds(flow?.p99Ms ?? null)];
}

function keyspaceLines(keyspaces: readonly KeyspaceFigures[], paint: Paint): string[] {
  const head = ["keyspace", "protocol", "leader", "epoch", "keys", "lag", "checkpoint"];
  const rows = keyspaces.map(({ name, protocol, leader, epoch, keys, replicas }) => {
    const led = leader === 0 ? paint("red", "none") : String(leader);
    const lag = replicas.map((each) => `${each.node}: ${each.lag ?? UNKNOWN}${roleNote(each.role)}`);
    const checkpoint = replicas.map((each) => `${each.node}: ${each.checkpoint ?? UNKNOWN}`);
    const order = protocol === "gossip" ? ["every node", ""] : [led, String(epoch)];
    return [name, protocol, ...order, keys === null ? UNKNOWN : String(keys), lag.join("  "), checkpoint.join("  ")];
  });
  return table(head, rows, [3, 4], paint);
}

/** What is not the usual. */
function roleNote(role: string): string {
  return ["leader", "follower", "replica"].includes(role) ? "" : ` (${role})`;
}

function rate(perSecond: number | null): string {
  if (perSecond === null) return UNKNOWN;
  return perSecond > 0 && perSecond < 10 ? perSecond.toFixed(1) : String(Math.round(perSecond));
}

function milliseconds(ms: number | null): string {
  if (ms === null) return UNKNOWN;
  return ms < 10 ? `${ms.toFixed(2)} ms` : `${Math.round(ms)} ms`;
}
