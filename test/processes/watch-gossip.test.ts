/** `gamut watch` of a gossip keyspace while the node that it listens to dies, again and again: nothing is left out. */
import { Redis } from "ioredis";
import { expect, it } from "vitest";
import { Client } from "../../src/cli/client.js";
import { ReplyError, textOf } from "../../src/cli/reply-reader.js";
import { type Cluster, withCluster } from "./cluster.js";
import type { Member } from "./member.js";
import { limitMs, rounds } from "./soak.js";
import { RestlessWriter } from "./unique-writer.js";
import { until } from "./wait.js";
import { type Line, WatchProcess } from "./watch-process.js";

const WAIT_MS_MAX = 30_000;
const KEYSPACE = ["-k", "events"];

async function connect(member: Member): Promise<Client> {
  const client = await Client.connectTo(member.address, 1_500);
  await client.demand(["SELECT", "events"]);
  return client;
}

async function createEvents(cluster: Cluster): Promise<void> {
  const client = await Client.connectTo(cluster.members[0].address, WAIT_MS_MAX);
  await client.demand(["GAMUT", "KEYSPACE", "CREATE", "events", "PROTOCOL", "gossip", "LEVEL", "eventual"]);
  client.close();
}

/** Writes keys that nobody else writes. */
class KeyWriter extends RestlessWriter {
  /** Each with the node that has acknowledged it. */
  readonly acknowledged: { readonly key: string; readonly node: number }[] = [];

  constructor(
    private readonly name: string,
    members: readonly Member[],
  ) {
    super(members);
  }

  protected override connect(member: Member): Promise<Client> {
    return connect(member);
  }

  protected async write(client: Client, n: number, { node }: Member): Promise<void> {
    const key = `${this.name}:${n}`;
    await client.demand(["SET", key, `${node}`]);
    this.acknowledged.push({ key, node });
  }
}

it("resumes at another node when its own is killed: every acknowledged write is heard", {
  timeout: limitMs(150_000),
}, async () => {
  await withCluster({}, async (cluster) => {
    await createEvents(cluster);
    const watch = new WatchProcess(cluster, [...KEYSPACE, "--snapshot"]);
    await watch.hears("the snapshot", (lines) => lines.some(({ kind }) => kind === "snapshot-end"));
    const writers = [1, 2, 3].map((n) => new KeyWriter(`w${n}`, [...cluster.members.slice(n - 1), ...cluster.members]));
    const goOn = (): Promise<void> => {
      const goal = watch.lines.length + 300;
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
    const acknowledged = writers.flatMap((writer) => writer.acknowledged);
    const unheard = (lines: readonly Line[]): string[] => {
      const heard = new Set(lines.map(({ key }) => key));
      return acknowledged.map(({ key }) => key).filter((key) => !heard.has(key));
    };
    await watch.hears("every acknowledged write", (lines) => unheard(lines).length === 0);
    expect(acknowledged.length).toBeGreaterThan(300);

    // As often as a change is told: the first time in the order in which its node took it.
    const firstAt = new Map<string, number>();
    watch.lines.forEach(({ kind, key }, at) => {
      if (kind === "put" && !firstAt.has(key)) firstAt.set(key, at);
    });
    for (const writer of writers) {
      for (const node of [1, 2, 3]) {
        const order = writer.acknowledged.filter((it) => it.node === node).map(({ key }) => firstAt.get(key)!);
        expect(order).toEqual([...order].sort((a, b) => a - b));
      }
    }

    // Whoever begins in the middle hears all that came after, at each node; or that it is not kept there.
    const { lines } = watch;
    const middle = Math.floor(lines.length / 2);
    const rest = lines.slice(middle + 1).map(({ key }) => key);
    for (const member of cluster.members) {
      const again = new WatchProcess(
        cluster,
        [...KEYSPACE, "--no-values", "--from", lines[middle].position!],
        [member],
      );
      const hasAll = (): boolean => {
        const heard = new Set(again.lines.map(({ key }) => key));
        return rest.every((key) => heard.has(key));
      };
      const code = await Promise.race([
        again.ended,
        until("it has heard the rest", WAIT_MS_MAX, hasAll).then(() => -1),
      ]);
      if (code === -1) expect(await again.interrupt()).toBe(0);
      else {
        expect(code).toBe(3);
        expect(again.lines).toMatchObject([{ error: { code: "compacted" } }]);
      }
    }
    expect(await watch.interrupt()).toBe(0);
  });
});

it("Redis' notifications, and a position of a keyspace of raft", { timeout: limitMs(60_000) }, async () => {
  await withCluster({}, async (cluster) => {
    await createEvents(cluster);
    const listener = new Redis(cluster.members[1].clientPort, "127.0.0.1", { enableReadyCheck: false });
    const heard: string[] = [];
    listener.on("pmessage", (_pattern, channel, message) => heard.push(`${channel} ${message}`));
    await listener.call("CONFIG", "SET", "notify-keyspace-events", "KEA");
    await listener.call("SELECT", "events");
    await listener.psubscribe("__keyevent@events__:*");
    const writer = await connect(cluster.members[1]);
    await writer.demand(["SET", "a", "1", "PX", "100"]);
    await writer.demand(["DEL", "never"]);
    const elsewhere = await connect(cluster.members[0]);
    await elsewhere.demand(["SET", "b", "2"]);
    elsewhere.close();
    await until("the notifications have come", WAIT_MS_MAX, () => heard.length >= 4);
    const ofKey = (key: string): string[] => heard.filter((line) => line.endsWith(` ${key}`));
    expect(ofKey("a")).toEqual(["__keyevent@events__:set a", "__keyevent@events__:expired a"]);
    expect(ofKey("never")).toEqual(["__keyevent@events__:del never"]);
    expect(ofKey("b")).toEqual(["__keyevent@events__:set b"]);
    const ofRaft = textOf(await (await Client.connectTo(cluster.members[0].address, 1_500)).demand(["GAMUT", "WATCH"]));
    const refused = await writer.call(["GAMUT", "WATCH", "", "FROM", ofRaft], WAIT_MS_MAX);
    expect(refused instanceof ReplyError && refused.code).toBe("keyspace_gone");
    listener.disconnect();
    writer.close();
  });
});
