import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import "./fast-bytes.js";
import { DEFAULT_NET_LIMITS } from "./net-options.js";
import { redialWaitMs } from "./net-peer.js";
import { introduce, LOOPBACK, NetWorld, nowhere, TestNode, until } from "./testing/net-world.js";

const world = new NetWorld();
afterEach(() => world.close());

describe("TcpNet", () => {
  it("connects everybody with everybody and carries frames both ways", async () => {
    const nodes = await world.startNodes(3);
    await introduce(nodes);
    for (const from of nodes) for (const to of nodes) if (from !== to) from.send(to.id, `${from.id} to ${to.id}`);
    await until("all frames", () => nodes.every((node) => node.recorder.frames.length === 2));
    const [a] = nodes;
    expect(a.recorder.frames.sort((x, y) => x.peer - y.peer)).toEqual([
      { peer: 2, incarnation: 200, text: "2 to 1" },
      { peer: 3, incarnation: 300, text: "3 to 1" },
    ]);
  });

  it("keeps exactly one connection, and says connected once, when both dial at the same moment", async () => {
    for (let round = 0; round < 20; round += 1) {
      const [a, b] = await world.startNodes(2);
      a.net.setPeers([{ node: 2, host: LOOPBACK, port: b.port }]);
      b.net.setPeers([{ node: 1, host: LOOPBACK, port: a.port }]);
      await until("both connected", () => a.recorder.connected.size === 1 && b.recorder.connected.size === 1);
      // Sent while one of the two connections is being given up.
      a.send(2, "ping");
      b.send(1, "pong");
      await until("frames", () => a.texts().includes("pong") && b.texts().includes("ping"));
      await sleep(30);
      expect(a.recorder.events).toEqual(["connected 2 200"]);
      expect(b.recorder.events).toEqual(["connected 1 100"]);
      expect(a.net.socketCount).toBe(1);
      expect(b.net.socketCount).toBe(1);
      await Promise.all([a.close(), b.close()]);
    }
  });

  it("works when only one side knows where the other is", async () => {
    const [a, b] = await world.startNodes(2);
    b.net.setPeers([nowhere(1)]);
    a.net.setPeers([{ node: 2, host: LOOPBACK, port: b.port }]);
    await until("connected", () => a.recorder.connected.has(2) && b.recorder.connected.has(1));
  });

  it("keeps 100,000 frames whole and in order, in few writes", async () => {
    const [a, b] = await world.startNodes(2);
    await introduce([a, b]);
    const count = 100_000;
    let expected = 0;
    let wrong = 0;
    b.recorder.onFrame = (_peer, frame) => {
      const view = Buffer.from(frame.buffer, frame.byteOffset, frame.length);
      if (view.readUInt32LE(0) !== expected || view.length !== 4 + (expected % 200)) wrong += 1;
      if (view.length > 4 && view[view.length - 1] !== (expected & 0xff)) wrong += 1;
      expected += 1;
    };
    let sent = 0;
    while (sent < count) {
      for (let i = 0; i < 100 && sent < count; i += 1) {
        const frame = Buffer.alloc(4 + (sent % 200), sent & 0xff);
        frame.writeUInt32LE(sent);
        a.net.send(2, frame);
        frame.fill(0xee);
        sent += 1;
      }
      await new Promise((done) => setImmediate(done));
    }
    await until("all frames", () => expected === count);
    expect(wrong).toBe(0);
    expect(a.net.counters.framesSent).toBe(count);
    expect(b.net.counters.framesReceived).toBe(count);
    expect(a.net.counters.writes).toBeLessThan(count / 50);
    expect(a.net.counters.droppedOverLimit).toBe(0);
  });

  it("carries frames cut into pieces of any size on the way", async () => {
    for (const pieceBytes of [1, 7, 1000]) {
      const [a, b] = await world.startNodes(2);
      const { wire, port } = await world.startWire(b.port);
      wire.pieceBytes = pieceBytes;
      b.net.setPeers([nowhere(1)]);
      a.net.setPeers([{ node: 2, host: LOOPBACK, port }]);
      await until("connected", () => a.recorder.connected.has(2));
      const texts = Array.from({ length: 50 }, (_, i) => "x".repeat(i * 11));
      for (const text of texts) a.send(2, text);
      await until("frames", () => b.texts().length === texts.length);
      expect(b.texts()).toEqual(texts);
      await Promise.all([a.close(), b.close()]);
    }
  });

  it("carries a frame of 16 MiB", async () => {
    const [a, b] = await world.startNodes(2);
    await introduce([a, b]);
    let received = 0;
    b.recorder.onFrame = (_peer, frame) => {
      received = frame.length;
    };
    a.net.send(2, new Uint8Array(16 * 1024 * 1024));
    await until("the frame", () => received === 16 * 1024 * 1024);
  });

  it("drops and counts frames to a peer that is not there", async () => {
    const a = await world.startNode(1);
    a.net.setPeers([nowhere(2)]);
    a.send(2, "lost");
    a.send(9, "lost too");
    expect(a.net.counters.droppedDisconnected).toBe(2);
  });

  it("never holds more than the limit for a peer that does not read", async () => {
    const limit = 1024 * 1024;
    const a = await world.startNode(1, { limits: { unsentBytesMax: limit, silenceMs: 5000 } });
    a.net.setPeers([nowhere(2)]);
    const raw = world.rawPeer(a.port);
    raw.hello(2, 1);
    await until("connected", () => a.recorder.connected.has(2));
    raw.socket.pause();
    let most = 0;
    let number = 0;
    for (let turn = 0; turn < 300; turn += 1) {
      for (let i = 0; i < 10; i += 1) {
        a.send(2, String(number).padEnd(10_000, "."));
        number += 1;
      }
      most = Math.max(most, a.net.peerStatus()[0].unsentBytes);
      await new Promise((done) => setImmediate(done));
    }
    expect(a.net.counters.droppedOverLimit).toBeGreaterThan(100);
    expect(most).toBeLessThanOrEqual(limit + 8);
    expect(most).toBeGreaterThan(limit / 2);
    // What was taken arrives once the peer reads again.
    raw.socket.resume();
    await until("the rest", () => raw.frames.length === a.net.counters.framesSent);
    const numbers = raw.frames.map((frame) => Number.parseInt(frame, 10));
    // A prefix, then what found room again: in order, and no frame overwritten by a later one.
    for (let i = 1; i < numbers.length; i += 1) expect(numbers[i]).toBeGreaterThan(numbers[i - 1]);
    expect(numbers[0]).toBe(0);
  });
});

describe("TcpNet reconnects", () => {
  it("after the connection was cut, again and again", async () => {
    const [a, b] = await world.startNodes(2);
    const { wire, port } = await world.startWire(b.port);
    b.net.setPeers([nowhere(1)]);
    a.net.setPeers([{ node: 2, host: LOOPBACK, port }]);
    for (let round = 1; round <= 5; round += 1) {
      await until("connected", () => a.recorder.connected.has(2) && b.recorder.connected.has(1));
      a.send(2, `round ${round}`);
      await until("the frame", () => b.texts().includes(`round ${round}`));
      wire.cut();
      await until("disconnected", () => a.recorder.events.length === round * 2);
    }
  });

  it("to a node that is started later, and tells its absence once", async () => {
    const a = await world.startNode(1);
    const probe = await world.startNode(2);
    const { port } = probe;
    await probe.close();
    a.net.setPeers([{ node: 2, host: LOOPBACK, port }]);
    await sleep(400);
    expect(a.net.counters.dials).toBeGreaterThan(3);
    expect(a.logged("ECONNREFUSED")).toBe(1);
    expect(a.net.peerStatus()[0].problem).toContain("nobody listens there");
    const b = await world.startNode(2, { port });
    b.net.setPeers([{ node: 1, host: LOOPBACK, port: a.port }]);
    await until("connected", () => a.recorder.connected.has(2));
    expect(a.net.peerStatus()[0].problem).toBe("");
  });

  it("finds a half-open connection by its silence, though this side goes on sending", async () => {
    const [a, b] = await world.startNodes(2);
    const { wire, port } = await world.startWire(b.port);
    b.net.setPeers([nowhere(1)]);
    a.net.setPeers([{ node: 2, host: LOOPBACK, port }]);
    await until("connected", () => a.recorder.connected.has(2) && b.recorder.connected.has(1));
    // Idle, it lives on by its keepalives.
    await sleep(1500);
    expect(a.recorder.events).toEqual(["connected 2 200"]);
    wire.held = true;
    const heldAt = performance.now();
    const heartbeat = setInterval(() => a.send(2, "heartbeat"), 20);
    await until("both notice", () => a.recorder.connected.size === 0 && b.recorder.connected.size === 0);
    clearInterval(heartbeat);
    expect(performance.now() - heldAt).toBeGreaterThan(400);
    expect(a.logged("no byte for 600 ms")).toBe(1);
    wire.held = false;
    await until("connected again", () => a.recorder.connected.has(2) && b.recorder.connected.has(1));
  });

  it("is not silent to a node that was paused itself: it reads its mail first", async () => {
    const [a, b] = await world.startNodes(2);
    await introduce([a, b]);
    for (let round = 0; round < 3; round += 1) {
      const end = performance.now() + 1000;
      while (performance.now() < end);
      await sleep(30);
    }
    expect(a.recorder.events).toHaveLength(1);
    expect(b.recorder.events).toHaveLength(1);
  });

  it("takes the new connection of a peer that was restarted before the old one was found dead", async () => {
    const a = await world.startNode(1, { limits: { silenceMs: 60_000 } });
    a.net.setPeers([nowhere(2)]);
    const before = world.rawPeer(a.port);
    before.hello(2, 1, { boot: 1, incarnation: 200 });
    await until("connected", () => a.recorder.connected.has(2));
    const after = world.rawPeer(a.port);
    after.hello(2, 1, { boot: 2, incarnation: 201 });
    await until("replaced", () => before.closed && after.greeted());
    expect(a.recorder.events).toEqual(["connected 2 200", "disconnected 2", "connected 2 201"]);
    after.write(Buffer.from("fresh"), false);
    await until("the frame", () => a.texts().includes("fresh"));
    expect(a.recorder.frames).toEqual([{ peer: 2, incarnation: 201, text: "fresh" }]);
  });

  it("takes a peer's later dial at once when the peer has lost the connection that we dialed", async () => {
    const b = await world.startNode(2);
    const a = await world.startNode(1, { limits: { silenceMs: 60_000 } });
    const { wire, port } = await world.startWire(b.port);
    a.net.setPeers([{ node: 2, host: LOOPBACK, port }]);
    b.net.setPeers([nowhere(1)]);
    await until("connected", () => a.recorder.connected.has(2) && b.recorder.connected.has(1));
    // Node 2 loses its end and dials; node 1 has heard nothing, and its own dial would win against a simultaneous one.
    wire.held = true;
    await until("node 2 notices", () => b.recorder.connected.size === 0);
    b.net.setPeers([{ node: 1, host: LOOPBACK, port: a.port }]);
    await until("connected again", () => b.recorder.connected.has(1));
    b.send(1, "here I am");
    await until("the frame", () => a.texts().includes("here I am"));
    expect(a.recorder.events).toEqual(["connected 2 200"]);
  });

  it("waits longer each time, within its limits", () => {
    const limits = { ...DEFAULT_NET_LIMITS, redialMsFirst: 20, redialMsMax: 500 };
    for (let failures = 0; failures < 100; failures += 1) {
      const full = Math.min(20 * 2 ** failures, 500);
      expect(redialWaitMs(failures, limits, 0)).toBe(full / 2);
      expect(redialWaitMs(failures, limits, 1)).toBe(full);
    }
  });
});

describe("TcpNet's identity and life", () => {
  it("a new incarnation is told to connected peers, as a disconnect and a connect", async () => {
    const [a, b] = await world.startNodes(2);
    await introduce([a, b]);
    a.net.updateIdentity({ clusterId: "", incarnation: 777 });
    a.send(2, "as 777");
    await until("the frame", () => b.texts().includes("as 777"));
    expect(b.recorder.events).toEqual(["connected 1 100", "disconnected 1", "connected 1 777"]);
    expect(b.recorder.frames).toEqual([{ peer: 1, incarnation: 777, text: "as 777" }]);
    expect(a.recorder.events).toEqual(["connected 2 200"]);
    expect(b.net.peerStatus()[0].incarnation).toBe(777);
  });

  it("a cluster id that both learn leaves the connection as it is; two different ones part them", async () => {
    const [a, b] = await world.startNodes(2);
    await introduce([a, b]);
    a.net.updateIdentity({ clusterId: "same", incarnation: 100 });
    b.net.updateIdentity({ clusterId: "same", incarnation: 200 });
    a.send(2, "still connected");
    await until("the frame", () => b.texts().includes("still connected"));
    expect(a.recorder.events).toHaveLength(1);

    const [c, d] = [await world.startNode(3), await world.startNode(4)];
    await introduce([c, d]);
    c.net.updateIdentity({ clusterId: "mine", incarnation: 300 });
    d.net.updateIdentity({ clusterId: "yours", incarnation: 400 });
    await until("parted", () => c.recorder.connected.size === 0 && d.recorder.connected.size === 0);
    await sleep(300);
    expect(c.recorder.events).toEqual(["connected 4 400", "disconnected 4"]);
  });

  it("a peer that is removed from the list is left, one that is added is dialed", async () => {
    const nodes = await world.startNodes(3);
    await introduce(nodes);
    const [a, b, c] = nodes;
    a.net.setPeers([{ node: 3, host: LOOPBACK, port: c.port }]);
    expect(a.recorder.events.at(-1)).toBe("disconnected 2");
    await until("told", () => !b.recorder.connected.has(1));
    await sleep(200);
    expect(b.recorder.connected.has(1)).toBe(false);
    expect(a.recorder.connected.has(3)).toBe(true);
    await introduce(nodes);
  });

  it("says which port is in use", async () => {
    const a = await world.startNode(1);
    const second = new TestNode(2, { port: a.port, limits: { listenRetryMs: 150 } });
    // Whoever asks for port 0 gets one of those that connections get as well.
    expect(await second.start()).toMatch(
      new RegExp(
        `^peer port 127\\.0\\.0\\.1:${a.port} is in use( \\(an outgoing connection may have it: .*\\))?: ` +
          "stop the process that listens there, or choose another peerPort$",
      ),
    );
    await second.close();
  });

  it("waits for a port that an outgoing connection has for a moment", async () => {
    const far = createServer();
    far.on("connection", (socket) => socket.on("error", () => {}));
    await new Promise<void>((done) => far.listen(0, LOOPBACK, done));
    const taken = connect((far.address() as AddressInfo).port, LOOPBACK);
    await once(taken, "connect");
    const port = taken.localPort!;
    const node = new TestNode(1, { port, limits: { listenRetryMs: 20_000 } });
    let started: string | null | undefined;
    const starting = node.start().then((problem) => {
      started = problem;
    });
    await sleep(250);
    expect(started).toBeUndefined();
    taken.resetAndDestroy();
    await starting;
    expect([started, node.port]).toEqual([null, port]);
    await node.close();
    await new Promise<void>((done) => far.close(() => done()));
  });

  it("that is closed while it waits for its port is closed", async () => {
    const a = await world.startNode(1);
    const second = new TestNode(2, { port: a.port, limits: { listenRetryMs: 60_000 } });
    void second.start();
    await sleep(50);
    await second.close();
    await a.close();
    await sleep(250);
    expect(second.port).toBe(0);
  });

  it("closes cleanly: what was sent arrives, the port is free, the node hears no more", async () => {
    const [a, b] = await world.startNodes(2);
    await introduce([a, b]);
    const { port } = a;
    a.send(2, "last words");
    await a.close();
    await until("disconnected", () => !b.recorder.connected.has(1));
    expect(b.texts()).toEqual(["last words"]);
    expect(a.recorder.events).toEqual(["connected 2 200"]);
    const taken = createServer();
    await new Promise<void>((done) => taken.listen(port, LOOPBACK, done));
    await new Promise<void>((done) => taken.close(() => done()));
    a.send(2, "too late");
    expect(a.net.counters.droppedDisconnected).toBe(1);
  });

  it("a stranger who connects and goes does no harm", async () => {
    const a = await world.startNode(1);
    for (let i = 0; i < 50; i += 1) {
      const socket = connect(a.port, LOOPBACK);
      socket.on("connect", () => socket.resetAndDestroy());
      socket.on("error", () => {});
    }
    await sleep(100);
    const raw = world.rawPeer(a.port);
    a.net.setPeers([nowhere(2)]);
    raw.hello(2, 1);
    await until("connected", () => a.recorder.connected.has(2));
  });
});
