/** The SDK counts while nodes are killed, paused and cut off: every increment is done once, however often it was sent. */
import { expect, it } from "vitest";
import { connect, ok } from "../../src/client/index.js";
import { Increments } from "../client/increments.js";
import { type Cluster, withCluster } from "./cluster.js";
import type { Member } from "./member.js";
import { limitMs, rounds } from "./soak.js";
import { sleep, until } from "./wait.js";

const WORKERS_A_CLIENT = 8;
const COUNTER = "counter";

/** Longer than an election or a pause takes: what is not answered by then has no excuse. */
const TIMEOUT_MS = 30_000;

async function countWhile(cluster: Cluster, trouble: (counted: () => Promise<void>) => Promise<void>): Promise<void> {
  const addresses = cluster.members.map((member) => `127.0.0.1:${member.clientPort}`);
  // One knows all nodes, the others begin with one and find the rest.
  const clients = [addresses, ...addresses].map((each) => connect(each, { timeoutMs: TIMEOUT_MS, silenceMs: 1_000 }));
  const workers = clients.flatMap((client) => new Array<typeof client>(WORKERS_A_CLIENT).fill(client));
  const increments = new Increments(workers, COUNTER);
  const counted = async (): Promise<void> => {
    const goal = increments.acknowledged + 200;
    await until("the counting goes on", TIMEOUT_MS, () => increments.acknowledged >= goal);
  };
  try {
    await counted();
    await trouble(counted);
    await increments.stop();
    const counter = Number(new TextDecoder().decode(ok(await clients[0].get(COUNTER)).value!));
    console.log(`${increments.acknowledged} acknowledged, ${increments.unknown} unknown, the counter is at ${counter}`);
    expect(increments.surprises).toEqual([]);
    expect(counter).toBeGreaterThanOrEqual(increments.acknowledged);
    expect(counter).toBeLessThanOrEqual(increments.acknowledged + increments.unknown);
    // The session table knows of each whether it was done: nobody need be left without an answer.
    expect(increments.unknown).toBe(0);
  } finally {
    for (const client of clients) client.close();
  }
}

it("kill -9 of leader and follower in turn", { timeout: limitMs(120_000) }, async () => {
  await withCluster({}, (cluster) =>
    countWhile(cluster, async (counted) => {
      for (const round of rounds(4)) {
        const leader = await cluster.leader();
        const victim: Member = round % 2 === 1 ? leader : cluster.others(leader)[round % 4 === 0 ? 0 : 1];
        // As a machine dies: what it had sent is lost as well, though its clients may have been answered.
        cluster.links.isolate(victim.node, "dropped");
        await sleep(20);
        await victim.kill();
        cluster.links.heal();
        await counted();
        victim.start();
        await cluster.ready();
        await counted();
      }
    }),
  );
});

it("a paused leader, and one that is cut off from the others", { timeout: limitMs(120_000) }, async () => {
  await withCluster({}, (cluster) =>
    countWhile(cluster, async (counted) => {
      for (const _ of rounds(1)) {
        const paused = await cluster.leader();
        paused.pause();
        await cluster.leader(cluster.others(paused));
        await counted();
        paused.resume();
        await cluster.ready();
        await counted();
        const cut = await cluster.leader();
        cluster.links.isolate(cut.node, "dropped");
        await cluster.leader(cluster.others(cut));
        await counted();
        cluster.links.heal();
        await cluster.ready();
        await counted();
      }
    }),
  );
});

it("all nodes are killed and started again", { timeout: limitMs(120_000) }, async () => {
  await withCluster({}, (cluster) =>
    countWhile(cluster, async (counted) => {
      await Promise.all(cluster.members.map((member) => member.kill()));
      for (const member of cluster.members) member.start();
      await cluster.ready();
      await counted();
    }),
  );
});
