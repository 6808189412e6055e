/** Links between the nodes are cut, in every way that a network knows. */
import { expect, it } from "vitest";
import { type Cluster, withCluster } from "./cluster.js";
import { judge } from "./judge.js";
import { Load } from "./load.js";
import type { Member } from "./member.js";
import type { Flow } from "./proxy.js";
import { limitMs, rounds } from "./soak.js";
import { sleep } from "./wait.js";

/** What is done to the links, given the leader. */
type Trouble = readonly [what: string, make: (cluster: Cluster, leader: Member) => void];

function isolated(flow: Flow): Trouble {
  return [`the leader is isolated (${flow})`, (cluster, leader) => cluster.links.isolate(leader.node, flow)];
}

const TROUBLES: readonly Trouble[] = [
  isolated("reset"),
  isolated("dropped"),
  isolated("stalled"),
  ["one follower is cut off", (cluster, leader) => cluster.links.isolate(cluster.others(leader)[0].node, "dropped")],
  [
    "the leader hears nobody, and all hear the leader",
    (cluster, leader) => {
      for (const other of cluster.others(leader)) cluster.links.setOneWay(other.node, leader.node, "dropped");
    },
  ],
  [
    "nobody hears the leader, and it hears all",
    (cluster, leader) => {
      for (const other of cluster.others(leader)) cluster.links.setOneWay(leader.node, other.node, "dropped");
    },
  ],
  [
    "leader and one follower do not meet",
    (cluster, leader) => {
      cluster.links.set(leader.node, cluster.others(leader)[0].node, "reset");
    },
  ],
  [
    "the links are slow",
    (cluster, leader) => {
      for (const other of cluster.others(leader)) cluster.links.delay(leader.node, other.node, 60);
    },
  ],
];

const TROUBLE_MS = 2_500;
/** Two of three can always agree: with one election, or two when the first vote is split. */
const SILENCE_MS_MAX = 6_000;

it("cut, one-way, stalled and slow links: a majority serves, nobody serves what is stale", {
  timeout: limitMs(120_000),
}, async () => {
  await withCluster({}, async (cluster) => {
    const load = new Load(
      cluster.members.map((member) => member.address),
      { patienceMs: 1_000 },
    );
    await sleep(500);
    for (const round of rounds(TROUBLES.length)) {
      const [what, make] = TROUBLES[(round - 1) % TROUBLES.length];
      const leader = await cluster.leader();
      const beganMs = load.journal.nowMs;
      make(cluster, leader);
      await sleep(TROUBLE_MS);
      expect(load.journal.silenceMs(beganMs), what).toBeLessThan(SILENCE_MS_MAX);
      cluster.links.heal();
      await cluster.ready();
      await sleep(200);
    }
    await judge(cluster, load);
  });
});
