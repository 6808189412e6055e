/** What a configuration may mean, and is seldom meant: told when the node starts. */
import { isLoopback, type NodeConfig } from "./config.js";

/** `bootId`: "" where this system does not tell whether the machine has been started anew. */
export function configWarnings({ node, listen, members, durability }: NodeConfig, bootId: string): string[] {
  const warnings: string[] = [];
  const own = members.find((member) => member.node === node);
  for (const name of ["clientPort", "peerPort"] as const) {
    if (own === undefined || own[name] === listen[name]) continue;
    const told = `members says ${own[name]} for node ${node}, and that is where the others look for it`;
    warnings.push(`listen.${name} is ${listen[name]}, but ${told}: right only if something passes that port on`);
  }
  if (!isLoopback(listen.host)) {
    const open =
      "there is no authentication and no encryption: whoever reaches its ports can read and write everything";
    warnings.push(`this node listens on ${listen.host}; ${open}; keep it on a trusted network`);
  }
  if (durability === "os") {
    const neighbours = members.filter((member) => member.host === own?.host);
    // One of them tells it for all.
    if (neighbours.length * 2 > members.length && neighbours[0].node === node) {
      const lost = `${neighbours.length} of ${members.length} members are on one (${own!.host}), and a crash of that machine loses the data`;
      warnings.push(`durability is os, which relies on machines that do not fail together: ${lost}`);
    }
    if (bootId === "") {
      const unknown = "this system does not tell whether the machine has been started anew since";
      warnings.push(`durability is os, and ${unknown}: a node that is killed has to be rebuilt from the others`);
    }
  }
  return warnings;
}
