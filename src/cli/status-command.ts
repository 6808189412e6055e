/** `gamut status`: who is there, who leads, how far each replica is. */
import Table from "cli-table3";
import { Command } from "commander";
import { askEverybody, type ClusterView, clusterViews, type ReplicaView } from "./cluster-view.js";
import { withExamples } from "./data-commands.js";
import { CliError, Exit } from "./exit.js";
import { writeLine } from "./output.js";
import { type AddressFlags, addAddressFlags, addressesOf } from "./session-flags.js";

const STYLE = { head: [], border: [] };

export function statusCommand(): Command {
  const command = new Command("status")
    .description("show nodes and keyspaces, asked from every node; exits with 1 if a member does not answer")
    .action(status);
  return withExamples(addAddressFlags(command), ["gamut status", "gamut status --address 127.0.0.1:7001 --json"]);
}

async function status(flags: AddressFlags): Promise<void> {
  const asked = await askEverybody(addressesOf(flags), flags.timeout);
  const clusters = clusterViews(asked);
  if (clusters.length === 0) {
    const problems = asked.map(({ address, problem }) => `${address}: ${problem}`).join("; ");
    const advice = "is a cluster running? Start one with `gamut up`, or name a node with --address host:port";
    throw new CliError(Exit.failed, `no node answers (${problems}): ${advice}`, "unavailable");
  }
  if (clusters.some(({ nodes }) => nodes.some(({ problem }) => problem !== ""))) process.exitCode = Exit.no;
  if (flags.json) await writeLine(JSON.stringify(clusters.length === 1 ? clusters[0] : clusters));
  else for (const cluster of clusters) await writeLine(render(cluster));
}

function render({ clusterId, nodes, keyspaces }: ClusterView): string {
  const answering = nodes.filter(({ problem }) => problem === "").length;
  const name = clusterId === "" ? "not founded yet" : clusterId;
  const lines = [`cluster ${name}: ${answering} of ${nodes.length} nodes answer`];
  const nodeTable = new Table({ head: ["node", "clients", "peers", "version", "state"], style: STYLE });
  for (const { node, clientAddress, peerAddress, version, problem, cutOffFrom } of nodes) {
    const cutOff = cutOffFrom.length === 0 ? "up" : `up, no connection with ${cutOffFrom.join(", ")}`;
    nodeTable.push([node, clientAddress, peerAddress, version, problem === "" ? cutOff : `no answer: ${problem}`]);
  }
  lines.push(nodeTable.toString());
  const head = ["keyspace", "protocol", "level", "leader", "epoch", "committed", "applied by"];
  const keyspaceTable = new Table({ head, style: STYLE });
  for (const { name: keyspace, protocol, level, leader, epoch, commitPosition, replicas } of keyspaces) {
    const applied = replicas.map(showReplica).join("  ");
    keyspaceTable.push([keyspace, protocol, level, leader === 0 ? "none" : leader, epoch, commitPosition, applied]);
  }
  if (keyspaces.length > 0) lines.push(keyspaceTable.toString());
  return lines.join("\n");
}

/** `2: 1041`, with the role where it is not the usual one. */
function showReplica({ node, role, appliedPosition }: ReplicaView): string {
  if (appliedPosition === null) return `${node}: ${role}`;
  return role === "leader" || role === "follower"
    ? `${node}: ${appliedPosition}`
    : `${node}: ${appliedPosition} (${role})`;
}
