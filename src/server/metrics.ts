/** The metrics of a node in Prometheus' text format. The only module that knows prom-client. */
import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";
import type { BackendStatus, KeyspaceStatus } from "../kv/backend.js";
import { Op } from "../kv/command.js";
import { hasLeader } from "../kv/grants.js";
import { LATENCY_BOUNDS, type Latencies } from "./request-counts.js";
import { Wire } from "./sniff.js";
import type { ServerStats } from "./stats.js";

/** Where the numbers are. They are fetched when somebody asks, and cost nothing before. */
export interface MetricSources {
  readonly stats: ServerStats;
  readonly status: () => BackendStatus;
  /** Open connections by wire; `undecided` has sent no whole line yet. */
  readonly connections: () => Readonly<Partial<Record<keyof typeof Wire, number>>>;
}

const ROLES = ["leader", "follower", "candidate"];

/** Event loop, garbage collection, memory and CPU are the process', and watched once, however often a node starts in it. */
let processRegistry: Registry | null = null;

function watchProcess(): Registry {
  if (processRegistry === null) {
    processRegistry = new Registry();
    collectDefaultMetrics({ register: processRegistry });
  }
  return processRegistry;
}

export class Metrics {
  private readonly process = watchProcess();
  private readonly registry = new Registry();
  /** As it was when the text was asked for: one look for all metrics of it. */
  private status: BackendStatus;

  constructor(private readonly sources: MetricSources) {
    this.status = sources.status();
    this.addServer();
    this.addKeyspaces();
    this.registry.registerMetric(new LatencyMetric(sources.stats) as unknown as Counter);
  }

  get contentType(): string {
    return this.registry.contentType;
  }

  async text(): Promise<string> {
    this.status = this.sources.status();
    return `${await this.registry.metrics()}\n${await this.process.metrics()}`;
  }

  private addServer(): void {
    const { stats, connections } = this.sources;
    this.counter("gamut_requests_total", "Requests answered", ["wire", "command", "outcome"], (set) => {
      stats.requests.each((wire, op, outcome, count) =>
        set({ wire: wireName(wire), command: commandName(op), outcome }, count),
      );
    });
    this.counter("gamut_connections_accepted_total", "Client connections taken in", [], (set) => {
      set({}, stats.connections);
    });
    this.counter("gamut_connections_rejected_total", "Client connections past the limit", [], (set) => {
      set({}, stats.rejected);
    });
    this.gauge("gamut_connections", "Open client connections", ["wire"], (set) => {
      for (const [wire, count] of Object.entries(connections())) set({ wire }, count);
    });
    this.gauge("gamut_node_info", "Always 1; the labels tell", ["node", "cluster", "version"], (set) => {
      const { node, clusterId, version } = this.status;
      set({ node: String(node), cluster: clusterId, version }, 1);
    });
    this.gauge("gamut_peer_connected", "1 if the link to that node is up", ["peer"], (set) => {
      const { node, members } = this.status;
      for (const member of members) {
        if (member.node !== node) set({ peer: String(member.node) }, member.connected ? 1 : 0);
      }
    });
  }

  /** Those whose writes have a leader, terms and positions. */
  private get raftKeyspaces(): readonly KeyspaceStatus[] {
    return this.status.keyspaces.filter(({ protocol }) => hasLeader(protocol));
  }

  private addKeyspaces(): void {
    const each = (name: string, help: string, value: (keyspace: KeyspaceStatus) => number | null): void => {
      this.gauge(name, help, ["keyspace"], (set) => {
        for (const keyspace of name.startsWith("gamut_raft_") ? this.raftKeyspaces : this.status.keyspaces) {
          const now = value(keyspace);
          if (now !== null) set({ keyspace: keyspace.name }, now);
        }
      });
    };
    each("gamut_raft_leader", "Number of the leader's node; 0 while none is known", (keyspace) => keyspace.leader);
    each("gamut_raft_term", "Raft's term", (keyspace) => keyspace.epoch);
    each("gamut_raft_last_position", "Last log position of this replica", (keyspace) => keyspace.lastPosition);
    each("gamut_raft_commit_position", "Log position committed, as known here", (keyspace) => keyspace.commitPosition);
    each("gamut_raft_applied_position", "Log position applied to the state", (keyspace) => keyspace.appliedPosition);
    each("gamut_raft_apply_lag", "Log positions committed and not applied yet", (keyspace) =>
      Math.max(0, keyspace.commitPosition - keyspace.appliedPosition),
    );
    each(
      "gamut_checkpoint_position",
      "Log position of the last durable checkpoint",
      (keyspace) => keyspace.checkpointPosition,
    );
    each("gamut_keys", "Records held", (keyspace) => keyspace.keys);
    each("gamut_recovering", "1 while this replica rebuilds what it has lost", ({ recovering }) =>
      recovering ? 1 : 0,
    );
    this.gauge("gamut_raft_role", "1 for the role that this replica has", ["keyspace", "role"], (set) => {
      for (const { name, role } of this.raftKeyspaces) {
        for (const each of ROLES.includes(role) ? ROLES : [...ROLES, role]) {
          set({ keyspace: name, role: each }, role === each ? 1 : 0);
        }
      }
    });
    this.gauge(
      "gamut_raft_replica_lag",
      "Log positions that a replica does not hold durably yet, as the leader knows it; another node knows its own alone",
      ["keyspace", "replica"],
      (set) => {
        for (const { name, progress, lastPosition } of this.raftKeyspaces) {
          for (const { node, durablePosition } of progress) {
            set({ keyspace: name, replica: String(node) }, Math.max(0, lastPosition - durablePosition));
          }
        }
      },
    );
  }

  private gauge(name: string, help: string, labelNames: string[], collect: (set: Setter) => void): void {
    const gauge: Gauge = new Gauge({
      name,
      help,
      labelNames,
      registers: [this.registry],
      collect: () => {
        gauge.reset();
        collect((labels, value) => gauge.set(labels, value));
      },
    });
  }

  private counter(name: string, help: string, labelNames: string[], collect: (set: Setter) => void): void {
    const counter: Counter = new Counter({
      name,
      help,
      labelNames,
      registers: [this.registry],
      collect: () => {
        counter.reset();
        collect((labels, value) => counter.inc(labels, value));
      },
    });
  }
}

type Setter = (labels: Record<string, string>, value: number) => void;

interface Sample {
  readonly metricName: string;
  readonly labels: Record<string, string | number>;
  readonly value: number;
}

/** A histogram whose buckets are counted elsewhere: prom-client's own takes one observation at a time. */
class LatencyMetric {
  readonly name = "gamut_request_duration_seconds";

  constructor(private readonly stats: ServerStats) {}

  /** As prom-client asks each of its metrics. */
  get(): Promise<object> {
    const values: Sample[] = [];
    this.stats.requests.eachLatency((wire, isWrite, latencies) => {
      const labels = { wire: wireName(wire), kind: isWrite ? "write" : "read" };
      values.push(...this.samples(labels, latencies));
    });
    const help = "From a whole request to its answer";
    return Promise.resolve({ name: this.name, help, type: "histogram", values, aggregator: "sum" });
  }

  reset(): void {}

  private samples(labels: Record<string, string>, { counts, seconds }: Latencies): Sample[] {
    const samples: Sample[] = [];
    let sum = 0;
    for (let i = 0; i < counts.length; i += 1) {
      sum += counts[i];
      const le = i < LATENCY_BOUNDS.length ? LATENCY_BOUNDS[i] : "+Inf";
      samples.push({ metricName: `${this.name}_bucket`, labels: { ...labels, le }, value: sum });
    }
    samples.push({ metricName: `${this.name}_sum`, labels, value: seconds });
    samples.push({ metricName: `${this.name}_count`, labels, value: sum });
    return samples;
  }
}

function wireName(wire: Wire): string {
  return Object.keys(Wire).find((name) => Wire[name as keyof typeof Wire] === wire) ?? "";
}

/** `getMany` as `get_many`. */
function commandName(op: Op): string {
  const name = Object.keys(Op).find((each) => Op[each as keyof typeof Op] === op) ?? "";
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
