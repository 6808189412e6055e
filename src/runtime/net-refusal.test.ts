import { createServer } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import "./fast-bytes.js";
import { writeFrame } from "../codec/frame.js";
import { RefusalCode } from "../codec/handshake.js";
import { ByteWriter } from "../core/bytes.js";
import type { NetOptions } from "./net-options.js";
import { introduce, LOOPBACK, NetWorld, nowhere, until } from "./testing/net-world.js";

const world = new NetWorld();
afterEach(() => world.close());

describe("TcpNet refuses", () => {
  /** Node 1 and node 2 dial each other and must not come together; `told` must stand in both logs, once. */
  async function expectRefused(first: Partial<NetOptions>, second: Partial<NetOptions>, told: string) {
    const a = await world.startNode(1, first);
    const b = await world.startNode(2, second);
    b.net.setPeers([nowhere(1)]);
    a.net.setPeers([{ node: 2, host: LOOPBACK, port: b.port }]);
    await until("several refusals", () => a.net.counters.refusals >= 3);
    expect(a.recorder.events).toEqual([]);
    expect(b.recorder.events).toEqual([]);
    expect(a.logged(told)).toBe(1);
    expect(b.logged(told)).toBe(1);
    expect(a.net.peerStatus()[0].problem).toMatch(/^it refuses this node: /);
  }

  it("another cluster's name", async () => {
    await expectRefused({ clusterName: "orders" }, { clusterName: "stock" }, 'this node to \\"stock\\"');
  });

  it("another cluster's id", async () => {
    await expectRefused({ clusterId: "aaa" }, { clusterId: "bbb" }, "its data belongs to cluster id aaa");
  });

  it("to speak with a node that is not the one it dialed", async () => {
    const a = await world.startNode(1);
    const b = await world.startNode(2);
    b.net.setPeers([nowhere(1)]);
    a.net.setPeers([{ node: 3, host: LOOPBACK, port: b.port }]);
    await until("refusals", () => a.net.counters.refusals >= 3);
    expect(a.logged("it wants node 3, but this is node 2")).toBe(1);
    expect(a.recorder.events.concat(b.recorder.events)).toEqual([]);
  });

  it("itself, when a member's address leads back", async () => {
    const a = await world.startNode(1);
    a.net.setPeers([{ node: 2, host: LOOPBACK, port: a.port }]);
    await until("refusals", () => a.net.counters.refusals >= 4);
    expect(a.recorder.events).toEqual([]);
    expect(a.logged("it refuses this node: it calls itself node 1, as this node does")).toBe(1);
  });

  it("a node that it does not know, until it is added", async () => {
    const [a, b] = await world.startNodes(2);
    a.net.setPeers([{ node: 2, host: LOOPBACK, port: b.port }]);
    await until("refusals", () => a.net.counters.refusals >= 2);
    expect(a.logged("node 1 is not a member that this node knows")).toBe(1);
    b.net.setPeers([nowhere(1)]);
    await until("connected", () => a.recorder.connected.has(2) && b.recorder.connected.has(1));
  });

  it("a version without a common one, by name", async () => {
    const a = await world.startNode(1);
    a.net.setPeers([nowhere(2)]);
    const raw = world.rawPeer(a.port);
    raw.hello(2, 1, { versionMin: 5, versionMax: 7 });
    await until("closed", () => raw.closed);
    expect(raw.refusal()?.code).toBe(RefusalCode.version);
    expect(a.logged("it speaks peer protocol 5 to 7, this node 1 to 1")).toBe(1);
    expect(a.net.counters.refusals).toBe(1);
  });

  it("port scanners and garbage, and goes on", async () => {
    const [a, b] = await world.startNodes(2);
    const greetings = [
      "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
      "*1\r\n$4\r\nPING\r\n",
      "\x16\x03\x01\x02\x00\x01\x00\x01",
      "\n",
    ];
    for (const greeting of greetings) {
      const raw = world.rawPeer(a.port);
      raw.socket.write(Buffer.from(greeting, "latin1"));
      await until(`closed: ${JSON.stringify(greeting)}`, () => raw.closed);
    }
    expect(a.logged("not a Gamut node")).toBe(3);
    expect(a.logged("GET / HTTP/1.1")).toBe(1);
    expect(a.logged("no handshake within 400 ms")).toBe(1);
    // Random bytes, at random lengths, from many sockets.
    for (let i = 0; i < 100; i += 1) {
      const raw = world.rawPeer(a.port);
      raw.socket.end(Buffer.from(Array.from({ length: i * 3 }, (_, j) => (i * 31 + j * j * 7) & 0xff)));
    }
    await introduce([a, b]);
    a.send(2, "still here");
    await until("the frame", () => b.texts().includes("still here"));
    expect(a.log.length).toBeLessThan(60);
  });

  it("frames before the handshake", async () => {
    const a = await world.startNode(1);
    const raw = world.rawPeer(a.port);
    raw.write(Buffer.from("let me in"), false);
    await until("closed", () => raw.closed);
    expect(a.recorder.framesSeen).toBe(0);
  });

  it("strangers beyond its limit, and lets them in again when the others are gone", async () => {
    const a = await world.startNode(1, { limits: { strangersMax: 5, handshakeMs: 600 } });
    a.net.setPeers([nowhere(2)]);
    const idle = Array.from({ length: 20 }, () => world.rawPeer(a.port));
    await until("fifteen closed", () => idle.filter((raw) => raw.closed).length === 15);
    await until("all timed out", () => idle.every((raw) => raw.closed));
    const raw = world.rawPeer(a.port);
    raw.hello(2, 1);
    await until("connected", () => a.recorder.connected.has(2));
  });

  it("to wait for a dialed node that accepts and says nothing", async () => {
    const mute = createServer((socket) => socket.on("error", () => {}));
    await new Promise<void>((done) => mute.listen(0, LOOPBACK, done));
    const a = await world.startNode(1);
    a.net.setPeers([{ node: 2, host: LOOPBACK, port: (mute.address() as { port: number }).port }]);
    await until("a second dial", () => a.net.counters.dials >= 2);
    expect(a.logged("no handshake within 400 ms")).toBe(1);
    await a.close();
    mute.close();
  });

  it("a corrupt frame: the connection is closed and made anew", async () => {
    const a = await world.startNode(1);
    a.net.setPeers([nowhere(2)]);
    const raw = world.rawPeer(a.port);
    raw.hello(2, 1);
    await until("connected", () => a.recorder.connected.has(2));
    const writer = new ByteWriter();
    writeFrame(writer, Buffer.from("good"), false);
    writeFrame(writer, Buffer.from("flipped"), false);
    const bytes = Buffer.from(writer.copy());
    bytes[bytes.length - 1] ^= 4;
    raw.socket.write(bytes);
    await until("closed", () => raw.closed);
    expect(a.texts()).toEqual(["good"]);
    expect(a.net.counters.codecErrors).toBe(1);
    expect(a.logged("wrong checksum")).toBe(1);
    const again = world.rawPeer(a.port);
    again.hello(2, 1, { dial: 2 });
    await until("connected again", () => a.recorder.connected.has(2));
  });

  it("a Hello that changes the node or its boot on an open connection", async () => {
    const a = await world.startNode(1);
    a.net.setPeers([nowhere(2), nowhere(3)]);
    for (const [node, boot] of [
      [3, 7],
      [2, 8],
    ]) {
      const raw = world.rawPeer(a.port);
      raw.hello(2, 1, { boot: 7 });
      await until("connected", () => a.recorder.connected.has(2));
      raw.hello(node, 1, { boot });
      await until("closed", () => raw.closed && a.recorder.connected.size === 0);
    }
  });
});
