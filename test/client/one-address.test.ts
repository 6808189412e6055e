/** A client that was told of one node, which dies and does not come back. */
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { Client as RespClient } from "../../src/cli/client.js";
import { connect, type Entry, type Gamut, ok, text } from "../../src/client/index.js";
import { Cluster } from "../processes/cluster.js";
import type { Member } from "../processes/member.js";
import { until, within } from "../processes/wait.js";

const WAIT_MS_MAX = 30_000;

let cluster: Cluster;
const toClose: Gamut<string>[] = [];

beforeAll(async () => {
  cluster = await Cluster.start();
}, 60_000);
afterAll(() => cluster.close());
afterEach(async () => {
  for (const each of toClose.splice(0)) each.close();
  for (const member of cluster.members) if (!member.isRunning) member.start();
  await cluster.ready();
}, 60_000);

function clientOf(member: Member): Gamut<string> {
  const gamut = connect(`127.0.0.1:${member.clientPort}`, { values: text, timeoutMs: 20_000 });
  toClose.push(gamut);
  return gamut;
}

async function valuesOf(watch: AsyncIterator<Entry<string>[], undefined>): Promise<unknown> {
  const { value } = await within("the watch shows something", WAIT_MS_MAX, watch.next());
  return value?.map((entry) => entry.value);
}

it.each(["leader", "follower"])("goes on with the others: calls, a watch and changes, at the %s", async (role) => {
  const leader = await cluster.leader();
  const victim = role === "leader" ? leader : cluster.others(leader)[0];
  const gamut = clientOf(victim);
  const watch = gamut.watch([role]);
  const changes = gamut.changes({ prefix: role });
  await changes.begin();
  ok(await gamut.set(role, "before"));
  expect(ok(await gamut.sum(`${role}:n`, 1)).value).toBe(1n);
  await until("it is shown", WAIT_MS_MAX, async () => (await valuesOf(watch))?.toString() === "before");

  await victim.kill();
  const [read, written, counted] = await Promise.all([
    gamut.get(role),
    gamut.set(role, "after"),
    gamut.sum(`${role}:n`, 1),
  ]);
  expect(["before", "after"]).toContain(ok(read).value);
  ok(written);
  expect(ok(counted).value).toBe(2n);
  expect(await gamut.get(role)).toMatchObject({ value: "after" });
  await until("it is shown", WAIT_MS_MAX, async () => (await valuesOf(watch))?.toString() === "after");
  const told: string[] = [];
  while (told.filter((key) => key === role).length < 2) {
    const { value: change } = await within("changes go on", WAIT_MS_MAX, changes.next());
    if (change !== undefined && "key" in change) told.push(change.key);
  }
});

it("a keyspace of gossip goes on at another node, although its own was no leader", async () => {
  const leader = await cluster.leader();
  const victim = cluster.others(leader)[0];
  const raw = await RespClient.connectTo(leader.address, 10_000);
  await raw.demand(["GAMUT", "KEYSPACE", "CREATE", "rumours", "PROTOCOL", "gossip"]);
  raw.close();
  // Of another keyspace, which has a leader, this client has never heard.
  const rumours = clientOf(victim).keyspace("rumours");
  await until("the keyspace is there", WAIT_MS_MAX, async () => (await rumours.set("a", "1")).kind === "ok");
  // What its session has seen must be elsewhere, or nobody may serve it.
  const others = cluster.others(victim).map((member) => clientOf(member).keyspace("rumours"));
  for (const other of others) {
    await until("all have heard of it", WAIT_MS_MAX, async () => ok(await other.get("a")).value === "1");
  }
  await victim.kill();
  // One that is sent before the client has noticed is unknown; later ones go elsewhere.
  expect((await rumours.set("b", "1")).kind).not.toBe("error");
  expect(await rumours.set("c", "1")).toMatchObject({ kind: "ok" });
  expect(await rumours.get("c", { level: "eventual" })).toMatchObject({ value: "1" });
});
