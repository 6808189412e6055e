/** What the peer link says in the log: each trouble clearly, and once. */

import { outgoingPortHint } from "./listen.js";
import type { Logger } from "./log.js";
import type { Connection } from "./net-connection.js";
import { formatAddress, type Peer } from "./net-peer.js";

/** Different troubles that are told of one peer between two connections, and of all strangers together. */
const TOLD_OF_PEER_MAX = 16;
const TOLD_OF_STRANGERS_MAX = 32;

export class TroubleLog {
  private readonly toldOfStrangers = new Set<string>();

  constructor(private readonly logger: Logger) {}

  /** A peer that there should be a connection to. It is told again after the next connection. */
  ofPeer(peer: Peer, connection: Connection, problem: string): void {
    peer.problem = problem;
    if (peer.told.has(problem) || peer.told.size >= TOLD_OF_PEER_MAX) return;
    peer.told.add(problem);
    this.logger.warn("no connection to peer, dialing on", { peer: peer.node, address: connection.address, problem });
  }

  /** Both are alive; only the operator knows which one should be. */
  ofRivals(peer: Peer, current: Connection, added: Connection): void {
    this.logger.warn(`two processes claim to be node ${peer.node}: ${current.address}, ${added.address}; stop one`);
  }

  /** Somebody who connected to the peer port: a port scanner, or a node that does not belong here. */
  ofStranger(address: string, problem: string): void {
    const told = `${address.replace(/:\d+$/, "")} ${problem}`;
    if (this.toldOfStrangers.has(told) || this.toldOfStrangers.size >= TOLD_OF_STRANGERS_MAX) return;
    this.toldOfStrangers.add(told);
    this.logger.warn("closed a connection to the peer port", { address, problem });
    if (this.toldOfStrangers.size < TOLD_OF_STRANGERS_MAX) return;
    this.logger.warn("further troubles on the peer port will not be told");
  }
}

/** Why a dial or a connection failed, in words. */
export function socketProblem(code: string): string {
  switch (code) {
    case "ECONNREFUSED":
      return "nobody listens there (ECONNREFUSED): is the node started?";
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return `its host name is not known (${code}): check "members"`;
    case "EHOSTUNREACH":
    case "ENETUNREACH":
    case "ETIMEDOUT":
      return `no way to it (${code}): check network and firewall`;
    default:
      return code;
  }
}

/** Why it cannot listen, and what to do. */
export function listenProblem(error: NodeJS.ErrnoException, host: string, port: number): string {
  const where = formatAddress(host, port);
  switch (error.code) {
    case "EADDRINUSE":
      return `peer port ${where} is in use${outgoingPortHint(port)}: stop the process that listens there, or choose another peerPort`;
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
      return `cannot listen for peers on ${where}: this machine has no such address; check "listen.host"`;
    case "EACCES":
      return `cannot listen for peers on ${where}: ports below 1024 need privileges; choose another peerPort`;
    default:
      return `cannot listen for peers on ${where}: ${error.message}`;
  }
}
