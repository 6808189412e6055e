import { expect, test } from "vitest";
import type { KvError } from "./errors.js";
import {
  DEFAULT_LEVELS,
  findGrant,
  GRANTS,
  grantedLevels,
  PROTOCOLS,
  protocolByName,
  renderGrants,
  unknownLevel,
} from "./grants.js";
import { LEVEL_NAMES, Level } from "./level.js";

test("raft grants linearizable and sequential", () => {
  for (const level of [Level.linearizable, Level.sequential]) {
    expect(findGrant("raft", {}, level)).toMatchObject({ protocol: "raft", level });
  }
});

test("of a level that there is not, what was found is said again, and what is granted", () => {
  expect(unknownLevel("strong", "gossip")).toBe(
    'there is no level "strong"; this keyspace (gossip) grants session and eventual',
  );
  expect(unknownLevel("\r\n", "")).toBe(
    'there is no level "\\r\\n"; raft grants linearizable and sequential; gossip grants session and eventual',
  );
  expect(unknownLevel("x".repeat(1_000), "raft").length).toBeLessThan(150);
  expect(grantedLevels()).toEqual(["linearizable", "sequential", "session", "eventual"]);
});

test("gossip grants session and eventual", () => {
  for (const level of [Level.session, Level.eventual]) {
    expect(findGrant("gossip", {}, level)).toMatchObject({ protocol: "gossip", level });
  }
  for (const protocol of PROTOCOLS)
    expect(findGrant(protocol, {}, DEFAULT_LEVELS[protocol])).toMatchObject({ protocol });
  expect([protocolByName("gossip"), protocolByName("paxos")]).toEqual(["gossip", null]);
});

test("a level that is not granted is refused with what would grant it", () => {
  const refused = (protocol: string, level: Level): KvError => findGrant(protocol, {}, level) as KvError;
  expect(refused("raft", Level.causal).code).toBe("level_unsupported");
  expect(refused("raft", Level.causal).definite).toBe(true);
  expect(refused("raft", Level.causal).message).toBe(
    "this keyspace's protocol (raft) does not grant the level causal; " +
      "ask for linearizable or sequential, which includes it",
  );
  expect(refused("raft", Level.bounded).message).toContain("ask for linearizable, which includes it");
  expect(refused("gossip", Level.linearizable).message).toContain("a keyspace of protocol raft grants it");
  expect(refused("gossip", Level.sequential).message).toContain("a keyspace of protocol raft grants it");
  expect(refused("raft", Level.session).message).toContain("a keyspace of protocol gossip grants it");
  expect(refused("gossip", Level.bounded).message).toContain("no protocol of this build does");
});

test("no row includes a level stronger than itself, and none stands twice", () => {
  const seen = new Set<string>();
  for (const grant of GRANTS) {
    for (const level of grant.includes) expect(level).toBeGreaterThan(grant.level);
    const name = `${grant.protocol} ${grant.level} ${grant.condition}`;
    expect(seen.has(name)).toBe(false);
    seen.add(name);
  }
});

test("the table as Markdown has a line for each row and as many cells as its head", () => {
  const lines = renderGrants().trimEnd().split("\n");
  expect(lines).toHaveLength(2 + GRANTS.length);
  for (const line of lines) expect(line.split("|")).toHaveLength(lines[0].split("|").length);
  for (const [i, grant] of GRANTS.entries()) {
    expect(lines[2 + i]).toContain(`| ${grant.protocol} | ${LEVEL_NAMES[grant.level]} |`);
  }
});
