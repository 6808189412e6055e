import type { Socket } from "node:net";
import { MemcachedCounts, MemcachedWriter } from "../codec/memcached/index.js";
import type { Backend } from "../kv/backend.js";
import { ClientService, type NodeFacts } from "./client-service.js";
import type { ServerLimits } from "./limits.js";
import { MemcachedConnection } from "./memcached-connection.js";
import { Wire } from "./sniff.js";
import type { ServerStats } from "./stats.js";

/** What the memcached connections of a node share. */
export class MemcachedService extends ClientService<MemcachedWriter, MemcachedConnection> {
  readonly wire = Wire.memcached;
  readonly counts = new MemcachedCounts();

  constructor(backend: Backend, limits: ServerLimits, facts: NodeFacts, stats: ServerStats) {
    super(backend, limits, facts, stats, () => new MemcachedWriter());
  }

  protected connect(id: number, socket: Socket): MemcachedConnection {
    return new MemcachedConnection(id, socket, this, this.backend.openSession({ name: "default" }));
  }
}
