/** Watchers of gossip that move to a node which has heard of a write only that it has expired. */
import { expect, test } from "vitest";
import { put, quietWorld, watching } from "./testing/origin-world.js";

/** k is old at 1 and 2, and 3 alone writes what expires before anybody hears of it. */
function expiryAt3(limits: Parameters<typeof quietWorld>[0] = {}) {
  const world = quietWorld(limits);
  const listener = watching(world, 1);
  world.ask(3, put("k", "old"));
  world.run(60);
  expect(listener.folded.get("k")).toMatch(/ old$/);
  for (const [a, b] of [
    [3, 1],
    [3, 2],
    [1, 2],
  ] as const) {
    world.link(a, b, false);
  }
  world.ask(3, put("k", "brief", 200));
  world.run(60);
  world.link(3, 2, true);
  world.run(100);
  expect([world.state(1).has("k"), world.state(2).has("k")]).toEqual([true, false]);
  return { world, listener };
}

test("it is told of that", () => {
  const { world, listener } = expiryAt3();
  const { position } = listener;
  listener.handle!.close();
  expect(world.watch(2, listener, { from: position })).toBeNull();
  world.run(50);
  expect(listener.folded.has("k")).toBe(false);
});

test("or has to begin anew, when that is forgotten", () => {
  const { world, listener } = expiryAt3({ changesMax: 4 });
  for (const key of ["a", "b", "c", "d"]) world.ask(2, put(key, "1"));
  world.run(5);
  const { position } = listener;
  listener.handle!.close();
  expect(world.watch(2, listener, { from: position })?.code).toBe("compacted");
});

test("and is told again, if it leaves before it was", () => {
  const world = quietWorld();
  const listener = watching(world, 1);
  world.link(1, 2, false);
  world.link(3, 2, false);
  world.ask(2, put("k", "old"));
  world.ask(2, put("x", "1"));
  world.run(2);
  world.ask(3, put("k", "brief", 200));
  world.run(120);
  expect(listener.lines).toEqual(["put k", "expire k"]);
  listener.handle!.close();
  world.link(3, 2, true);
  world.link(3, 1, false);
  world.run(100);
  expect(world.watch(2, listener, { from: listener.position })).toBeNull();
  // One line of what node 2 has to tell, and on.
  listener.linesMax = listener.lines.length + 1;
  world.run(2);
  expect(listener.lines.at(-1)).toMatch(/^put /);
  listener.handle!.close();
  listener.linesMax = Number.POSITIVE_INFINITY;
  world.heal();
  world.run(100);
  expect(world.watch(1, listener, { from: listener.position })).toBeNull();
  world.run(200);
  expect([...listener.folded.keys()]).toEqual([...world.state(1).keys()]);
});
