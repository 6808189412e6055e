/** The leader is stopped for longer than an election takes, and goes on as if nothing had happened. */
import { expect, it } from "vitest";
import { Client } from "../../src/cli/client.js";
import { withCluster } from "./cluster.js";
import { judge } from "./judge.js";
import { Load } from "./load.js";
import { limitMs, rounds } from "./soak.js";
import { sleep } from "./wait.js";

const READERS = 8;
const READER_PATIENCE_MS = 15_000;

it("a leader that wakes from a long pause serves nothing stale", { timeout: limitMs(90_000) }, async () => {
  await withCluster({}, async (cluster) => {
    const load = new Load(
      cluster.members.map((member) => member.address),
      { patienceMs: 1_000 },
    );
    await sleep(500);
    for (const _ of rounds(3)) {
      const leader = await cluster.leader();
      const clients = await connectTo(leader.address, READERS);
      // When it wakes, its clients' questions are there, and what its peers have to tell comes later.
      cluster.links.isolate(leader.node, "stalled");
      leader.pause();
      const pausedMs = load.journal.nowMs;
      await cluster.leader(cluster.others(leader));
      await sleep(500);
      expect(load.journal.silenceMs(pausedMs)).toBeLessThan(5_000);
      // Asked after the next leader has acknowledged writes, and answered by the old one when it wakes.
      const reads = clients.map((client, i) => {
        return load.read(client, load.journal.voice(), `register:${i % 4}`, READER_PATIENCE_MS);
      });
      leader.resume();
      await sleep(300);
      cluster.links.heal();
      const answered = await Promise.all(reads);
      expect(answered).toEqual(Array.from({ length: READERS }, () => true));
      for (const client of clients) client.close();
      await cluster.ready();
    }
    await judge(cluster, load);
  });
});

function connectTo(address: { host: string; port: number }, count: number): Promise<Client[]> {
  return Promise.all(Array.from({ length: count }, () => Client.connectTo(address, READER_PATIENCE_MS)));
}
