import { afterEach, describe, expect, it } from "vitest";
import "./fast-bytes.js";
import { Rivals } from "./net-rivals.js";
import { LOOPBACK, NetWorld, nowhere, until } from "./testing/net-world.js";

const world = new NetWorld();
afterEach(() => world.close());

describe("Rivals", () => {
  /** Two lives that each come back 100 ms after they lost their place or were refused. */
  function fight(rivals: Rivals, fromMs: number, forMs: number): { turnsMs: number[]; toldMs: number[] } {
    const turnsMs: number[] = [];
    const toldMs: number[] = [];
    let current = 1;
    for (let nowMs = fromMs; nowMs < fromMs + forMs; nowMs += 100) {
      const { accepted, told } = rivals.judge(current, 3 - current, nowMs);
      if (told) toldMs.push(nowMs);
      if (!accepted) continue;
      current = 3 - current;
      turnsMs.push(nowMs);
    }
    return { turnsMs, toldMs };
  }

  it("takes a life that was never seen at once, however often", () => {
    const rivals = new Rivals();
    for (let boot = 1; boot < 100; boot += 1) {
      expect(rivals.judge(boot, boot + 1, boot)).toEqual({ accepted: true, told: false });
    }
  });

  it("lets two that fight take turns that grow to a minute, and tells it once a minute", () => {
    const { turnsMs, toldMs } = fight(new Rivals(), 1_000_000, 600_000);
    const lengths = turnsMs.slice(1).map((ms, i) => ms - turnsMs[i]);
    expect(lengths.slice(0, 10)).toEqual([100, 100, 100, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000]);
    expect(Math.max(...lengths)).toBe(60_000);
    expect(toldMs).toEqual(Array.from({ length: 10 }, (_, minute) => 1_000_300 + minute * 60_000));
  });

  it("takes a restart at once in the middle of a fight", () => {
    const rivals = new Rivals();
    fight(rivals, 0, 20_000);
    expect(rivals.judge(1, 2, 20_000).accepted).toBe(false);
    expect(rivals.judge(1, 3, 20_000)).toEqual({ accepted: true, told: false });
  });

  it("forgets a fight that is over, and does not take rare comebacks for one", () => {
    const rivals = new Rivals();
    fight(rivals, 0, 60_000);
    expect(fight(rivals, 100_000, 300).turnsMs).toHaveLength(3);
    const rare = new Rivals();
    for (let nowMs = 0; nowMs < 1_000_000; nowMs += 6_000) {
      expect(rare.judge(1 + ((nowMs / 6_000) % 2), 2 - ((nowMs / 6_000) % 2), nowMs).told).toBe(false);
    }
  });
});

describe("TcpNet", () => {
  it("keeps one of two processes that claim the same number, says so once, and takes the other when it ends", async () => {
    const judge = await world.startNode(1);
    judge.net.setPeers([nowhere(2)]);
    const rivals = [await world.startNode(2, { incarnation: 200 }), await world.startNode(2, { incarnation: 201 })];
    for (const rival of rivals) rival.net.setPeers([{ node: 1, host: LOOPBACK, port: judge.port }]);
    await until("told", () => judge.logged("two processes claim to be node 2: 127.0.0.1:") === 1);
    const before = judge.net.counters.connects;
    await until("refused", () => rivals.some((each) => each.logged("another process is connected as node 2") === 1));
    await new Promise((done) => setTimeout(done, 800));
    expect(judge.net.counters.connects - before).toBeLessThanOrEqual(2);
    expect(judge.logged("two processes claim")).toBe(1);
    expect(judge.logged("closed a connection to the peer port")).toBe(0);
    const connected = rivals.find((each) => each.recorder.connected.has(1))!;
    const other = rivals.find((each) => each !== connected)!;
    await connected.close();
    await until("the other is taken", () => other.recorder.connected.has(1));
    other.send(1, "alone");
    await until("its frame", () => judge.texts().includes("alone"));
  });
});
