/** What a configuration may mean, and is seldom meant: told when the node starts. */
import { isLoopback, type NodeConfig } from "./config.js";

export function configWarnings({ node, listen, members }: NodeConfig): string[] {
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
  return warnings;
}
