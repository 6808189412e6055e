/** One watch over several nodes, which a test plays. */
import { createServer, type Server, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import type { Address } from "../codec/address.js";
import { POSITION_BYTES_MAX } from "../kv/watch.js";
import { Cluster } from "./cluster.js";
import { Feed, type FeedOptions } from "./feed.js";
import { settingsFrom } from "./options.js";

const STATUS = JSON.stringify({ node: 1, clusterId: "c", members: [] });
const BEGUN = `${bulk(STATUS)}+OK\r\n+OK\r\n`;
const FROM = "4757aa";

const open: { close(): unknown }[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each.close();
});

function bulk(text: string): string {
  return `$${text.length}\r\n${text}\r\n`;
}

/** A node that answers each connection with a text, and counts them. */
interface Played {
  readonly address: Address;
  asked: number;
}

/** `answer`: to the how manieth connection. `at`: an address at which nobody listens yet. */
async function play(answer: (asked: number) => string, at?: Address): Promise<Played> {
  const server = createServer((socket: Socket) => {
    socket.on("error", () => {});
    open.push({ close: () => socket.destroy() });
    socket.once("data", () => {
      played.asked += 1;
      socket.write(answer(played.asked));
    });
  });
  const played = { address: await listening(server, at?.port ?? 0), asked: 0 };
  open.push(server);
  return played;
}

async function listening(server: Server, port: number): Promise<Address> {
  await new Promise<void>((done) => server.listen(port, "127.0.0.1", done));
  return { host: "127.0.0.1", port: (server.address() as { port: number }).port };
}

/** A node that is away. */
async function nobody(): Promise<Address> {
  const server = createServer();
  const address = await listening(server, 0);
  await new Promise((done) => server.close(done));
  return address;
}

function compacted(oldest = "4757"): string {
  const why = `what has changed since that position is not kept any more; the oldest position here is ${oldest}. Begin anew`;
  return `${BEGUN}-ERR compacted: ${why}\r\n`;
}

function feedOf(addresses: readonly Address[], options: Partial<FeedOptions> = {}): Feed {
  const cluster = new Cluster(addresses, settingsFrom({ backoffMs: 10, backoffMsMax: 20 }));
  const asked = { keyspace: "default", keys: null, prefix: "", from: FROM, snapshot: false, values: true };
  const how = { level: "sequential", token: "", skips: false, timeoutMs: 60_000 };
  const feed = new Feed(cluster, { ...asked, ...how, ...options }, () => {});
  open.push(feed);
  return feed;
}

test("a node that is away for a moment may keep what another has forgotten", async () => {
  const away = await nobody();
  const put = `*6\r\n${["watch", "put", "k"].map(bulk).join("")}:7\r\n${bulk("4757ab")}$-1\r\n`;
  const forgetful = await play((asked) => {
    // It is back once all have been asked, and one of them for a second time.
    if (asked === 2) void play(() => `${BEGUN}${bulk(FROM)}${put}`, away);
    return compacted();
  });
  const feed = feedOf([forgetful.address, away, await nobody()]);
  expect(await feed.next()).toMatchObject({ kind: "progress", position: FROM });
  expect(await feed.next()).toMatchObject({ kind: "put", key: "k", position: "4757ab" });
});

test("what no node keeps ends it as soon as all have said so", async () => {
  const nodes = await Promise.all(["47571", "47572", "47573"].map((oldest) => play(() => compacted(oldest))));
  const feed = feedOf(nodes.map(({ address }) => address));
  const oldest = expect.stringMatching(/^4757[123]$/);
  await expect(feed.next()).rejects.toMatchObject({ code: "compacted", oldest });
  expect(nodes.map(({ asked }) => asked)).toEqual([1, 1, 1]);
});

test("when the others cannot be asked in time, what one has said holds", async () => {
  const forgetful = await play(() => compacted());
  const feed = feedOf([await nobody(), forgetful.address], { timeoutMs: 200 });
  await expect(feed.next()).rejects.toMatchObject({ code: "compacted", oldest: "4757" });
  expect(forgetful.asked).toBeGreaterThan(1);
});

test("whoever may miss something begins anew", async () => {
  const node = await play((asked) => (asked === 1 ? compacted() : `${BEGUN}${bulk("4757ff")}`));
  const feed = feedOf([node.address], { skips: true });
  expect(await feed.next()).toMatchObject({ kind: "begin", position: "4757ff" });
});

test("the longest position that there is can be told of", async () => {
  const oldest = "47".repeat(POSITION_BYTES_MAX);
  const node = await play(() => compacted(oldest));
  await expect(feedOf([node.address]).next()).rejects.toMatchObject({ code: "compacted", oldest });
});
