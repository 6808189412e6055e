/** kill -9 of all nodes at once: what was acknowledged is in the logs of a majority. */
import { it } from "vitest";
import { withCluster } from "./cluster.js";
import { judge } from "./judge.js";
import { Load } from "./load.js";
import { limitMs, rounds } from "./soak.js";
import { sleep } from "./wait.js";

it("all nodes killed at once, again and again: every acknowledged write is there", {
  timeout: limitMs(90_000),
}, async () => {
  await withCluster({}, async (cluster) => {
    const load = new Load(cluster.members.map((member) => member.address));
    for (const _ of rounds(4)) {
      await sleep(700);
      await Promise.all(cluster.members.map((member) => member.kill()));
      for (const member of cluster.members) member.start();
      await cluster.ready();
    }
    await judge(cluster, load);
  });
});
