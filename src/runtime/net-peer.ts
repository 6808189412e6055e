/** What the net knows of one peer: where it is, the connection to it, and when to dial it again. */
import type { Incarnation, NodeId } from "../core/machine.js";
import type { Connection } from "./net-connection.js";
import type { NetLimits, PeerAddress, PeerStatus } from "./net-options.js";
import { Rivals } from "./net-rivals.js";

export class Peer {
  readonly node: NodeId;
  host: string;
  port: number;
  /** The connection that frames take; null while there is none. */
  connection: Connection | null = null;
  /** Our dial under way: not connected yet, or not answered. */
  dialing: Connection | null = null;
  /** The peer's boot that was seen last, and the highest of that boot's dials that was accepted. */
  boot = -1;
  seen = 0;
  readonly rivals = new Rivals();
  incarnation: Incarnation = 0;
  connects = 0;
  /** Why there is no connection; "" when there is one, or none was tried. */
  problem = "";
  /** Problems that the log has told since the last connection. */
  readonly told = new Set<string>();

  private timer: NodeJS.Timeout | null = null;
  private failures = 0;

  constructor(address: PeerAddress) {
    this.node = address.node;
    this.host = address.host;
    this.port = address.port;
  }

  get address(): string {
    return formatAddress(this.host, this.port);
  }

  /** Calls `dial` after the wait that the failures so far ask for; `random` is in 0 … 1. */
  scheduleDial(limits: NetLimits, random: number, dial: (peer: Peer) => void): void {
    if (this.timer !== null) return;
    const waitMs = redialWaitMs(this.failures, limits, random);
    this.failures += 1;
    this.timer = setTimeout(() => {
      this.timer = null;
      dial(this);
    }, waitMs);
  }

  /** A refusal will not go away within milliseconds: the next wait is the longest. */
  backOffFully(limits: NetLimits): void {
    while (limits.redialMsFirst * 2 ** this.failures < limits.redialMsMax) this.failures += 1;
  }

  cancelDial(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
  }

  connected(connection: Connection): void {
    this.connection = connection;
    this.connects += 1;
    this.problem = "";
    this.told.clear();
    this.cancelDial();
  }

  /** One that did not last counts as a failure: else two nodes that disagree would dial in a tight loop. */
  lost(connection: Connection): void {
    this.connection = null;
    if (connection.lasted) this.failures = 0;
  }

  status(): PeerStatus {
    return {
      node: this.node,
      address: this.address,
      connected: this.connection !== null,
      incarnation: this.incarnation,
      unsentBytes: this.connection === null ? 0 : this.connection.unsentBytes,
      connects: this.connects,
      problem: this.problem,
    };
  }
}

/** Doubles from the first to the longest wait, of which a random half is left out: nodes must not dial in step. */
export function redialWaitMs(failures: number, limits: NetLimits, random: number): number {
  const full = Math.min(limits.redialMsFirst * 2 ** Math.min(failures, 30), limits.redialMsMax);
  return full / 2 + (full / 2) * random;
}

export function formatAddress(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
