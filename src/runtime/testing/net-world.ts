/** Nodes of one process that talk over real sockets, for the tests of the peer link. */
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { FrameDecoder, writeFrame } from "../../codec/frame.js";
import { Hello, Refusal, readControl, writeHello } from "../../codec/handshake.js";
import { ByteWriter } from "../../core/bytes.js";
import type { NodeId } from "../../core/machine.js";
import type { NetListener } from "../../node/ports.js";
import { RuntimeEntropy } from "../entropy.js";
import { LineLogger } from "../log.js";
import { TcpNet } from "../net.js";
import type { NetLimits, NetOptions, PeerAddress } from "../net-options.js";

export const LOOPBACK = "127.0.0.1";

/** Fast enough for a test, slow enough for a busy machine. */
export const TEST_LIMITS: Partial<NetLimits> = { sweepMs: 50, silenceMs: 600, handshakeMs: 400, redialMsMax: 100 };

/** Waits until `condition` holds; the last resort is an error that names it. */
export async function until(what: string, condition: () => boolean, limitMs = 10_000): Promise<void> {
  const end = performance.now() + limitMs;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`waited ${limitMs} ms in vain: ${what}`);
    await sleep(2);
  }
}

/** A node's ear: everything that the net tells it. */
export class Recorder implements NetListener {
  /** `connected 2 77`, `disconnected 2`, in order. */
  readonly events: string[] = [];
  readonly frames: { peer: NodeId; incarnation: number; text: string }[] = [];
  readonly connected = new Set<NodeId>();
  framesSeen = 0;
  onFrame: ((peer: NodeId, frame: Uint8Array) => void) | null = null;

  frameReceived(peer: NodeId, incarnation: number, frame: Uint8Array): void {
    this.framesSeen += 1;
    if (this.onFrame !== null) this.onFrame(peer, frame);
    else this.frames.push({ peer, incarnation, text: Buffer.from(frame).toString("latin1") });
  }

  peerConnected(peer: NodeId, incarnation: number): void {
    if (this.connected.has(peer)) throw new Error(`peer ${peer} connected twice`);
    this.connected.add(peer);
    this.events.push(`connected ${peer} ${incarnation}`);
  }

  peerDisconnected(peer: NodeId): void {
    if (!this.connected.delete(peer)) throw new Error(`peer ${peer} disconnected without being connected`);
    this.events.push(`disconnected ${peer}`);
  }
}

export class TestNode {
  readonly recorder = new Recorder();
  readonly log: string[] = [];
  readonly net: TcpNet;
  private closed = false;

  constructor(
    readonly id: NodeId,
    options: Partial<NetOptions> = {},
  ) {
    this.net = new TcpNet({
      node: id,
      clusterName: "test",
      clusterId: "",
      incarnation: id * 100,
      host: LOOPBACK,
      port: 0,
      entropy: new RuntimeEntropy(),
      logger: new LineLogger({ node: id, level: "debug", write: (line) => this.log.push(line) }),
      ...options,
      limits: { ...TEST_LIMITS, ...options.limits },
    });
  }

  start(): Promise<string | null> {
    return new Promise((done) => this.net.start(this.recorder, done));
  }

  get port(): number {
    return this.net.port;
  }

  send(peer: NodeId, text: string): void {
    this.net.send(peer, Buffer.from(text, "latin1"));
  }

  texts(): string[] {
    return this.recorder.frames.map((frame) => frame.text);
  }

  logged(part: string): number {
    return this.log.filter((line) => line.includes(part)).length;
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    await new Promise<void>((done) => this.net.close(done));
  }
}

/** Everybody knows everybody; answers when all are connected. */
export async function introduce(nodes: readonly TestNode[]): Promise<void> {
  const addresses = nodes.map((node) => ({ node: node.id, host: LOOPBACK, port: node.port }));
  for (const node of nodes) node.net.setPeers(addresses);
  await until("all nodes connected", () => nodes.every((node) => node.recorder.connected.size === nodes.length - 1));
}

/** Passes bytes on, until it is told to hold them: then both sides hear nothing, and no connection closes. */
export class Wire {
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();
  held = false;
  /** Bytes are passed on in pieces of this size. */
  pieceBytes = 0;

  constructor(targetPort: number) {
    this.server = createServer((near) => {
      const far = connect(targetPort, LOOPBACK);
      this.join(near, far);
      this.join(far, near);
    });
  }

  private join(from: Socket, to: Socket): void {
    this.sockets.add(from);
    from.setNoDelay(true);
    from.on("data", (chunk: Buffer) => {
      if (this.held) return;
      const size = this.pieceBytes === 0 ? chunk.length : this.pieceBytes;
      for (let at = 0; at < chunk.length; at += size) to.write(chunk.subarray(at, at + size));
    });
    from.on("error", () => {});
    from.on("close", () => {
      this.sockets.delete(from);
      if (!this.held) to.destroy();
    });
  }

  async listen(): Promise<number> {
    await new Promise<void>((done) => this.server.listen(0, LOOPBACK, done));
    return (this.server.address() as AddressInfo).port;
  }

  /** Resets every connection that passes. */
  cut(): void {
    for (const socket of this.sockets) socket.resetAndDestroy();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise<void>((done) => this.server.close(() => done()));
  }
}

/** A hand-made peer: says what it is told to, and keeps what it hears. */
export class RawPeer {
  readonly socket: Socket;
  readonly controls: (Hello | Refusal | null)[] = [];
  readonly frames: string[] = [];
  closed = false;
  private readonly decoder = new FrameDecoder();

  constructor(port: number) {
    this.socket = connect(port, LOOPBACK);
    this.socket.setNoDelay(true);
    this.socket.on("error", () => {});
    this.socket.on("close", () => {
      this.closed = true;
    });
    this.socket.on("data", (chunk: Buffer) => {
      this.decoder.push(chunk);
      for (let frame = this.decoder.next(); frame !== null; frame = this.decoder.next()) {
        if (this.decoder.control) this.controls.push(readControl(frame));
        else this.frames.push(Buffer.from(frame).toString("latin1"));
      }
    });
  }

  hello(node: NodeId, target: NodeId, changes: Partial<Hello> = {}): void {
    const all = {
      versionMin: 1,
      versionMax: 1,
      clusterName: "test",
      clusterId: "",
      incarnation: node * 100,
      boot: 1,
      dial: 1,
      seen: 0,
      ...changes,
    };
    const hello = new Hello(
      all.versionMin,
      all.versionMax,
      all.clusterName,
      all.clusterId,
      node,
      all.incarnation,
      all.boot,
      target,
      all.dial,
      all.seen,
    );
    const body = new ByteWriter();
    writeHello(body, hello);
    this.write(body.written(), true);
  }

  write(payload: Uint8Array, control: boolean): void {
    const writer = new ByteWriter();
    writeFrame(writer, payload, control);
    this.socket.write(writer.copy());
  }

  async close(): Promise<void> {
    this.socket.destroy();
  }

  refusal(): Refusal | undefined {
    return this.controls.find((control) => control instanceof Refusal);
  }

  greeted(): boolean {
    return this.controls.some((control) => control instanceof Hello);
  }
}

/** A member that never answers: its port belongs to nobody. */
export function nowhere(node: NodeId): PeerAddress {
  return { node, host: LOOPBACK, port: 1 };
}

/** Starts nodes, wires and peers, and closes them all after the test. */
export class NetWorld {
  private things: { close(): Promise<void> }[] = [];

  async startNode(id: NodeId, options: Partial<NetOptions> = {}): Promise<TestNode> {
    const node = new TestNode(id, options);
    this.things.push(node);
    const problem = await node.start();
    if (problem !== null) throw new Error(problem);
    return node;
  }

  /** Nodes 1, 2, … */
  async startNodes(count: number): Promise<TestNode[]> {
    const nodes: TestNode[] = [];
    for (let id = 1; id <= count; id += 1) nodes.push(await this.startNode(id));
    return nodes;
  }

  async startWire(targetPort: number): Promise<{ wire: Wire; port: number }> {
    const wire = new Wire(targetPort);
    this.things.push(wire);
    return { wire, port: await wire.listen() };
  }

  rawPeer(port: number): RawPeer {
    const raw = new RawPeer(port);
    this.things.push(raw);
    return raw;
  }

  async close(): Promise<void> {
    const things = this.things;
    this.things = [];
    await Promise.all(things.map((thing) => thing.close()));
  }
}
