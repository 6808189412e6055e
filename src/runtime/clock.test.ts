import { connect, createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { RuntimeClock } from "./clock.js";
import { RuntimeEntropy } from "./entropy.js";
import { EventLoopWatch } from "./event-loop.js";

let clock: RuntimeClock | null = null;
afterEach(() => clock?.stop());

function blockFor(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

describe("RuntimeClock", () => {
  it("makes one turn of many wakes, and never from within the call", async () => {
    let turns = 0;
    clock = new RuntimeClock();
    clock.start(() => {
      turns += 1;
    }, 10_000);
    for (let i = 0; i < 100; i += 1) clock.wake();
    expect(turns).toBe(0);
    await sleep(20);
    expect(turns).toBe(1);
  });

  it("makes another turn for a wake inside a turn", async () => {
    let turns = 0;
    clock = new RuntimeClock();
    const running = clock;
    running.start(() => {
      turns += 1;
      if (turns < 5) running.wake();
    }, 10_000);
    await sleep(30);
    expect(turns).toBe(5);
  });

  it("turns by itself at least every tickMs", async () => {
    let turns = 0;
    clock = new RuntimeClock();
    clock.start(() => {
      turns += 1;
    }, 5);
    await sleep(200);
    expect(turns).toBeGreaterThan(10);
  });

  it("makes a turn within the time that was asked for, the shortest of several", async () => {
    const turns: number[] = [];
    clock = new RuntimeClock();
    clock.start(() => turns.push(performance.now()), 100_000);
    while (turns.length < 1) await sleep(1);
    const asked = performance.now();
    for (const withinMs of [50_000, 300, 60_000]) clock.wake(withinMs);
    clock.wake();
    while (turns.length < 2) await sleep(1);
    while (turns.length < 3) await sleep(1);
    expect(turns[2] - asked, "a turn meanwhile has not cancelled it").toBeGreaterThan(295);
    expect(turns[2] - asked).toBeLessThan(20_000);
  });

  it("makes no turn after stop, not even one that was asked for", async () => {
    let turns = 0;
    clock = new RuntimeClock();
    clock.start(() => {
      turns += 1;
    }, 5);
    clock.wake();
    clock.wake(10);
    clock.stop();
    clock.wake();
    clock.wake(1);
    await sleep(30);
    expect(turns).toBe(0);
  });

  it("reads the mail before the turn when the process wakes from a pause", async () => {
    const events: string[] = [];
    let receiver: Socket | null = null;
    const server = createServer((socket) => {
      receiver = socket;
      socket.on("data", () => events.push("mail"));
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    const sender = connect((server.address() as { port: number }).port, "127.0.0.1");
    while (receiver === null) await sleep(1);

    clock = new RuntimeClock();
    clock.start(() => events.push("turn"), 20);
    await sleep(50);
    for (let round = 0; round < 5; round += 1) {
      events.length = 0;
      sender.write("x");
      blockFor(100);
      // The tick's timer is long overdue and the bytes are in the kernel: both wait for this callback to end.
      await sleep(50);
      expect(events.slice(0, 2)).toEqual(["mail", "turn"]);
    }
    sender.destroy();
    server.close();
  });

  it("tells monotonic time that grows and wall time of today", async () => {
    clock = new RuntimeClock();
    const before = clock.monotonicMs();
    await sleep(20);
    expect(clock.monotonicMs() - before).toBeGreaterThanOrEqual(19);
    expect(Math.abs(clock.wallMs() - Date.now())).toBeLessThan(1000);
  });
});

describe("RuntimeEntropy", () => {
  it("draws integers of 48 bits that fill the range and do not repeat", () => {
    const entropy = new RuntimeEntropy();
    const drawn = new Set<number>();
    let upperHalf = 0;
    for (let i = 0; i < 10_000; i += 1) {
      const value = entropy.u48();
      expect(Number.isInteger(value) && value >= 0 && value < 2 ** 48).toBe(true);
      drawn.add(value);
      if (value >= 2 ** 47) upperHalf += 1;
    }
    // 10,000 draws of 2^48 collide with probability 2e-7.
    expect(drawn.size).toBe(10_000);
    expect(upperHalf).toBeGreaterThan(4500);
    expect(upperHalf).toBeLessThan(5500);
  });
});

describe("EventLoopWatch", () => {
  it("sees a blocked loop and begins anew after each report", async () => {
    const watch = new EventLoopWatch();
    expect(watch.report().delayMsMax).toBe(0);
    watch.start();
    await sleep(50);
    blockFor(120);
    await sleep(50);
    const blocked = watch.report();
    expect(blocked.delayMsMax).toBeGreaterThan(80);
    expect(blocked.utilization).toBeGreaterThan(0.2);
    await sleep(100);
    expect(watch.report().delayMsMax).toBeLessThan(blocked.delayMsMax);
    watch.stop();
  });
});
