/** What `gamut node --record` has written during faults replays to the very same outputs. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { Client } from "../../src/cli/client.js";
import { connect } from "../../src/client/index.js";
import { Replay } from "../../src/sim/replay.js";
import { Increments } from "../client/increments.js";
import { withCluster } from "./cluster.js";
import { judge } from "./judge.js";
import { Load } from "./load.js";
import { limitMs, rounds } from "./soak.js";
import { sleep } from "./wait.js";

const RECORDED = 1;

it("a recording of a node under load, while another one dies, replays without divergence", {
  timeout: limitMs(90_000),
}, async () => {
  const flags = (node: number, folder: string) => (node === RECORDED ? ["--record", join(folder, "recording")] : []);
  await withCluster({ flags }, async (cluster) => {
    const load = new Load(cluster.members.map((member) => member.address));
    const recorded = cluster.member(RECORDED);
    const sdk = connect(`127.0.0.1:${recorded.clientPort}`, { timeoutMs: 30_000 });
    // Whoever watches changes nothing that the node does.
    const watcher = await Client.connectTo(recorded.address, 10_000);
    await watcher.demand(["GAMUT", "WATCH", "", "SNAPSHOT", "VALUES"]);
    const increments = new Increments([sdk, sdk], "counted by the SDK");
    for (const _ of rounds(2)) {
      await sleep(700);
      const leader = await cluster.leader();
      const victim = leader === recorded ? cluster.others(recorded)[0] : leader;
      await victim.kill();
      await sleep(1_200);
      victim.start();
      await cluster.ready();
    }
    await increments.stop();
    const last = await sdk.list({ prefix: "" }, { reverse: true }).next();
    expect(last.done).toBe(false);
    sdk.close();
    expect((await watcher.nextPushes()).length).toBeGreaterThan(0);
    watcher.close();
    expect(increments.surprises).toEqual([]);
    await judge(cluster, load);
    await recorded.stop();
    const report = new Replay(readFileSync(join(cluster.folder, "recording", "recording.grec"))).run();
    expect(report.divergence).toBeNull();
    expect(report.outputs).toBeGreaterThan(1_000);
  });
});
