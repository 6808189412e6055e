/** A stopped node's files are damaged while the other two go on: it says so, serves nothing wrong, and is rebuilt. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { Client } from "../../src/cli/client.js";
import { ReplyError } from "../../src/cli/reply-reader.js";
import { writeMebibytes } from "./bulk.js";
import { type Cluster, withCluster } from "./cluster.js";
import { cutLastBatch, emptyFolder, flipBit, flipBitsInPages, identityFile, logSegments, stateFile } from "./damage.js";
import { judge } from "./judge.js";
import { Load } from "./load.js";
import type { Member } from "./member.js";
import { limitMs, rounds } from "./soak.js";
import { sleep, until } from "./wait.js";

/** What is done to the data folder, and what the node's log must say of it. */
type Damage = readonly [what: string, says: RegExp, make: (dataDir: string) => void];

const DAMAGES: readonly Damage[] = [
  ["a bit of the log", /The log is damaged: log-\d+ at \d+/, (dir) => flipBit(logSegments(dir).pop()!)],
  ["bits of the state", /the state is damaged and set aside/, (dir) => flipBitsInPages(stateFile(dir))],
  ["a bit of the identity", /the identity file/, (dir) => flipBit(identityFile(dir))],
  ["the last batch is cut off", /The log is damaged: log-\d+ at \d+/, cutLastBatch],
  ["a segment is gone", /log-\d+ is missing/, (dir) => rmSync(logSegments(dir).pop()!)],
  ["the marks are gone", /log-marks is missing/, (dir) => rmSync(join(dir, "log", "log-marks"))],
  ["the identity is gone", /the identity file is gone, though there is a log/, (dir) => rmSync(identityFile(dir))],
  [
    "the state is gone",
    /the state ends at 0, the log begins after|the log goes from entry 0 to/,
    (dir) => rmSync(join(dir, "state"), { recursive: true }),
  ],
  [
    "the log is gone",
    /the log and the identity file are gone, though there is a state/,
    (dir) => rmSync(join(dir, "log"), { recursive: true }),
  ],
  ["the folder is empty", /the cluster exists already and this folder is empty/, emptyFolder],
];

const REBUILT_MS_MAX = 30_000;

it("one node's files are damaged in every way while the others go on", { timeout: limitMs(180_000) }, async () => {
  await withCluster({}, async (cluster) => {
    const load = new Load(cluster.members.map((member) => member.address));
    // Segments are behind the log's beginning now: what the state has lost the log cannot tell again.
    expect(await writeMebibytes(cluster.member(1).address, 96)).toBeNull();
    for (const round of rounds(DAMAGES.length)) {
      const [what, says, make] = DAMAGES[(round - 1) % DAMAGES.length];
      const victim = cluster.member((round % 3) + 1);
      await victim.stop();
      make(victim.dataDir);
      await sleep(200);
      await comesBack(cluster, victim, what, says);
    }
    await judge(cluster, load);
  });
});

/** Started, and started again if it ends by itself after it has noted what is wrong. */
async function comesBack(cluster: Cluster, victim: Member, what: string, says: RegExp): Promise<void> {
  const from = victim.log.length;
  victim.start();
  const end = performance.now() + REBUILT_MS_MAX;
  for (;;) {
    if (!victim.isRunning) throw new Error(`${what}: the node has ended`);
    const status = await victim.status();
    if (status !== null && !status.recovering && status.leader !== 0) break;
    if (performance.now() > end) throw new Error(`${what}: the node was not rebuilt in ${REBUILT_MS_MAX} ms`);
    await sleep(50);
  }
  expect(victim.log.slice(from), what).toMatch(says);
  await cluster.ready();
}

it("two of three damaged at once: the group stops and says so", { timeout: limitMs(60_000) }, async () => {
  await withCluster({}, async (cluster) => {
    const whole = cluster.member(1);
    expect(await writeMebibytes(whole.address, 1)).toBeNull();
    const damaged = cluster.others(whole);
    await Promise.all(damaged.map((member) => member.stop()));
    for (const { dataDir } of damaged) flipBit(logSegments(dataDir).pop()!);
    for (const member of damaged) member.start();
    await Promise.all(damaged.map((member) => member.says(/The log is damaged/, 10_000)));
    for (const error of await Promise.all(cluster.members.map(refusal))) {
      expect(error.definite).toBe(true);
      expect(["unavailable", "recovering"]).toContain(error.code);
    }
    await whole.says(/no leader for 5 s: all voters are connected; 2 of 3 must be/, 10_000);
  });
});

async function refusal(member: Member): Promise<ReplyError> {
  return until(`node ${member.node} refuses a read`, 20_000, async () => {
    const client = await Client.connectTo(member.address, 10_000).catch(() => null);
    if (client === null) return null;
    try {
      const reply = await client.call(["GET", "bulk:0"], 10_000);
      if (!(reply instanceof ReplyError)) throw new Error(`node ${member.node} has answered a read`);
      return reply;
    } finally {
      client.close();
    }
  });
}
