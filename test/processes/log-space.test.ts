/** The log is shared by all groups: one that wrote little, long ago, may not keep all that the others write. */
import { expect, it } from "vitest";
import { Client } from "../../src/cli/client.js";
import { type ReplyError, textOf } from "../../src/cli/reply-reader.js";
import type { BackendStatus } from "../../src/kv/backend.js";
import { writeMebibytes } from "./bulk.js";
import { withCluster } from "./cluster.js";
import { segmentFiles } from "./damage.js";
import { limitMs } from "./soak.js";
import { until } from "./wait.js";

const CALL_MS_MAX = 15_000;

it("old parts of the log go while data are written", { timeout: limitMs(90_000) }, async () => {
  await withCluster({}, async (cluster) => {
    // Eight segments of 16 MiB, of which the catalog's entries are in the first.
    expect(await writeMebibytes(cluster.member(1).address, 128)).toBeNull();
    for (const member of cluster.members) {
      await until(`few segments in ${member.dataDir}`, 30_000, () => segmentFiles(member.dataDir).length <= 6);
    }
    // What was cut is in the states: all of them start from there.
    await Promise.all(cluster.members.map((member) => member.kill()));
    for (const member of cluster.members) member.start();
    await cluster.ready();
    expect(await writeMebibytes(cluster.member(2).address, 1)).toBeNull();
  });
});

it("an entry that no majority can commit does not keep the log of a node that goes on taking writes by gossip", {
  timeout: limitMs(180_000),
}, async () => {
  await withCluster({}, async (cluster) => {
    const leader = await cluster.leader();
    const client = await Client.connectTo(leader.address, CALL_MS_MAX);
    await client.demand(["GAMUT", "KEYSPACE", "CREATE", "carts", "PROTOCOL", "gossip"]);
    const others = cluster.others(leader);
    // At once, for the leader steps down soon: it is to take a write into its log that nobody else will ever hear of.
    for (const member of others) member.pause();
    const answer = await client.call(["SET", "left", "behind"], CALL_MS_MAX);
    expect(String((answer as ReplyError).message)).toContain("the outcome is not known");
    await Promise.all(others.map((member) => member.kill()));
    const status = JSON.parse(textOf(await client.demand(["GAMUT", "STATUS"]))) as BackendStatus;
    const keyspace = status.keyspaces.find(({ name }) => name === "default")!;
    expect(keyspace.lastPosition).toBeGreaterThan(keyspace.commitPosition);
    client.close();

    expect(await writeMebibytes(leader.address, 160, "carts")).toBeNull();
    await until(`few segments in ${leader.dataDir}`, 30_000, () => segmentFiles(leader.dataDir).length <= 6);

    // It is still there, and with one other it is committed: that one has a log that is shorter, and cannot lead. (The two others
    // together could, and what nobody had been promised would be gone.)
    await leader.kill();
    for (const member of [leader, others[0]]) member.start();
    const value = await until("a majority serves", 60_000, async () => {
      const later = await Client.connectTo(leader.address, CALL_MS_MAX).catch(() => null);
      const found = await later?.demand(["GET", "left"]).catch(() => null);
      later?.close();
      return found === undefined || found === null ? null : `value ${textOf(found)}`;
    });
    expect(value).toBe("value behind");
  });
});
