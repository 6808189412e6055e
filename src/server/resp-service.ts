import { randomInt } from "node:crypto";
import type { Socket } from "node:net";
import { RespWriter } from "../codec/resp/index.js";
import type { Backend } from "../kv/backend.js";
import { ClientService, type NodeFacts } from "./client-service.js";
import { CommandTimes } from "./command-times.js";
import type { ServerLimits } from "./limits.js";
import { RespConnection } from "./resp-connection.js";
import { ScanCursors } from "./scan-cursors.js";
import { Wire } from "./sniff.js";
import type { ServerStats } from "./stats.js";

const CURSOR_BELOW = 2 ** 48 - 1;
/** Keyspaces of which it is known where RANDOMKEY goes on. */
const PLACES_MAX = 1024;

/** What the RESP connections of a node share. */
export class RespService extends ClientService<RespWriter, RespConnection> {
  readonly wire = Wire.resp;
  readonly cursors: ScanCursors;
  readonly times: CommandTimes;
  /** CONFIG SET notify-keyspace-events, of this node. */
  notifyFlags = "";
  /** Keyspace → where RANDOMKEY goes on. */
  readonly randomPlaces = new Map<string, string>();

  constructor(backend: Backend, limits: ServerLimits, facts: NodeFacts, stats: ServerStats) {
    super(backend, limits, facts, stats, () => new RespWriter());
    this.cursors = new ScanCursors(limits.scanCursorsMax, () => randomInt(1, CURSOR_BELOW));
    this.times = new CommandTimes(limits.slowCommandsMax, limits.latencySamplesMax);
  }

  protected connect(id: number, socket: Socket): RespConnection {
    return new RespConnection(id, socket, this, this.backend.openSession({ name: "default" }));
  }

  rememberPlace(keyspace: string, key: string): void {
    if (key === "") this.randomPlaces.delete(keyspace);
    else if (this.randomPlaces.size < PLACES_MAX || this.randomPlaces.has(keyspace))
      this.randomPlaces.set(keyspace, key);
  }
}
