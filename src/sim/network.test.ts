import { describe, expect, test } from "vitest";
import { Random } from "../core/random.js";
import { CALM_NETWORK, type NetworkEndpoint, type NetworkOptions, SimNetwork } from "./network.js";
import { Scheduler } from "./scheduler.js";

class Listener implements NetworkEndpoint {
  readonly seen: string[] = [];
  readonly arrivals: { number: number; timeUs: number; incarnation: number }[] = [];

  constructor(private readonly scheduler: Scheduler) {}

  frameArrived(from: number, incarnation: number, frame: Uint8Array): void {
    this.arrivals.push({ number: frame[0] + 256 * frame[1], timeUs: this.scheduler.nowUs, incarnation });
    this.seen.push(`${from} sends ${frame[0] + 256 * frame[1]}`);
  }

  connected(peer: number, incarnation: number): void {
    this.seen.push(`+${peer}/${incarnation}`);
  }

  disconnected(peer: number): void {
    this.seen.push(`-${peer}`);
  }
}

function build(options: Partial<NetworkOptions> = {}, seed = 1) {
  const scheduler = new Scheduler();
  const network = new SimNetwork(3, scheduler, new Random(seed), { ...CALM_NETWORK, ...options });
  const listeners = [1, 2, 3].map(() => new Listener(scheduler));
  for (let node = 1; node <= 3; node += 1) network.attach(node, 100 + node, listeners[node - 1]);
  scheduler.runUntil(100_000);
  return { scheduler, network, listeners };
}

function frame(number: number): Uint8Array {
  return Uint8Array.of(number & 255, number >> 8);
}

function sendMany(options: Partial<NetworkOptions>, count: number, gapUs: number, seed = 1) {
  const world = build({ framesInFlightMax: 1_000_000, ...options }, seed);
  const sentAt: number[] = [];
  for (let i = 0; i < count; i += 1) {
    sentAt.push(world.scheduler.nowUs);
    world.network.send(1, 2, frame(i));
    world.scheduler.runUntil(world.scheduler.nowUs + gapUs);
  }
  world.scheduler.runUntil(world.scheduler.nowUs + 10_000_000);
  return { ...world, sentAt, arrivals: world.listeners[1].arrivals };
}

describe("network", () => {
  test("connects all, both ways, once", () => {
    const { listeners } = build();
    expect(listeners.map((l) => [...l.seen].sort())).toEqual([
      ["+2/102", "+3/103"],
      ["+1/101", "+3/103"],
      ["+1/101", "+2/102"],
    ]);
  });

  test("when calm, delivers each frame once, in order, within its delays", () => {
    const { arrivals, sentAt } = sendMany({}, 1_000, 50);
    expect(arrivals.map((a) => a.number)).toEqual(sentAt.map((_, i) => i));
    for (const { number, timeUs, incarnation } of arrivals) {
      expect(timeUs - sentAt[number]).toBeGreaterThanOrEqual(CALM_NETWORK.delayUsMin);
      expect(timeUs - sentAt[number]).toBeLessThanOrEqual(CALM_NETWORK.delayUsMax);
      expect(incarnation).toBe(101);
    }
  });

  test("copies the frame: the sender's bytes are its own again", () => {
    const { scheduler, network, listeners } = build();
    const bytes = frame(7);
    network.send(1, 2, bytes);
    bytes.fill(0);
    scheduler.runUntil(scheduler.nowUs + 10_000);
    expect(listeners[1].seen).toContain("1 sends 7");
  });

  test("loses and doubles as often as told", () => {
    const { arrivals, network } = sendMany({ lossPerMille: 200, duplicatePerMille: 100 }, 10_000, 5);
    const distinct = new Set(arrivals.map((a) => a.number)).size;
    expect(distinct).toBeGreaterThan(7_800);
    expect(distinct).toBeLessThan(8_200);
    expect(arrivals.length - distinct).toBeGreaterThan(700);
    expect(arrivals.length - distinct).toBeLessThan(900);
    expect(network.counters.lost).toBe(10_000 - distinct);
    expect(network.counters.duplicated).toBe(arrivals.length - distinct);
  });

  test("reorders only when told", () => {
    const outOfOrder = (reorder: boolean) => {
      const { arrivals } = sendMany({ reorder }, 2_000, 50);
      return arrivals.filter((a, i) => i > 0 && a.number < arrivals[i - 1].number).length;
    };
    expect(outOfOrder(false)).toBe(0);
    expect(outOfOrder(true)).toBeGreaterThan(100);
  });

  test("has a tail of slow frames: about one in ten takes twice as long, one in a hundred four times", () => {
    const { arrivals, sentAt } = sendMany(
      { slowPerMille: 100, delayUsMin: 100, delayUsMax: 100, reorder: true },
      10_000,
      1,
    );
    const delays = arrivals.map((a) => a.timeUs - sentAt[a.number]);
    const share = (least: number) => delays.filter((d) => d >= least).length;
    expect(share(100)).toBe(10_000);
    expect(share(200)).toBeGreaterThan(900);
    expect(share(200)).toBeLessThan(1_100);
    expect(share(400)).toBeGreaterThan(60);
    expect(share(400)).toBeLessThan(140);
  });

  test("a cut is one way, is noticed after a while, and heals", () => {
    const { scheduler, network, listeners } = build({ noticeUsMax: 50_000 }, 4);
    network.cut(1, 2);
    network.send(1, 2, frame(1));
    network.send(2, 1, frame(2));
    scheduler.runUntil(scheduler.nowUs + 1_000);
    expect(listeners[1].arrivals).toEqual([]);
    expect(listeners[0].seen).toContain("2 sends 2");
    scheduler.runUntil(scheduler.nowUs + 60_000);
    expect(listeners[0].seen.at(-1)).toBe("-2");
    expect(listeners[1].seen.at(-1)).toBe("-1");
    network.heal();
    scheduler.runUntil(scheduler.nowUs + 60_000);
    expect(listeners[0].seen.at(-1)).toBe("+2/102");
    network.send(1, 2, frame(3));
    scheduler.runUntil(scheduler.nowUs + 1_000);
    expect(listeners[1].seen.at(-1)).toBe("1 sends 3");
    expect(listeners[2].seen).toHaveLength(2);
  });

  test("a clogged link keeps its frames and then lets them go", () => {
    const { scheduler, network, listeners } = build();
    network.clog(1, 2, 30_000);
    for (let i = 0; i < 5; i += 1) network.send(1, 2, frame(i));
    scheduler.runUntil(scheduler.nowUs + 29_000);
    expect(listeners[1].arrivals).toEqual([]);
    scheduler.runUntil(scheduler.nowUs + 3_000);
    expect(listeners[1].arrivals.map((a) => a.number)).toEqual([0, 1, 2, 3, 4]);
  });

  test("frames outlive their sender and carry its old incarnation; a return is a new connection", () => {
    const { scheduler, network, listeners } = build();
    network.clog(1, 2, 20_000);
    network.send(1, 2, frame(9));
    network.detach(1, false);
    const again = new Listener(scheduler);
    network.attach(1, 555, again);
    scheduler.runUntil(scheduler.nowUs + 15_000);
    expect(listeners[1].seen.slice(2)).toEqual(["-1", "+1/555"]);
    scheduler.runUntil(scheduler.nowUs + 10_000);
    expect(listeners[1].arrivals).toMatchObject([{ number: 9, incarnation: 101 }]);
  });

  test("a machine without power goes without a word", () => {
    const { scheduler, network, listeners } = build();
    network.detach(1, true);
    scheduler.runUntil(scheduler.nowUs + 1_000_000);
    expect(listeners[1].seen).toHaveLength(2);
    network.send(2, 1, frame(1));
    scheduler.runUntil(scheduler.nowUs + 1_000);
    expect(network.counters.delivered).toBe(0);
  });

  test("drops beyond the frames that a link may hold", () => {
    const { scheduler, network, listeners } = build({ framesInFlightMax: 10 });
    for (let i = 0; i < 15; i += 1) network.send(1, 2, frame(i));
    scheduler.runUntil(scheduler.nowUs + 10_000);
    expect(listeners[1].arrivals).toHaveLength(10);
    expect(network.counters.overflowed).toBe(5);
  });

  test("is the same run for the same seed", () => {
    const run = (seed: number) =>
      sendMany({ lossPerMille: 100, duplicatePerMille: 100, reorder: true, slowPerMille: 50 }, 500, 40, seed).arrivals;
    expect(run(11)).toEqual(run(11));
    expect(run(11)).not.toEqual(run(12));
  });
});
