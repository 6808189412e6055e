import { expect, it } from "vitest";
import type { BackendStatus, KeyspaceStatus } from "../kv/backend.js";
import { type Asked, clusterViews } from "./cluster-view.js";

const address = (node: number): string => `127.0.0.1:${7000 + node}`;

function keyspace(changes: Partial<KeyspaceStatus>): KeyspaceStatus {
  return {
    name: "default",
    protocol: "raft",
    defaultLevel: "linearizable",
    group: 2,
    role: "follower",
    leader: 1,
    epoch: 1,
    lastPosition: 5,
    commitPosition: 5,
    appliedPosition: 5,
    checkpointPosition: 0,
    keys: null,
    progress: [],
    recovering: false,
    replicas: [1, 2, 3],
    ...changes,
  };
}

function answer(node: number, clusterId: string, keyspaces: readonly KeyspaceStatus[]): Asked {
  const members = [1, 2, 3].map((each) => ({
    node: each,
    peerAddress: `127.0.0.1:${8000 + each}`,
    clientAddress: address(each),
    connected: true,
  }));
  const status: BackendStatus = { node, clusterId, version: "1.2.3", members, keyspaces };
  return { address: address(node), status, processId: 1000 + node, problem: "" };
}

it("nodes that have lost their data stand beside those that have them", () => {
  const views = clusterViews([
    answer(1, "", []),
    answer(2, "abc", [keyspace({ recovering: true, role: "recovering" })]),
    answer(3, "abc", [keyspace({ role: "preCandidate", leader: 0 })]),
  ]);
  expect(views.map(({ clusterId }) => clusterId)).toEqual(["abc"]);
  expect(views[0].nodes.map(({ node, role, hasData, problem }) => [node, role, hasData, problem])).toEqual([
    [1, "", false, ""],
    [2, "recovering", false, ""],
    [3, "follower", true, ""],
  ]);
  expect(views[0].keyspaces[0].leader).toBe(0);
});

it("a cluster that is not founded yet has lost nothing", () => {
  const [view, ...more] = clusterViews([answer(1, "", []), answer(2, "", [])]);
  expect([view.clusterId, more]).toEqual(["", []]);
  expect(view.nodes.map(({ node, hasData, problem }) => [node, hasData, problem])).toEqual([
    [1, true, ""],
    [2, true, ""],
    [3, true, "another node answers there"],
  ]);
});

it("clusters of different names stay apart, although their members are called the same", () => {
  const views = clusterViews([answer(1, "abc", [keyspace({})]), answer(2, "xyz", [keyspace({})])]);
  expect(views.map(({ clusterId }) => clusterId)).toEqual(["abc", "xyz"]);
});

it("tells which node leads, and what, where not one leads all", () => {
  const leads = (names: string[], all: string[]): KeyspaceStatus[] =>
    all.map((name) => keyspace({ name, role: names.includes(name) ? "leader" : "follower" }));
  const all = ["a", "b", "c", "d", "e"];
  const roles = (first: string[], second: string[]): string[] =>
    clusterViews([answer(1, "abc", leads(first, all)), answer(2, "abc", leads(second, all))])[0].nodes.map(
      ({ role }) => role,
    );
  expect(roles(all, [])).toEqual(["leader", "follower", ""]);
  // A keyspace of gossip has nobody to lead it.
  const carts = keyspace({ name: "carts", protocol: "gossip", role: "replica", leader: 0, counters: { missing: 3 } });
  const [view] = clusterViews([answer(1, "abc", [...leads(["a"], ["a"]), carts])]);
  expect([view.nodes[0].role, view.keyspaces[1].replicas[0]]).toEqual([
    "leader",
    { node: 1, role: "replica", appliedPosition: 5, counters: { missing: 3 } },
  ]);
  expect(roles(["a", "b", "c", "d"], ["e"])).toEqual(["leader of 4 of 5 keyspaces", "leader of e", ""]);
});
