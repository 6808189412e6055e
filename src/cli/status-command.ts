/** `gamut status`: who is there, who leads, how far each replica is. */
import Table from "cli-table3";
import { Command } from "commander";
import { VOTERS_MAX } from "../node/options.js";
import { noNodeAnswers } from "./client.js";
import { askEverybody, type ClusterView, clusterViews, type NodeView, type ReplicaView } from "./cluster-view.js";
import { withExamples } from "./examples.js";
import { CliError, Exit } from "./exit.js";
import { writeLine } from "./output.js";
import { type AddressFlags, addAddressFlags, addressesOf } from "./session-flags.js";

const STYLE = { head: [], border: [] };

const ROLES_IN_WORDS: Readonly<Record<string, string>> = {
  preCandidate: "asks whether it may stand for election",
  candidate: "stands for election",
  recovering: "is rebuilt",
};

export function statusCommand(): Command {
  const command = new Command("status")
    .description("show nodes and keyspaces, asked from every node: who is there, who leads, how far each replica is")
    .action(status);
  return withExamples(addAddressFlags(command, "a member does not answer, or has no data yet"), [
    "gamut status",
    "gamut status --address 127.0.0.1:7001 --json",
  ]);
}

async function status(flags: AddressFlags): Promise<void> {
  const asked = await askEverybody(addressesOf(flags), flags.timeout);
  const clusters = clusterViews(asked);
  if (clusters.length === 0) {
    const problems = asked.map(({ address, problem }) => `${address}: ${problem}`);
    throw new CliError(Exit.failed, noNodeAnswers(problems), "unavailable");
  }
  if (clusters.some(({ nodes }) => nodes.some(({ problem, hasData }) => problem !== "" || !hasData))) {
    process.exitCode = Exit.no;
  }
  if (flags.json) await writeLine(JSON.stringify(clusters.length === 1 ? clusters[0] : clusters));
  else for (const cluster of clusters) await writeLine(render(cluster));
}

function render({ clusterId, nodes, keyspaces }: ClusterView): string {
  const answering = nodes.filter(({ problem }) => problem === "").length;
  const name = clusterId === "" ? "not founded yet" : clusterId;
  const lines = [`cluster ${name}: ${answering} of ${nodes.length} nodes answer`];
  const nodeTable = new Table({
    head: ["node", "role", "process", "clients", "peers", "version", "state"],
    style: STYLE,
  });
  for (const each of nodes) {
    const { node, role, processId, clientAddress, peerAddress, version } = each;
    nodeTable.push([node, role, processId || "", clientAddress, peerAddress, version, stateOf(each)]);
  }
  lines.push(nodeTable.toString(), ...lossLines(nodes));
  const head = ["keyspace", "protocol", "level", "leader", "epoch", "committed", "applied by"];
  const keyspaceTable = new Table({ head, style: STYLE });
  for (const { name: keyspace, protocol, level, leader, epoch, commitPosition, replicas } of keyspaces) {
    const applied = replicas.map(showReplica).join("  ");
    // Without an order there is nobody to lead, and no position that all have in common.
    const order =
      protocol === "gossip" ? ["every node", "", ""] : [leader === 0 ? "none" : leader, epoch, commitPosition];
    keyspaceTable.push([keyspace, protocol, level, ...order, applied]);
  }
  if (keyspaces.length > 0) lines.push(keyspaceTable.toString());
  return lines.join("\n");
}

function stateOf({ problem, hasData, cutOffFrom }: NodeView): string {
  if (problem !== "") return `no answer: ${problem}`;
  const state = hasData ? "up" : "up, without data";
  return cutOffFrom.length === 0 ? state : `${state}, no connection with ${cutOffFrom.join(", ")}`;
}

/** Nodes without data do not count; whether the others are enough is what an operator must know. */
function lossLines(nodes: readonly NodeView[]): string[] {
  const without = nodes.filter(({ hasData }) => !hasData).map(({ node }) => node);
  if (without.length === 0) return [];
  const one = without.length === 1;
  const who = `node${one ? "" : "s"} ${without.join(", ")}`;
  const lost = `${who} ${one ? "has" : "have"} no data of this cluster: just started, or lost`;
  const voters = nodes.slice(0, VOTERS_MAX);
  const left = voters.filter(({ hasData }) => hasData).length;
  const majority = Math.floor(voters.length / 2) + 1;
  if (left >= majority)
    return [`${lost}; ${one ? "it is" : "they are"} rebuilt from the others, and till then not counted`];
  const verdict = `${left} of ${voters.length} voters ${left === 1 ? "has" : "have"} data, ${majority} are a majority`;
  return [
    `${lost}. ${verdict}: if this lasts, the cluster cannot go on;`,
    "copy out what is left (gamut dump --node N --format json) and start anew: docs/running.md",
  ];
}

/** `2: 1041`, with the role where it is not the usual one. */
function showReplica({ node, role, appliedPosition, counters }: ReplicaView): string {
  if (appliedPosition === null) return `${node}: ${role}`;
  if (role === "replica") return `${node}: ${counters.missing ?? 0} missing`;
  return role === "leader" || role === "follower"
    ? `${node}: ${appliedPosition}`
    : `${node}: ${appliedPosition} (${ROLES_IN_WORDS[role] ?? role})`;
}
