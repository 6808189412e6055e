import { beforeEach, describe, expect, test } from "vitest";
import { MapState } from "../../core/map-state.js";
import { readSectionHeader } from "../../kv/batch.js";
import { Store } from "../../kv/store.js";
import { CLIENT, describeSections, QueueBench } from "./testing/queue-bench.js";
import type { PendingSection } from "./write-queue.js";

let bench: QueueBench;

beforeEach(() => {
  bench = new QueueBench();
});

describe("sections", () => {
  test("what collected in a turn leaves together, with consecutive sequences", () => {
    bench.add("a");
    bench.add("b");
    expect(describeSections(bench.send())).toEqual(["session 1 1+2"]);
    bench.add("c");
    expect(describeSections(bench.send())).toEqual(["session 1 3+1"]);
    expect(bench.queue.hasUnsent).toBe(false);
  });

  test("a request with an id of its own travels alone, between the others in their order", () => {
    bench.add("a");
    bench.add("b", 1);
    bench.add("c", 2);
    bench.add("d");
    expect(describeSections(bench.send())).toEqual([
      "session 1 1+1",
      `${CLIENT} 1+1`,
      `${CLIENT} 2+1`,
      "session 1 2+1",
    ]);
  });

  test("a section ends at the size of an entry", () => {
    bench = new QueueBench({ maxEntryBytes: 100 });
    for (let i = 0; i < 30; i += 1) bench.add(`${i}`);
    const sections = bench.send();
    expect(sections.length).toBeGreaterThan(1);
    expect(sections.reduce((sum, { requests }) => sum + requests.length, 0)).toBe(30);
    for (const { bytes } of sections) expect(bytes.length).toBeLessThan(150);
    bench.apply(...sections);
    expect(bench.answers).toEqual(Array.from({ length: 30 }, (_, i) => `${i} ${i + 1} at 1`));
  });

  test("what is acknowledged is told to the session table", () => {
    bench.add("a");
    const [first] = bench.send();
    bench.apply(first);
    bench.add("b");
    const [second] = bench.send();
    bench.add("c");
    const [third] = bench.send();
    const acknowledged = [first, second, third].map(({ bytes }) => readSectionHeader(bytes, 0).acknowledgedThrough);
    expect(acknowledged).toEqual([0, 1, 1]);
  });
});

describe("answers", () => {
  test("come when the section is applied, in order, with its position", () => {
    bench.add("a");
    bench.add("b");
    const sections = bench.send();
    expect(bench.answers).toEqual([]);
    bench.apply(...sections);
    expect(bench.answers).toEqual(["a 1 at 1", "b 2 at 1"]);
    expect([bench.queue.size, bench.queue.byteLength]).toEqual([0, 0]);
  });

  test("come once, though the section is in the log twice", () => {
    bench.add("a");
    const sections = bench.send();
    bench.apply(...sections);
    bench.apply(...sections);
    expect(bench.answers).toEqual(["a 1 at 1"]);
    expect(bench.store.lastSequence(sections[0].client)).toBe(1);
  });

  test("to a retry of what was applied before come from the session table", () => {
    bench.add("a", 1);
    bench.apply(...bench.send());
    bench.add("again", 1);
    expect(bench.send()).toEqual([]);
    expect(bench.answers).toEqual(["a 1 at 1", "again 1 at 1"]);
  });

  test("to a retry of what waits here come with the first's", () => {
    bench.add("a", 1);
    const sections = bench.send();
    bench.add("again", 1);
    bench.send();
    bench.apply(...sections);
    expect(bench.answers).toEqual(["a 1 at 1", "again 1 at 1"]);
    expect([bench.queue.size, bench.queue.byteLength]).toEqual([0, 0]);
  });

  test("to a retry whose result is not kept any more are not definite", () => {
    bench.add("a", 1);
    bench.apply(...bench.send());
    const later = bench.add("b", 2);
    later.id = { client: CLIENT, sequence: 2, acknowledgedThrough: 1, openedMs: 0 };
    bench.apply(...bench.send());
    bench.add("again", 1);
    bench.send();
    expect(bench.answers.at(-1)).toBe("again session_expired");
  });
});

describe("deadlines", () => {
  test("before it was sent: definite, and it never leaves", () => {
    bench.add("a").deadlineMs = 50;
    bench.add("b");
    bench.tick(49);
    expect(bench.answers).toEqual([]);
    bench.tick(50, "recovering");
    expect(bench.answers).toEqual(["a recovering"]);
    const sections = bench.send();
    bench.apply(...sections);
    expect(bench.answers).toEqual(["a recovering", "b 1 at 1"]);
  });

  test("after it was sent: unknown; the section stays, for later sequences build on it", () => {
    bench.add("a").deadlineMs = 50;
    bench.add("b").deadlineMs = 70;
    const sections = bench.send();
    bench.tick(50);
    expect(bench.answers).toEqual(["a unknown"]);
    bench.queue.resendAll();
    expect(describeSections(bench.send())).toEqual(["session 1 1+2"]);
    bench.apply(...sections);
    expect(bench.answers).toEqual(["a unknown", "b 2 at 1"]);
    expect([bench.queue.size, bench.queue.byteLength]).toEqual([0, 0]);
  });
});

describe("cancelled requests", () => {
  test("are not encoded", () => {
    bench.add("a").cancelled = true;
    bench.add("b");
    const sections = bench.send();
    expect(describeSections(sections)).toEqual(["session 1 1+1"]);
    bench.apply(...sections);
    expect(bench.answers.at(-1)).toBe("b 1 at 1");
    expect(bench.queue.size).toBe(0);
  });

  test("with an id of their own do not lend it to the next", () => {
    bench.add("a", 1, "client-0000000-A").cancelled = true;
    bench.add("b", 5, "client-0000000-B");
    expect(describeSections(bench.send())).toEqual(["client-0000000-B 5+1"]);
  });

  test("that were sent may still take effect", () => {
    const request = bench.add("a");
    const sections = bench.send();
    request.cancelled = true;
    bench.apply(...sections);
    expect(bench.store.lastSequence(sections[0].client)).toBe(1);
    expect(bench.queue.size).toBe(0);
  });
});

describe("sending again", () => {
  test("silence asks for it, and a section that was sent is young again", () => {
    bench.add("a");
    bench.send();
    expect([bench.tick(1), bench.tick(2), bench.tick(3)]).toEqual([false, false, true]);
    bench.queue.resendAll();
    expect(describeSections(bench.send())).toEqual(["session 1 1+1"]);
    expect([bench.tick(4), bench.tick(5), bench.tick(6)]).toEqual([false, false, true]);
  });

  test("goes in order, before what is new", () => {
    for (const name of ["a", "b", "c"]) {
      bench.add(name);
      bench.send();
    }
    bench.queue.resendAll();
    bench.add("d");
    expect(describeSections(bench.send())).toEqual([
      "session 1 1+1",
      "session 1 2+1",
      "session 1 3+1",
      "session 1 4+1",
    ]);
  });

  test("begins where the leader says", () => {
    const sections: PendingSection[] = [];
    for (const name of ["a", "b", "c"]) {
      bench.add(name);
      sections.push(...bench.send());
    }
    bench.queue.refused(sections[0].client, 2);
    bench.queue.refused(sections[0].client, 2);
    expect(describeSections(bench.send())).toEqual(["session 1 2+1", "session 1 3+1"]);
  });
});

describe("a session that is gone", () => {
  test("leaves what was sent unknown, and another begins", () => {
    bench.add("a");
    const [first] = bench.send();
    bench.apply(first);
    bench.add("b");
    bench.send();
    bench.store = new Store(new MapState()); // as after an eviction: the leader knows nothing of the session
    bench.queue.refused(first.client, 1);
    expect(bench.answers).toEqual(["a 1 at 1", "b unknown"]);
    expect([bench.queue.size, bench.queue.byteLength, bench.queue.hasUnsent]).toEqual([0, 0, false]);
    bench.add("c");
    expect(describeSections(bench.send())).toEqual(["session 2 1+1"]);
  });

  test("is noticed when a section of it is applied", () => {
    bench.add("a");
    bench.apply(...bench.send());
    bench.add("b");
    const sections = bench.send();
    bench.store = new Store(new MapState());
    bench.apply(...sections);
    expect(bench.answers).toEqual(["a 1 at 1", "b session_expired"]);
    bench.add("c");
    expect(describeSections(bench.send())).toEqual(["session 2 1+1"]);
  });

  test("of a client's own: not definite", () => {
    bench.add("a", 4);
    bench.send();
    bench.queue.refused(CLIENT, 1);
    expect(bench.answers).toEqual(["a session_expired"]);
    expect([bench.queue.size, bench.queue.byteLength]).toEqual([0, 0]);
  });

  test("with a retry behind later sequences: all are sent again, and the retry fills the gap", () => {
    bench.add("second", 2);
    bench.send();
    bench.add("first", 1);
    bench.add("second again", 2);
    bench.send();
    bench.queue.refused(CLIENT, 1);
    expect(bench.answers).toEqual([]);
    const [, first, second] = bench.send();
    bench.apply(first);
    bench.apply(second);
    expect(bench.answers).toEqual(["first 1 at 1", "second 2 at 2", "second again 2 at 2"]);
    expect([bench.queue.size, bench.queue.byteLength]).toEqual([0, 0]);
  });

  test("is not what a late refusal tells", () => {
    bench.add("a");
    const [first] = bench.send();
    bench.apply(first);
    bench.add("b");
    const [second] = bench.send();
    bench.queue.refused(first.client, 1); // sent before `a` was appended
    bench.apply(second);
    expect(bench.answers).toEqual(["a 1 at 1", "b 2 at 2"]);
  });
});

test("a snapshot takes the state's place: what it holds was applied, with results known or not", () => {
  bench.add("a");
  bench.add("with an id", 1);
  bench.add("b");
  const sections = bench.send();
  const other = new QueueBench();
  other.apply(sections[0], sections[1]);
  bench.store = other.store;
  bench.queue.stateReplaced(other.store, 9);
  expect(bench.answers).toEqual(["a unknown", "with an id 2 at 9"]);
  expect(describeSections(bench.send())).toEqual([]);
  bench.queue.resendAll();
  expect(describeSections(bench.send())).toEqual(["session 1 2+1"]);
  bench.apply(sections[2]);
  expect(bench.answers.at(-1)).toBe("b 3 at 1");
  expect([bench.queue.size, bench.queue.byteLength]).toEqual([0, 0]);
});

test("a snapshot answers a retry, too, that stands behind later sequences", () => {
  bench.add("first", 1);
  bench.add("second", 2);
  const [first, second] = bench.send();
  bench.add("first again", 1);
  bench.send();
  const other = new QueueBench();
  other.apply(first);
  bench.store = other.store;
  bench.queue.stateReplaced(other.store, 9);
  expect(bench.answers).toEqual(["first 1 at 9", "first again 1 at 9"]);
  bench.apply(second);
  expect([bench.queue.size, bench.queue.byteLength]).toEqual([0, 0]);
});

test("refusing answers what nobody else has heard of, definitely", () => {
  bench.add("a");
  bench.send();
  bench.add("b");
  bench.queue.refuseQueued("disk_full");
  expect(bench.answers).toEqual(["b disk_full"]);
});

test("abandoning answers everything: what was sent is unknown", () => {
  bench.add("a");
  bench.add("b", 1);
  bench.send();
  bench.add("c");
  bench.queue.abandon("keyspace_gone");
  expect(bench.answers).toEqual(["c keyspace_gone", "a unknown", "b unknown"]);
  expect([bench.queue.size, bench.queue.byteLength, bench.queue.hasUnsent]).toEqual([0, 0, false]);
});
