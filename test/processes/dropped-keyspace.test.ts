/** A keyspace is dropped, perhaps made again, and then all nodes are killed: nobody's memory is lost, nor does the old one answer. */
import { expect, it } from "vitest";
import type { Address } from "../../src/cli/address.js";
import { Client } from "../../src/cli/client.js";
import type { Reply } from "../../src/cli/reply-reader.js";
import { withCluster } from "./cluster.js";
import { until } from "./wait.js";

/** Answers the last reply. */
async function ask(address: Address, ...requests: readonly (readonly string[])[]): Promise<Reply> {
  const client = await Client.connectTo(address, 10_000);
  try {
    let reply: Reply = null;
    for (const request of requests) reply = await client.call(request, 10_000);
    return reply;
  } finally {
    client.close();
  }
}

function hangUp(client: Client): true {
  client.close();
  return true;
}

it("a dropped keyspace leaves no trace that a restart could stumble over", { timeout: 90_000 }, async () => {
  await withCluster({}, async (cluster) => {
    const [first, second] = cluster.members.map((member) => member.address);
    expect(await ask(first, ["GAMUT", "KEYSPACE", "CREATE", "tenant"])).toBe("OK");
    expect(await ask(first, ["SELECT", "tenant"], ["SET", "secret", "of the first tenant"])).toBe("OK");
    // A stop by the book makes checkpoints, of the catalog as well: from now on they say that there is a tenant.
    await Promise.all(cluster.members.map((member) => member.stop()));
    for (const member of cluster.members) member.start();
    await cluster.ready();
    expect(await ask(second, ["GAMUT", "KEYSPACE", "DROP", "tenant"])).toBe("OK");
    expect(await ask(second, ["GAMUT", "KEYSPACE", "CREATE", "tenant"])).toBe("OK");
    await Promise.all(cluster.members.map((member) => member.kill()));
    for (const member of cluster.members) member.start();
    for (const member of cluster.members) {
      // As soon as it listens, and before it can have caught up.
      const { address } = member;
      await until(`node ${member.node} listens`, 20_000, () =>
        Client.connectTo(address, 1_000).then(hangUp, () => null),
      );
      expect(await ask(address, ["SELECT", "tenant"], ["GET", "secret"])).toBeNull();
    }
    await cluster.ready();
    for (const member of cluster.members) expect(member.log).not.toMatch(/set aside|rebuil/);
  });
});
