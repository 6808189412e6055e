/** The HTTP wire of real nodes: any of them, one after the other, dying and stopping. */
import { readFileSync } from "node:fs";
import { Agent } from "node:http";
import { join } from "node:path";
import { expect, it } from "vitest";
import { HttpClient, send } from "../../src/server/testing/http-client.js";
import { Replay } from "../../src/sim/replay.js";
import { type Cluster, withCluster } from "./cluster.js";
import { limitMs } from "./soak.js";
import { until } from "./wait.js";

const KEYS = "/v1/keyspaces/default/keys";

function clients(cluster: Cluster): Promise<HttpClient[]> {
  return Promise.all(cluster.members.map(({ clientPort }) => HttpClient.connect(clientPort)));
}

it("any node takes any request, and a token carries a session from one to the other", {
  timeout: limitMs(60_000),
}, async () => {
  const flags = (node: number, folder: string) => (node === 1 ? ["--record", join(folder, "recording")] : []);
  await withCluster({ flags }, async (cluster) => {
    const nodes = await clients(cluster);
    let token = "";
    for (let i = 0; i < 60; i += 1) {
      const put = await nodes[i % 3].send("PUT", `${KEYS}/x`, { body: `${i}` });
      token = put.headers["gamut-token"] as string;
      expect([put.status, token.length > 0]).toEqual([204, true]);
      // A local read of a node that may not have heard of the write yet: it waits for what the token has seen.
      const get = await nodes[(i + 1) % 3].send("GET", `${KEYS}/x?level=sequential&explain`, {
        headers: { "Gamut-Token": token },
      });
      expect([get.text, get.headers.etag]).toEqual([`${i}`, put.headers.etag]);
      expect(get.headers["gamut-receipt"]).toContain("evidence=local");
      expect((await nodes[(i + 2) % 3].send("GET", `${KEYS}/x`)).text).toBe(`${i}`);
    }
    const increments = nodes.flatMap((node) =>
      Array.from({ length: 50 }, () => node.send("POST", `${KEYS}/n/increment`)),
    );
    const values = (await Promise.all(increments)).map(({ text }) => Number(text));
    expect(values.sort((a, b) => a - b)).toEqual(values.map((_, i) => i + 1));
    const unsupported = await nodes[0].send("GET", `${KEYS}/x?level=eventual`);
    expect(unsupported.json).toMatchObject({ status: 400, code: "level_unsupported" });
    await keyspaces(nodes);
    await metrics(cluster, nodes);
    // A session a request: a recording knows them all.
    await cluster.member(1).stop();
    const report = new Replay(readFileSync(join(cluster.folder, "recording", "recording.grec"))).run();
    expect(report.divergence).toBeNull();
    expect(report.outputs).toBeGreaterThan(300);
  });
});

async function keyspaces(nodes: readonly HttpClient[]): Promise<void> {
  expect((await nodes[0].send("PUT", "/v1/keyspaces/w")).status).toBe(201);
  expect((await nodes[1].send("PUT", "/v1/keyspaces/w/keys/a", { body: "v" })).status).toBe(204);
  // U+0177 cut to a byte is w.
  expect((await nodes[1].send("DELETE", "/v1/keyspaces/%C5%B7")).json).toMatchObject({ code: "keyspace_unknown" });
  expect((await nodes[2].send("GET", "/v1/keyspaces/w/keys")).json.keys).toMatchObject([{ key: "a" }]);
  expect((await nodes[2].send("PUT", "/v1/keyspaces/w")).json).toMatchObject({ status: 409 });
  expect((await nodes[2].send("DELETE", "/v1/keyspaces/w")).status).toBe(204);
  await until("the other nodes have heard of it", 10_000, async () => {
    return (await nodes[0].send("GET", "/v1/keyspaces/w/keys/a")).status === 404;
  });
  expect((await nodes[0].send("DELETE", "/v1/keyspaces/default")).json).toMatchObject({ code: "bad_request" });
}

async function metrics(cluster: Cluster, nodes: readonly HttpClient[]): Promise<void> {
  const leader = await cluster.leader();
  for (const [i, node] of nodes.entries()) {
    const { text } = await node.send("GET", "/metrics");
    const value = (name: string) => Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1]);
    expect(value('gamut_raft_leader\\{keyspace="default"\\}')).toBe(leader.node);
    const isLeader = i + 1 === leader.node ? 1 : 0;
    expect(value('gamut_raft_role\\{keyspace="default",role="leader"\\}')).toBe(isLeader);
    expect(value('gamut_raft_term\\{keyspace="default"\\}')).toBeGreaterThan(0);
    expect(value('gamut_raft_applied_position\\{keyspace="default"\\}')).toBeGreaterThan(60);
    expect(value('gamut_requests_total\\{wire="http",command="increment",outcome="ok"\\}')).toBe(50);
    expect(value('gamut_peer_connected\\{peer="\\d"\\}')).toBe(1);
  }
}

it("without a majority a node lives and is not ready; a stop answers what is under way", {
  timeout: limitMs(90_000),
}, async () => {
  await withCluster({ settings: { limits: { requestTimeoutMs: 1_500 } } }, async (cluster) => {
    const [first, ...others] = cluster.members;
    const http = await HttpClient.connect(first.clientPort);
    expect((await http.send("PUT", `${KEYS}/x`, { body: "v" })).status).toBe(204);
    await until("ready", 10_000, async () => (await http.send("GET", "/readyz")).status === 200);
    await Promise.all(others.map((member) => member.kill()));
    // Nobody knows what became of a write whose leader is gone; nothing is claimed that is not known.
    const put = await http.send("PUT", `${KEYS}/x`, { body: "w" });
    expect([503, 504]).toContain(put.status);
    expect(put.json.definite).toBe(put.status === 503);
    await until("not ready", 10_000, async () => (await http.send("GET", "/readyz")).status === 503);
    expect((await http.send("GET", "/readyz")).json.reasons).toEqual(["default: no leader is known"]);
    expect((await http.send("GET", "/healthz")).status).toBe(200);
    for (const member of others) member.start();
    await cluster.ready();
    await until("ready again", 10_000, async () => (await http.send("GET", "/readyz")).status === 200);

    const agent = new Agent({ keepAlive: true, maxSockets: 8 });
    const answers: number[] = [];
    let ended = 0;
    const writers = Array.from({ length: 8 }, async (_, i) => {
      for (;;) {
        try {
          answers.push((await send(first.clientPort, "PUT", `${KEYS}/w${i}`, { body: "v", agent })).status);
        } catch {
          // No more connections are taken, or a request met one that had just been closed.
          ended += 1;
          return;
        }
      }
    });
    await until("they write", 10_000, () => answers.length > 100);
    await first.stop();
    await Promise.all(writers);
    expect([first.exitCode, ended]).toEqual([0, 8]);
    expect(new Set(answers)).toEqual(new Set([204]));
    agent.destroy();
  });
});
