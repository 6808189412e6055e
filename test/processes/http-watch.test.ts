/** Watching over HTTP: real nodes that die, curl, and an EventSource that comes again by itself. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { Client } from "../../src/cli/client.js";
import { EventStream, type StreamEvent } from "../../src/server/testing/event-stream.js";
import { HttpClient } from "../../src/server/testing/http-client.js";
import { Balancer } from "./balancer.js";
import { type Cluster, withCluster } from "./cluster.js";
import { limitMs, rounds } from "./soak.js";
import { UniqueWriter } from "./unique-writer.js";
import { until } from "./wait.js";

const WAIT_MS_MAX = 30_000;
const WATCH = "/v1/keyspaces/default/watch";
const CHANGES = new Set(["put", "delete", "expire"]);

/** Listens at whichever node answers, and goes on elsewhere with the id of the last event. */
class Follower {
  readonly changes: StreamEvent[] = [];
  lastEventId = "";
  private going = true;
  private stream: EventStream | null = null;
  private readonly done: Promise<void>;

  constructor(
    private readonly cluster: Cluster,
    private readonly query: string,
  ) {
    this.done = this.run();
  }

  private async run(): Promise<void> {
    for (let at = 0; this.going; at += 1) {
      const { clientPort } = this.cluster.members[at % this.cluster.members.length];
      try {
        const http = await HttpClient.connect(clientPort);
        const headers = { Accept: "text/event-stream", "Last-Event-ID": this.lastEventId };
        this.stream = await EventStream.open(http, `${WATCH}${this.query}`, headers);
        expect(this.stream.status).toBe(200);
        while (this.going && !(this.stream.ended && this.stream.events.length === 0)) await this.hear(this.stream);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === undefined) throw error;
        await new Promise((resolve) => setTimeout(resolve, 50));
      } finally {
        this.stream?.close();
      }
    }
  }

  private async hear(stream: EventStream): Promise<void> {
    for (const event of stream.events.splice(0)) {
      this.lastEventId = event.id ?? this.lastEventId;
      if (CHANGES.has(event.kind)) this.changes.push(event);
      if (event.kind === "end") expect(event.data.code).not.toBe("compacted");
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }

  async hears(what: string, holds: () => boolean): Promise<void> {
    await Promise.race([until(what, WAIT_MS_MAX, holds), this.done]);
    expect(holds()).toBe(true);
  }

  async stop(): Promise<void> {
    this.going = false;
    await this.done;
  }
}

it("goes on at another node when its own is killed or stops: no gap, nothing twice", {
  timeout: limitMs(120_000),
}, async () => {
  await withCluster({}, async (cluster) => {
    const follower = new Follower(cluster, "?prefix=written:&values");
    await follower.hears("it has begun", () => follower.lastEventId !== "");
    const writers = [1, 2, 3].map(
      (n) => new UniqueWriter(`w${n}`, [...cluster.members.slice(n - 1), ...cluster.members]),
    );
    const goOn = (): Promise<void> => {
      const goal = follower.changes.length + 100;
      return follower.hears("it goes on", () => follower.changes.length >= goal);
    };
    await goOn();
    for (const round of rounds(3)) {
      const victim = cluster.member(((round - 1) % 3) + 1);
      if (round % 2 === 1) await victim.kill();
      else await victim.stop();
      await goOn();
      victim.start();
      await cluster.ready();
      await goOn();
    }
    for (const writer of writers) await writer.stop();
    const client = await Client.connectTo(cluster.members[0].address, 5_000);
    await client.demand(["SET", "written:last", "last"]);
    client.close();
    await follower.hears("the last write", () => follower.changes.some(({ data }) => data.key === "written:last"));
    await follower.stop();

    const versions = follower.changes.map(({ data }) => data.version);
    expect(versions).toEqual(versions.map((_, i) => versions[0] + i));
    const values = follower.changes.map(({ data }) => data.value).filter((value) => value !== undefined);
    const heard = new Set(values);
    expect(heard.size).toBe(values.length);
    // A value that was written over before another node could tell of it: its change is told without it.
    const missing = writers.flatMap(({ acknowledged }) => acknowledged).filter((value) => !heard.has(value));
    expect(missing.length).toBeLessThanOrEqual(versions.length - values.length);
    for (const value of writers.flatMap(({ refused }) => refused)) expect(heard.has(value)).toBe(false);
  });
});

interface SourceState {
  readonly stage: string;
  readonly id: string;
  readonly readyState: number;
  readonly records: [string, string][];
}

/** Node's own EventSource is still behind a flag. */
const FLAGS = process.allowedNodeEnvironmentFlags.has("--experimental-eventsource")
  ? ["--experimental-eventsource"]
  : [];
const hasEventSource = spawnSync(process.execPath, [...FLAGS, "-e", "EventSource"]).status === 0;

class EventSourceProcess {
  private readonly child: ChildProcess;
  private out = "";
  private err = "";

  constructor(url: string) {
    const program = fileURLToPath(new URL("event-source-child.mjs", import.meta.url));
    this.child = spawn(process.execPath, [...FLAGS, "--no-warnings", program, url], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.child.stdout?.on("data", (chunk: Buffer) => {
      this.out += chunk.toString("utf8");
    });
    this.child.stderr?.on("data", (chunk: Buffer) => {
      this.err += chunk.toString("utf8");
    });
  }

  get states(): SourceState[] {
    return this.out
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as SourceState);
  }

  async comesTo(what: string, holds: (last: SourceState) => boolean): Promise<void> {
    await until(what, WAIT_MS_MAX, () => {
      if (this.child.exitCode !== null) throw new Error(`the process has ended: ${this.err}`);
      const { states } = this;
      return states.length > 0 && holds(states[states.length - 1]);
    });
  }

  close(): void {
    this.child.kill("SIGKILL");
  }
}

it.skipIf(!hasEventSource && process.env.CI === undefined)(
  "an EventSource comes again by itself: goes on elsewhere, and begins anew where nobody remembers",
  {
    timeout: limitMs(120_000),
  },
  async () => {
    await withCluster({ settings: { watch: { changes: 20_000 } } }, async (cluster) => {
      const [node, other] = cluster.members;
      const client = await Client.connectTo(other.address, 5_000);
      // Node's EventSource gives up when a connection is refused, where a browser's does not.
      const all = await Balancer.before(...cluster.members.map(({ clientPort }) => clientPort));
      const one = await Balancer.before(node.clientPort);
      const url = ({ port }: Balancer, query: string) => `http://127.0.0.1:${port}${WATCH}?prefix=k:&values${query}`;
      const anywhere = new EventSourceProcess(url(all, "&snapshot"));
      const there = new EventSourceProcess(url(one, "&snapshot"));
      const plain = new EventSourceProcess(url(one, ""));
      const begun = (source: EventSourceProcess, stage: string) =>
        source.states.filter((state) => state.stage === stage).length;
      const bothHold = async (what: string, ...records: [string, string][]) => {
        const text = JSON.stringify(records);
        for (const source of [anywhere, there]) {
          await source.comesTo(
            what,
            ({ id, records }) =>
              id !== "snapshot" && JSON.stringify([...records].sort(([a], [b]) => (a < b ? -1 : 1))) === text,
          );
        }
      };
      try {
        await client.demand(["MSET", "k:1", "one", "k:2", "two"]);
        await bothHold("the first records", ["k:1", "one"], ["k:2", "two"]);
        await plain.comesTo("it has begun", ({ stage }) => stage !== "");
        await node.kill();
        await client.demand(["DEL", "k:1"]);
        await client.demand(["SET", "k:3", "three"]);
        await cluster.ready();
        node.start();
        await cluster.ready();
        await bothHold("the state after the kill", ["k:2", "two"], ["k:3", "three"]);
        await plain.comesTo("it goes on where it was", ({ stage }) => stage === "put");
        expect(begun(anywhere, "snapshot-begin")).toBe(1);
        await node.stop();
        await until("it has heard of the stop", WAIT_MS_MAX, () => begun(there, "stopping") > 0);
        await cluster.ready();
        await client.demand(["SET", "k:2", "changed"]);
        // More changes than are kept.
        const keys = Array.from({ length: 1_024 }, (_, i) => [`filler:${i}`, ""]).flat();
        for (let i = 0; i < 25; i += 1) await client.demand(["MSET", ...keys]);
        node.start();
        await bothHold("the state after the stop", ["k:2", "changed"], ["k:3", "three"]);
        // Who has not asked for snapshots is closed, and knows.
        await plain.comesTo("it is closed", ({ readyState }) => readyState === 2);
        expect(begun(there, "snapshot-begin")).toBeGreaterThan(1);
        expect(begun(anywhere, "snapshot-begin")).toBe(1);
      } finally {
        for (const each of [anywhere, there, plain, all, one, client]) each.close();
      }
    });
  },
);

describe("curl", () => {
  const hasCurl = spawnSync("curl", ["--version"]).status === 0;

  it.skipIf(!hasCurl && process.env.CI === undefined)(
    "writes events as they come, and problems",
    {
      timeout: limitMs(60_000),
    },
    async () => {
      await withCluster({}, async (cluster) => {
        const { address, clientPort } = cluster.members[0];
        const client = await Client.connectTo(address, 5_000);
        const base = `http://127.0.0.1:${clientPort}/v1/keyspaces`;
        const curl = spawn("curl", ["-sSN", "--max-time", "50", `${base}/default/watch?prefix=user:&snapshot&values`]);
        let text = "";
        curl.stdout.on("data", (chunk: Buffer) => {
          text += chunk.toString("utf8");
        });
        await client.demand(["SET", "user:1", "Ada"]);
        await until("the snapshot", WAIT_MS_MAX, () => text.includes("snapshot-end"));
        await client.demand(["SET", "user:2", "Grüße"]);
        await until("the change", WAIT_MS_MAX, () => text.includes("user:2"));
        expect(text).toMatch(/^retry: 1000\n\nid: snapshot\nevent: snapshot-begin\ndata: \{\}\n\n/);
        expect(text).toMatch(
          /\nid: 4757[0-9a-f]+\nevent: put\ndata: \{"key":"user:2","version":\d+,"value":"Grüße"\}\n\n$/,
        );
        curl.kill();
        await client.demand(["GAMUT", "KEYSPACE", "CREATE", "feed", "PROTOCOL", "gossip"]);
        await until("the keyspace is there", WAIT_MS_MAX, () =>
          client.demand(["SELECT", "feed"]).then(
            () => true,
            () => null,
          ),
        );
        const gossip = spawn("curl", ["-sSN", "--max-time", "50", `${base}/feed/watch?values&level=eventual`]);
        let told = "";
        gossip.stdout.on("data", (chunk: Buffer) => {
          told += chunk.toString("utf8");
        });
        // What it hears first shows that it has begun.
        await until("the gossip is told", WAIT_MS_MAX, async () => {
          await client.demand(["SET", "rumour", "heard"]);
          return told.includes("rumour");
        });
        expect(told).toMatch(
          /\nid: 4757[0-9a-f]+\nevent: put\ndata: \{"key":"rumour","version":\d+,"value":"heard"\}\n\n/,
        );
        gossip.kill();
        client.close();
      });
    },
  );
});
