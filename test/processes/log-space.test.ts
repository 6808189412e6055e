/** The log is shared by all groups: one that wrote little, long ago, may not keep all that the others write. */
import { expect, it } from "vitest";
import { writeMebibytes } from "./bulk.js";
import { withCluster } from "./cluster.js";
import { segmentFiles } from "./damage.js";
import { limitMs } from "./soak.js";
import { until } from "./wait.js";

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
