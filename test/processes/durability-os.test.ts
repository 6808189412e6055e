/** `durability: os`: kill -9 loses nothing; after a crash of the machine a node knows that it may have lost what it promised. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { Client } from "../../src/cli/client.js";
import { type Reply, ReplyError, textOf } from "../../src/cli/reply-reader.js";
import { Identity } from "../../src/node/identity.js";
import { readBootId } from "../../src/runtime/boot-id.js";
import { writeMebibytes } from "./bulk.js";
import { type Cluster, withCluster } from "./cluster.js";
import { identityFile } from "./damage.js";
import { judge } from "./judge.js";
import { Load } from "./load.js";
import type { Member } from "./member.js";
import { limitMs, rounds } from "./soak.js";
import { sleep, until } from "./wait.js";

const OS = { settings: { durability: "os" } };
const CRASHED = /the machine has been started anew since this node had promised what was not synced yet/;

function unsyncedBoot({ dataDir }: Member): string {
  return Identity.decode(readFileSync(identityFile(dataDir))).unsyncedBoot;
}

/** What the next start finds if the machine has crashed, but for the bytes that are lost then. */
function asAfterMachineCrash(member: Member): void {
  const file = identityFile(member.dataDir);
  const identity = Identity.decode(readFileSync(file));
  expect(identity.unsyncedBoot).toBe(readBootId());
  writeFileSync(file, identity.with({ unsyncedBoot: "00000000-0000-0000-0000-000000000000" }).encode());
}

function setDurability({ configFile }: Member, durability: string): void {
  writeFileSync(configFile, stringify({ ...parse(readFileSync(configFile, "utf8")), durability }));
}

async function syncsLater(cluster: Cluster): Promise<void> {
  for (const member of cluster.members) {
    await until(`node ${member.node} has noted that it syncs later`, 10_000, () => unsyncedBoot(member) !== "");
  }
}

it("all nodes killed at once, again and again: every acknowledged write is there", {
  timeout: limitMs(90_000),
}, async () => {
  await withCluster(OS, async (cluster) => {
    const load = new Load(cluster.members.map((member) => member.address));
    for (const _ of rounds(4)) {
      await syncsLater(cluster);
      await sleep(700);
      await Promise.all(cluster.members.map((member) => member.kill()));
      for (const member of cluster.members) expect(unsyncedBoot(member)).toBe(readBootId());
      for (const member of cluster.members) member.start();
      await cluster.ready();
    }
    for (const { log } of cluster.members) expect(log).not.toMatch(/set aside/);
    await judge(cluster, load);
  });
});

it("the setting changes between two lives, and nothing is lost", { timeout: limitMs(120_000) }, async () => {
  await withCluster(OS, async (cluster) => {
    const load = new Load(cluster.members.map((member) => member.address));
    for (const durability of ["sync", "os", "sync", "os"]) {
      await sleep(700);
      await Promise.all(cluster.members.map((member) => member.kill()));
      for (const member of cluster.members) {
        setDurability(member, durability);
        member.start();
      }
      await cluster.ready();
      if (durability === "os") await syncsLater(cluster);
      else {
        for (const member of cluster.members) {
          await until(`node ${member.node} has noted that all is synced`, 10_000, () => unsyncedBoot(member) === "");
        }
      }
    }
    for (const { log } of cluster.members) expect(log).not.toMatch(/set aside/);
    await judge(cluster, load);
  });
});

it("after a crash of its machine a node comes back as one that has lost its memory, and is rebuilt", {
  timeout: limitMs(120_000),
}, async () => {
  await withCluster(OS, async (cluster) => {
    const load = new Load(cluster.members.map((member) => member.address));
    expect(await writeMebibytes(cluster.member(1).address, 8)).toBeNull();
    for (const round of rounds(3)) {
      await syncsLater(cluster);
      const victim = cluster.member((round % 3) + 1);
      const before = Identity.decode(readFileSync(identityFile(victim.dataDir)));
      await victim.kill();
      asAfterMachineCrash(victim);
      const from = victim.log.length;
      victim.start();
      await victim.says(CRASHED, 30_000, from);
      await victim.says(/The old data are set aside; this replica is rebuilt from its peers/, 30_000, from);
      await cluster.ready();
      // It is sound, and would be all there is if a majority had crashed.
      expect(readdirSync(victim.dataDir).filter((name) => name.startsWith("state-old-")).length).toBeGreaterThan(0);
      const after = Identity.decode(readFileSync(identityFile(victim.dataDir)));
      expect(after.incarnation).toBeGreaterThan(before.incarnation);
      // As many as hold all: the one that was rebuilt counts again.
      await until("a write is on all three", 20_000, async () => {
        const client = await Client.connectTo(victim.address, 5_000);
        await client.demand(["SET", "after", String(round)]);
        const copies = Number(await client.demand(["WAIT", "2", "2000"]));
        client.close();
        return copies >= 2;
      });
    }
    await judge(cluster, load);
  });
});

it("a clean stop syncs all: a crash of the machine after it loses nothing", { timeout: limitMs(60_000) }, async () => {
  await withCluster(OS, async (cluster) => {
    const load = new Load(cluster.members.map((member) => member.address));
    await syncsLater(cluster);
    await sleep(300);
    await load.stop();
    // The last one finds nobody who could take over, and stops all the same.
    for (const member of cluster.members) {
      await member.stop();
      expect([member.exitCode, unsyncedBoot(member)]).toEqual([0, ""]);
    }
    for (const member of cluster.members) member.start();
    await cluster.ready();
    for (const { log } of cluster.members) expect(log).not.toMatch(/set aside/);
    await judge(cluster, load);
  });
});

it("the machines of a majority crash: the group stops and says so", { timeout: limitMs(60_000) }, async () => {
  await withCluster(OS, async (cluster) => {
    expect(await writeMebibytes(cluster.member(1).address, 1)).toBeNull();
    await syncsLater(cluster);
    const crashed = cluster.others(cluster.member(1));
    await Promise.all(crashed.map((member) => member.kill()));
    for (const member of crashed) {
      asAfterMachineCrash(member);
      member.start();
    }
    await Promise.all(crashed.map((member) => member.says(CRASHED, 30_000)));
    const refused = await until("node 1 refuses a read", 20_000, async () => {
      const client = await Client.connectTo(cluster.member(1).address, 10_000).catch(() => null);
      const reply = await client?.call(["GET", "bulk:0"], 10_000).catch(() => null);
      client?.close();
      return reply instanceof ReplyError ? reply : null;
    });
    expect(refused.definite).toBe(true);
    expect(["unavailable", "recovering"]).toContain(refused.code);
  });
});

it("tells what it is", { timeout: limitMs(60_000) }, async () => {
  await withCluster({ ...OS, nodes: 1 }, async ({ members: [member] }) => {
    const client = await Client.connectTo(member.address, 5_000);
    const [[, fsync]] = [...((await client.demand(["CONFIG", "GET", "appendfsync"])) as Map<unknown, Reply>)];
    expect(textOf(fsync)).toBe("everysec");
    expect(textOf(await client.demand(["INFO", "persistence"]))).toContain("gamut_durability:os");
    await client.demand(["GAMUT", "EXPLAIN", "ON"]);
    await client.demand(["SET", "x", "1"]);
    expect(textOf(await client.demand(["GAMUT", "EXPLAIN"]))).toContain("durable-on=1 durability=os");
    client.close();
  });
});
