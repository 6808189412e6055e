/** Options, limits and counters of the peer link. */
import type { Incarnation, NodeId } from "../core/machine.js";
import type { Entropy } from "../node/ports.js";
import { LISTEN_RETRY_MS } from "./listen.js";
import type { Logger } from "./log.js";

export interface PeerAddress {
  readonly node: NodeId;
  readonly host: string;
  readonly port: number;
}

/** What may change while the node runs. */
export interface NetIdentity {
  /** "" as long as it is not known. */
  readonly clusterId: string;
  readonly incarnation: Incarnation;
}

export interface NetLimits {
  /** Past this a peer's frames are dropped: it reads too slowly, or not at all. */
  readonly unsentBytesMax: number;
  /** Period of the housekeeping: keepalives, silence, handshakes that take too long. */
  readonly sweepMs: number;
  /** A connection without a byte for so long is dead. Several times `sweepMs`, for keepalives come with each sweep. */
  readonly silenceMs: number;
  /** From the TCP connection (or the dial) to a handshake that has passed. */
  readonly handshakeMs: number;
  /** Strangers at a time that have not shown a handshake yet. */
  readonly strangersMax: number;
  /** Wait before the first redial; it doubles with each failure. */
  readonly redialMsFirst: number;
  readonly redialMsMax: number;
  /** How long another may have the port before that is an error. */
  readonly listenRetryMs: number;
}

export const DEFAULT_NET_LIMITS: NetLimits = {
  unsentBytesMax: 64 * 1024 * 1024,
  sweepMs: 250,
  silenceMs: 3000,
  handshakeMs: 2000,
  strangersMax: 64,
  redialMsFirst: 20,
  redialMsMax: 500,
  listenRetryMs: LISTEN_RETRY_MS,
};

export interface NetOptions extends NetIdentity {
  readonly node: NodeId;
  /** The cluster's name in the configuration. */
  readonly clusterName: string;
  /** Where to listen for peers. Port 0: any that is free. */
  readonly host: string;
  readonly port: number;
  readonly entropy: Entropy;
  readonly logger: Logger;
  readonly limits?: Partial<NetLimits>;
}

/** All since the start of the process. */
export class NetCounters {
  bytesSent = 0;
  bytesReceived = 0;
  framesSent = 0;
  framesReceived = 0;
  /** Socket writes; framesSent ÷ writes is how well turns are batched. */
  writes = 0;
  /** Frames not sent because the peer was not connected. */
  droppedDisconnected = 0;
  /** Frames not sent because the peer's buffer was full. */
  droppedOverLimit = 0;
  /** Handshakes passed. */
  connects = 0;
  disconnects = 0;
  dials = 0;
  /** Handshakes refused, by either side. */
  refusals = 0;
  codecErrors = 0;
}

export interface PeerStatus {
  readonly node: NodeId;
  readonly address: string;
  readonly connected: boolean;
  /** 0 before the first connection. */
  readonly incarnation: Incarnation;
  readonly unsentBytes: number;
  readonly connects: number;
  /** Why there is no connection; "" when there is one or none was tried. */
  readonly problem: string;
}
