/** A data folder has one owner. */
import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { Exit } from "../../src/cli/exit.js";
import { type Cluster, withCluster } from "./cluster.js";
import { type Member, PROGRAM } from "./member.js";
import { freePort } from "./ports.js";
import { within } from "./wait.js";

it("a second process on a folder, and a folder of another node, are refused by name", { timeout: 60_000 }, async () => {
  await withCluster({ nodes: 1 }, async (cluster) => {
    const [member] = cluster.members;
    const second = await runOn(cluster, member, {});
    expect(second.output).toContain(`the data folder ${member.dataDir} is in use by process`);
    expect(second.code).toBe(Exit.failed);
    expect(await member.status()).not.toBeNull();

    await member.stop();
    const wrong = await runOn(cluster, member, { node: 2 });
    expect(wrong.output).toContain("this data folder belongs to node 1, not to node 2");
    expect(wrong.code).toBe(Exit.failed);

    const larger = await runOn(cluster, member, { others: [2, 3] });
    expect(larger.output).toContain("belongs to a cluster of the nodes 1; the configuration names 1, 2, 3");
    expect(larger.code).toBe(Exit.failed);

    member.start();
    await cluster.ready();
  });
});

it("a lock file that a crash has left half written keeps nobody out", { timeout: 60_000 }, async () => {
  await withCluster({ nodes: 1 }, async (cluster) => {
    const [member] = cluster.members;
    for (const rest of ["", "nonsense", String(2 ** 31 - 2)]) {
      await member.kill();
      writeFileSync(join(member.dataDir, "pid"), rest);
      member.start();
      await cluster.ready(10_000);
    }
  });
});

interface Ended {
  readonly code: number | null;
  readonly output: string;
}

/** Another process with the same configuration but for its ports; it must end by itself. */
async function runOn(
  cluster: Cluster,
  member: Member,
  changes: { node?: number; others?: readonly number[] },
): Promise<Ended> {
  const config = parse(readFileSync(member.configFile, "utf8")) as { node: number };
  const node = changes.node ?? config.node;
  const members: { node: number; clientPort: number; peerPort: number }[] = [];
  for (const each of [node, ...(changes.others ?? [])]) {
    members.push({ node: each, clientPort: await freePort(), peerPort: await freePort() });
  }
  const file = join(cluster.folder, "second.yaml");
  writeFileSync(file, stringify({ ...config, node, members }));
  const child = spawn(process.execPath, [PROGRAM, "node", "--config", file], { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  const hear = (chunk: Buffer): void => {
    output += chunk.toString("utf8");
  };
  child.stdout.on("data", hear);
  child.stderr.on("data", hear);
  const ended = new Promise<number | null>((done) => child.on("close", done));
  try {
    return { code: await within("the second process ends", 20_000, ended), output };
  } finally {
    child.kill("SIGKILL");
  }
}
