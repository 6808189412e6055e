/** `gamut watch` while the node that it listens to dies, again and again: no gap, and nothing twice. */
import { expect, it } from "vitest";
import { Client } from "../../src/cli/client.js";
import { withCluster } from "./cluster.js";
import { limitMs, rounds } from "./soak.js";
import { UniqueWriter } from "./unique-writer.js";
import { until } from "./wait.js";
import { type Line, WatchProcess } from "./watch-process.js";

const WAIT_MS_MAX = 30_000;

it("resumes at another node when its own is killed: no gap, nothing twice", { timeout: limitMs(120_000) }, async () => {
  await withCluster({}, async (cluster) => {
    const before = new WatchProcess(cluster, ["--exact", "begin"]);
    const client = await Client.connectTo(cluster.members[0].address, 5_000);
    // What it hears first shows that it has begun.
    await until("the watch has begun", WAIT_MS_MAX, async () => {
      await client.demand(["SET", "begin", "1"]);
      return before.lines.length > 0;
    });
    const from = before.lines[0].position!;
    client.close();
    const watch = new WatchProcess(cluster, ["written:", "--from", from]);
    const writers = [1, 2, 3].map(
      (n) => new UniqueWriter(`w${n}`, [...cluster.members.slice(n - 1), ...cluster.members]),
    );
    const goOn = (): Promise<void> => {
      const goal = watch.lines.length + 100;
      return watch.hears("the watch goes on", (lines) => lines.length >= goal);
    };
    await goOn();
    // It listens to the first that answers, in this order.
    for (const round of rounds(3)) {
      const victim = cluster.member(((round - 1) % 3) + 1);
      await victim.kill();
      await goOn();
      victim.start();
      await cluster.ready();
      await goOn();
    }
    for (const writer of writers) await writer.stop();
    const last = await Client.connectTo(cluster.members[0].address, 5_000);
    await last.demand(["SET", "written:gone", "soon", "PX", "50"]);
    await watch.hears("the last key expires", (lines) => lines.some(({ kind }) => kind === "expire"));
    last.close();

    const { lines } = watch;
    const values = lines.filter(({ value }) => value !== undefined).map(({ value }) => value!);
    expect(new Set(values).size).toBe(values.length);
    const versions = lines.map(({ version }) => version);
    expect(versions).toEqual([...new Set(versions)].sort((a, b) => a - b));
    const heard = new Set(values);
    // A value that was written over before another node could tell of it: its change is told without it.
    const untold = lines.filter(({ kind, value }) => kind === "put" && value === undefined).length;
    const missing = writers.flatMap(({ acknowledged }) => acknowledged).filter((value) => !heard.has(value));
    expect(missing.length).toBeLessThanOrEqual(untold);
    for (const value of writers.flatMap(({ refused }) => refused)) expect(heard.has(value)).toBe(false);
    const acknowledged = writers.reduce((sum, writer) => sum + writer.acknowledged.length, 0);
    expect(lines.length).toBeGreaterThanOrEqual(acknowledged + 2);
    expect(lines[lines.length - 1]).toMatchObject({ kind: "expire", key: "written:gone" });
    // Nobody else writes, and every write has one version: none is left out.
    expect(versions).toEqual(versions.map((_, i) => versions[0] + i));

    // Whoever begins in the middle hears the same, at each node; or that it is not kept there.
    const middle = lines[Math.floor(lines.length / 2)];
    for (const member of cluster.members) {
      const again = new WatchProcess(cluster, ["written:", "--no-values", "--from", middle.position!], [member]);
      const rest = lines.filter(({ version }) => version > middle.version);
      const code = await Promise.race([
        again.ended,
        until("it has heard the rest", WAIT_MS_MAX, () => again.lines.length >= rest.length).then(() => -1),
      ]);
      if (code === -1) {
        const shown = (line: Line): string => `${line.kind} ${line.key} ${line.version}`;
        expect(again.lines.map(shown)).toEqual(rest.map(shown));
        expect(await again.interrupt()).toBe(0);
      } else {
        expect(code).toBe(3);
        expect(again.lines).toMatchObject([{ error: { code: "compacted" } }]);
      }
    }
    expect(await before.interrupt()).toBe(0);
    expect(before.err).toMatch(/go on with --from [0-9a-f]+/);
    expect(await watch.interrupt()).toBe(0);
  });
});

it("a snapshot first, then the changes, of the keys asked for", { timeout: limitMs(60_000) }, async () => {
  await withCluster({}, async (cluster) => {
    const client = await Client.connectTo(cluster.members[1].address, 5_000);
    await client.demand(["MSET", "a:1", "one", "a:2", "two", "b:1", "other"]);
    const watch = new WatchProcess(cluster, ["a:", "--snapshot"]);
    await watch.hears("the snapshot", (lines) => lines.some(({ kind }) => kind === "snapshot-end"));
    await client.demand(["DEL", "a:1", "b:1"]);
    await client.demand(["SET", "a:3", "three"]);
    await watch.hears("the changes", (lines) => lines.length >= 6);
    expect(watch.lines.map(({ kind, key, value }) => [kind, key, value].filter(Boolean).join(" "))).toEqual([
      "snapshot-begin",
      "record a:1 one",
      "record a:2 two",
      "snapshot-end",
      "delete a:1",
      "put a:3 three",
    ]);
    client.close();
    expect(await watch.interrupt()).toBe(0);
  });
});

it("goes on at another node when its own stands still", { timeout: limitMs(120_000) }, async () => {
  await withCluster({}, async (cluster) => {
    const watch = new WatchProcess(cluster, ["k", "--timeout", "2s"]);
    const client = await Client.connectTo(cluster.members[1].address, 15_000);
    await until("the watch has begun", WAIT_MS_MAX, async () => {
      await client.demand(["SET", "k0", "0"]);
      return watch.lines.length > 0;
    });
    cluster.member(1).pause();
    await client.demand(["SET", "k1", "1"]);
    await watch.hears("what was written meanwhile", (lines) => lines.some(({ key }) => key === "k1"));
    cluster.member(1).resume();
    client.close();
    expect(await watch.interrupt()).toBe(0);
  });
});
