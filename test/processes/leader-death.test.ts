/** The leader dies, again and again, while clients go on. */
import { expect, it } from "vitest";
import { withCluster } from "./cluster.js";
import { judge } from "./judge.js";
import { Load } from "./load.js";
import { limitMs, rounds } from "./soak.js";
import { sleep } from "./wait.js";

/** With the default settings it is under 2 s on an idle machine; this limit only bounds a hang on a busy one. */
const SILENCE_MS_MAX = 5_000;

it("a killed leader is replaced, and nothing acknowledged is lost", { timeout: limitMs(90_000) }, async () => {
  const silences: number[] = [];
  await withCluster({}, async (cluster) => {
    const load = new Load(cluster.members.map((member) => member.address));
    await sleep(1_000);
    for (const _ of rounds(4)) {
      const leader = await cluster.leader();
      const killedMs = load.journal.nowMs;
      // As a machine dies: what it had sent is lost as well, though its clients may have been answered.
      cluster.links.isolate(leader.node, "dropped");
      await sleep(30);
      await leader.kill();
      cluster.links.heal();
      const next = await cluster.leader(cluster.others(leader));
      expect(next.node).not.toBe(leader.node);
      await sleep(1_500);
      silences.push(load.journal.silenceMs(killedMs));
      leader.start();
      await cluster.ready();
      await sleep(300);
    }
    await judge(cluster, load);
  });
  const shown = silences.map((ms) => Math.round(ms));
  console.log(`without service after a leader's death: ${shown.join(", ")} ms`);
  expect(Math.max(...silences)).toBeLessThan(SILENCE_MS_MAX);
});
