/**
 * The net port on TCP: one connection to each peer, dialed by whoever comes first.
 *
 * 1. Each node dials every peer that it has no connection to. When two dials meet, both sides keep the same one
 *    (settleDuplicate); the change is not told to the node, and frames under way on the other one are still taken.
 * 2. Frames of one turn collect in the peer's buffer and leave in one write, when the callback that sent them returns.
 * 3. What is not known to live is closed: see Connection.sweep.
 */
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import {
  type Expectation,
  Hello,
  judgeHello,
  PEER_VERSION_MAX,
  PEER_VERSION_MIN,
  Refusal,
  RefusalCode,
  settleDuplicate,
} from "../codec/handshake.js";
import { assert } from "../core/assert.js";
import type { Incarnation, NodeId } from "../core/machine.js";
import type { Net, NetListener } from "../node/ports.js";
import { listenPatiently } from "./listen.js";
import { Connection, type ConnectionOwner } from "./net-connection.js";
import {
  DEFAULT_NET_LIMITS,
  NetCounters,
  type NetIdentity,
  type NetLimits,
  type NetOptions,
  type PeerAddress,
  type PeerStatus,
} from "./net-options.js";
import { formatAddress, Peer } from "./net-peer.js";
import { listenProblem, TroubleLog } from "./net-trouble.js";
import { connectShared, withSharedReads } from "./shared-reads.js";

/** Node ids take two bytes in the handshake. */
const NODE_MAX = 0xffff;
const TWO_48 = 2 ** 48;
/** Sockets at a time, whatever they are. */
const SOCKETS_MAX = 1024;
/** The reason of an end that is no trouble. */
const AS_PLANNED = "";

export class TcpNet implements Net, ConnectionOwner {
  readonly limits: NetLimits;
  readonly counters = new NetCounters();

  private readonly boot: number;
  private clusterId: string;
  private incarnation: Incarnation;
  private readonly peers = new Map<NodeId, Peer>();
  /** Every connection whose socket still exists. */
  private readonly connections = new Set<Connection>();
  private strangers = 0;
  private readonly troubles: TroubleLog;

  private listener: NetListener | null = null;
  private server: Server | null = null;
  private sweeper: NodeJS.Timeout | null = null;
  private dirty: Connection[] = [];
  private flushAsked = false;
  private readonly flushLater = () => this.flush();
  private readonly dialLater = (peer: Peer) => this.dial(peer);

  constructor(private readonly options: NetOptions) {
    assert(options.node >= 1 && options.node <= NODE_MAX, "net: node ids are 1 to 65,535");
    this.limits = { ...DEFAULT_NET_LIMITS, ...options.limits };
    this.clusterId = options.clusterId;
    this.incarnation = options.incarnation;
    this.boot = options.entropy.u48();
    this.troubles = new TroubleLog(options.logger);
  }

  /** Listens, and dials the peers known so far. `problem` is null, or a sentence that says why it cannot. */
  start(listener: NetListener, done: (problem: string | null) => void): void {
    const { host, port } = this.options;
    this.listener = listener;
    const server = createServer({ noDelay: true }, (socket) => this.incoming(withSharedReads(socket)));
    server.maxConnections = SOCKETS_MAX;
    this.server = server;
    const target = { port, host, retryMs: this.limits.listenRetryMs, isWanted: () => this.server === server };
    listenPatiently(server, target, (failure) => {
      if (failure !== null) {
        this.server = null;
        done(listenProblem(failure, host, port));
        return;
      }
      // E.g. no file descriptors left: the connections that there are go on.
      server.on("error", (error) => this.options.logger.error("peer listener failed", { problem: error.message }));
      this.sweeper = setInterval(() => this.sweep(), this.limits.sweepMs);
      for (const peer of this.peers.values()) this.dial(peer);
      done(null);
    });
  }

  /** The port that it listens on; 0 before `start` is done. */
  get port(): number {
    const address = this.server === null ? null : (this.server.address() as AddressInfo | null);
    return address === null ? 0 : address.port;
  }

  /** The other members; this node itself is passed over. May be called at any time. */
  setPeers(addresses: readonly PeerAddress[]): void {
    const listed = new Set<NodeId>();
    for (const address of addresses) {
      assert(address.node >= 1 && address.node <= NODE_MAX, "net: node ids are 1 to 65,535");
      assert(address.port >= 1 && address.port <= 0xffff, "net: ports are 1 to 65,535");
      if (address.node === this.options.node) continue;
      listed.add(address.node);
      const known = this.peers.get(address.node);
      if (known !== undefined) {
        // A connection that there is stays; the next dial goes to the new address.
        known.host = address.host;
        known.port = address.port;
        continue;
      }
      const peer = new Peer(address);
      this.peers.set(peer.node, peer);
      if (this.sweeper !== null) this.dial(peer);
    }
    for (const peer of [...this.peers.values()]) if (!listed.has(peer.node)) this.forget(peer);
  }

  private forget(peer: Peer): void {
    this.peers.delete(peer.node);
    peer.cancelDial();
    const connection = peer.connection;
    peer.connection = null;
    peer.dialing?.end(AS_PLANNED);
    if (connection === null) return;
    connection.end(AS_PLANNED);
    this.disconnected(peer, "the peer was removed");
  }

  /** Tells the peers. Those that belong to another cluster than this node has learnt to be in are left. */
  updateIdentity(identity: NetIdentity): void {
    if (identity.clusterId === this.clusterId && identity.incarnation === this.incarnation) return;
    this.clusterId = identity.clusterId;
    this.incarnation = identity.incarnation;
    for (const peer of this.peers.values()) {
      const connection = peer.connection;
      if (connection === null || connection.hello === null) continue;
      const refusal = judgeHello(this.expectation(connection), connection.hello);
      if (refusal === null) connection.sendHello(this.hello(peer, connection.dial));
      else this.refuse(connection, refusal);
    }
  }

  send(peer: NodeId, frame: Uint8Array): void {
    const connection = this.peers.get(peer)?.connection;
    if (connection === null || connection === undefined) {
      this.counters.droppedDisconnected += 1;
      return;
    }
    if (!connection.send(frame)) {
      this.counters.droppedOverLimit += 1;
      return;
    }
    this.counters.framesSent += 1;
    if (connection.dirty) return;
    connection.dirty = true;
    this.dirty.push(connection);
    if (this.flushAsked) return;
    this.flushAsked = true;
    process.nextTick(this.flushLater);
  }

  /** Writes what has collected, one write a peer. Happens by itself when the callback that sent returns. */
  flush(): void {
    this.flushAsked = false;
    const dirty = this.dirty;
    for (let i = 0; i < dirty.length; i += 1) {
      dirty[i].dirty = false;
      dirty[i].flush();
    }
    dirty.length = 0;
  }

  /** Sockets that exist, those of strangers and of connections that are being closed included. */
  get socketCount(): number {
    return this.connections.size;
  }

  peerStatus(): PeerStatus[] {
    return [...this.peers.values()].map((peer) => peer.status());
  }

  /** Sends what has collected, closes every connection and the listener. The node hears nothing any more. */
  close(done: () => void): void {
    this.listener = null;
    if (this.sweeper !== null) clearInterval(this.sweeper);
    this.sweeper = null;
    for (const peer of this.peers.values()) {
      peer.cancelDial();
      peer.connection = null;
    }
    this.peers.clear();
    for (const connection of [...this.connections]) {
      if (connection.open) connection.retire();
      else connection.end(AS_PLANNED);
    }
    const server = this.server;
    this.server = null;
    // Answers when the last socket is closed, which takes a farewell's time at most.
    if (server === null) setImmediate(done);
    else server.close(() => done());
  }

  private sweep(): void {
    for (const connection of this.connections) connection.sweep();
  }

  // Dialing and being dialed

  private dial(peer: Peer): void {
    if (peer.connection !== null || peer.dialing !== null || this.peers.get(peer.node) !== peer) return;
    this.counters.dials += 1;
    // Counted over all peers: a peer that is removed and added again must not see the numbers begin anew.
    const dial = this.counters.dials;
    const socket = connectShared({ host: peer.host, port: peer.port, noDelay: true });
    const connection = new Connection(socket, peer.node, peer.address, this);
    connection.dial = dial;
    this.connections.add(connection);
    peer.dialing = connection;
    socket.on("connect", () => {
      // The peer was faster: nobody has seen this dial yet, so it can go without a trace.
      if (peer.connection === null) connection.sendHello(this.hello(peer, dial));
      else connection.end(AS_PLANNED);
    });
  }

  private incoming(socket: Socket): void {
    const address = formatAddress(socket.remoteAddress ?? "?", socket.remotePort ?? 0);
    if (this.strangers >= this.limits.strangersMax) {
      this.troubles.ofStranger(address, "too many connections without a handshake");
      socket.destroy();
      return;
    }
    this.strangers += 1;
    this.connections.add(new Connection(socket, 0, address, this));
  }

  private hello(peer: Peer, dial: number): Hello {
    return new Hello(
      PEER_VERSION_MIN,
      PEER_VERSION_MAX,
      this.options.clusterName,
      this.clusterId,
      this.options.node,
      this.incarnation,
      this.boot,
      peer.node,
      dial,
      peer.seen,
    );
  }

  private expectation(connection: Connection): Expectation {
    return {
      versionMin: PEER_VERSION_MIN,
      versionMax: PEER_VERSION_MAX,
      clusterName: this.options.clusterName,
      clusterId: this.clusterId,
      node: this.options.node,
      dialed: connection.dialed,
    };
  }

  // What connections tell

  helloReceived(connection: Connection, hello: Hello): void {
    const peer = this.peers.get(hello.node);
    const refusal = judgeHello(this.expectation(connection), hello) ?? (peer === undefined ? unknownNode(hello) : null);
    if (refusal !== null || peer === undefined) {
      if (refusal !== null) this.refuse(connection, refusal);
    } else if (connection.hello !== null) {
      this.identityChanged(peer, connection, hello);
    } else {
      this.greet(peer, connection, hello);
    }
  }

  /** The handshake has passed on our side. */
  private greet(peer: Peer, connection: Connection, hello: Hello): void {
    if (!connection.dialedBySelf) connection.dial = hello.dial;
    const current = peer.connection;
    const added = { dialedBySelf: connection.dialedBySelf, dial: connection.dial, seen: hello.seen };
    if (current?.hello?.boot === hello.boot && !settleDuplicate(this.options.node, peer.node, current, added)) {
      this.giveUpDuplicate(connection, hello);
      return;
    }
    if (current !== null && peer.boot !== hello.boot && !this.mayReplace(peer, current, connection, hello)) return;
    if (peer.boot !== hello.boot) {
      peer.boot = hello.boot;
      peer.seen = 0;
    }
    if (!connection.dialedBySelf) {
      peer.seen = Math.max(peer.seen, hello.dial);
      this.strangers -= 1;
      connection.sendHello(this.hello(peer, hello.dial));
    }
    if (peer.dialing === connection) peer.dialing = null;
    connection.accept(hello);
    this.establish(peer, connection, current, hello);
  }

  /** Whether another life of the peer may take the place of one that is alive: a restart, always. */
  private mayReplace(peer: Peer, current: Connection, connection: Connection, hello: Hello): boolean {
    const { accepted, told } = peer.rivals.judge(peer.boot, hello.boot, performance.now());
    if (told) this.troubles.ofRivals(peer, current, connection);
    if (!accepted) {
      const reason = `another process is connected as node ${peer.node}; stop one`;
      connection.refuse(new Refusal(RefusalCode.wrongNode, reason), AS_PLANNED);
    }
    return accepted;
  }

  private giveUpDuplicate(connection: Connection, hello: Hello): void {
    if (!connection.dialedBySelf) {
      connection.refuse(new Refusal(RefusalCode.duplicate, "both nodes dialed at once"), AS_PLANNED);
      return;
    }
    // The peer has taken this one, until it sees the other: it may have sent frames behind its Hello.
    connection.accept(hello);
    connection.retire();
  }

  private establish(peer: Peer, connection: Connection, old: Connection | null, hello: Hello): void {
    const sameLife = old?.hello?.boot === hello.boot && old.hello.incarnation === hello.incarnation;
    peer.connected(connection);
    this.repeatHello(peer, connection);
    if (old !== null) {
      old.retire();
      if (sameLife) return;
      this.disconnected(peer, "it has started anew");
      // The listener may have closed the net, or dropped the peer.
      if (peer.connection !== connection) return;
    }
    this.connected(peer, connection, hello);
  }

  /** This node may have become another since it dialed. */
  private repeatHello(peer: Peer, connection: Connection): void {
    const { said, dial } = connection;
    if (said === null || (said.incarnation === this.incarnation && said.clusterId === this.clusterId)) return;
    connection.sendHello(this.hello(peer, dial));
  }

  /** What a process says of itself on one connection holds for all that it has: two may be there while dials cross. */
  private identityChanged(peer: Peer, connection: Connection, hello: Hello): void {
    const before = connection.hello;
    if (before === null) return;
    if (before.boot !== hello.boot || before.node !== hello.node) {
      connection.end("its handshake changed while connected");
      return;
    }
    connection.hello = hello;
    const current = peer.connection;
    // Incarnations rise: a lower one has been overtaken by what came over the other connection.
    if (current?.hello?.boot !== hello.boot || hello.incarnation < peer.incarnation) return;
    current.hello = hello;
    if (peer.incarnation === hello.incarnation) return;
    this.disconnected(peer, "it has a new incarnation");
    if (peer.connection === current) this.connected(peer, current, hello);
  }

  private connected(peer: Peer, connection: Connection, hello: Hello): void {
    this.counters.connects += 1;
    peer.incarnation = hello.incarnation;
    const direction = connection.dialedBySelf ? "dialed" : "accepted";
    this.options.logger.info("peer connected", { peer: peer.node, address: connection.address, direction });
    this.listener?.peerConnected(peer.node, hello.incarnation);
  }

  private disconnected(peer: Peer, reason: string): void {
    this.counters.disconnects += 1;
    if (this.listener === null) return;
    this.options.logger.info("peer disconnected", { peer: peer.node, reason });
    this.listener.peerDisconnected(peer.node);
  }

  frameReceived(connection: Connection, payload: Uint8Array): void {
    this.counters.framesReceived += 1;
    const hello = connection.hello;
    if (hello === null || this.listener === null) return;
    if (this.peers.get(hello.node)?.connection !== connection && !this.isLastWord(hello)) return;
    this.listener.frameReceived(hello.node, hello.incarnation, payload);
  }

  /** Whether a frame of a connection that was replaced comes from the same life of the peer as the new one. */
  private isLastWord(hello: Hello): boolean {
    const now = this.peers.get(hello.node)?.connection?.hello;
    return now?.boot === hello.boot && now.incarnation === hello.incarnation;
  }

  private refuse(connection: Connection, refusal: Refusal): void {
    this.peerOf(connection)?.backOffFully(this.limits);
    connection.refuse(refusal, `refused: ${refusal.reason}`);
  }

  refusalReceived(connection: Connection, refusal: Refusal): void {
    if (refusal.code === RefusalCode.duplicate) {
      connection.end(AS_PLANNED);
      return;
    }
    this.counters.refusals += 1;
    this.peerOf(connection)?.backOffFully(this.limits);
    connection.end(`it refuses this node: ${refusal.reason}`);
  }

  connectionEnded(connection: Connection, reason: string): void {
    if (!connection.dialedBySelf && connection.hello === null) {
      this.strangers -= 1;
      if (reason !== AS_PLANNED && this.listener !== null) this.troubles.ofStranger(connection.address, reason);
    }
    const peer = this.peerOf(connection);
    if (peer === null) return;
    if (peer.dialing === connection) {
      peer.dialing = null;
      if (peer.connection === null && reason !== AS_PLANNED) this.troubles.ofPeer(peer, connection, reason);
    }
    if (peer.connection === connection) {
      peer.lost(connection);
      this.disconnected(peer, reason);
    }
    if (this.peers.get(peer.node) === peer && peer.connection === null && peer.dialing === null) {
      peer.scheduleDial(this.limits, this.options.entropy.u48() / TWO_48, this.dialLater);
    }
  }

  socketClosed(connection: Connection): void {
    this.connections.delete(connection);
  }

  /** The peer that the connection is to: known from the handshake, or because we dialed it. */
  private peerOf(connection: Connection): Peer | null {
    return this.peers.get(connection.hello?.node ?? connection.dialed) ?? null;
  }
}

function unknownNode(hello: Hello): Refusal {
  return new Refusal(
    RefusalCode.unknownNode,
    `node ${hello.node} is not a member that this node knows: add it to the cluster, or to "members" of every node`,
  );
}
