/** A cluster of real processes, whose links lead through proxies. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { Member } from "./member.js";
import { freePort } from "./ports.js";
import { Links } from "./proxy.js";
import { until } from "./wait.js";

export interface ClusterOptions {
  readonly nodes?: number;
  /** Where a node keeps its data, if not in a folder of the cluster's own. */
  readonly dataDir?: (node: number) => string | undefined;
  /** Further flags of `gamut node`; `folder` is the cluster's own. */
  readonly flags?: (node: number, folder: string) => readonly string[];
  /** Sections of the configuration, for all nodes. */
  readonly settings?: Readonly<Record<string, unknown>>;
}

const READY_MS_MAX = 30_000;
const LOG_LINES_SHOWN = 60;

export class Cluster {
  private constructor(
    readonly folder: string,
    readonly members: readonly Member[],
    readonly links: Links,
  ) {}

  /** Starts all nodes and waits for a leader. */
  static async start(options: ClusterOptions = {}): Promise<Cluster> {
    const folder = mkdtempSync(join(tmpdir(), "gamut-processes-"));
    const nodes = Array.from({ length: options.nodes ?? 3 }, (_, i) => i + 1);
    const clientPorts = new Map<number, number>();
    const peerPorts = new Map<number, number>();
    for (const node of nodes) {
      clientPorts.set(node, await freePort());
      peerPorts.set(node, await freePort());
    }
    const links = await Links.open(peerPorts);
    const members = nodes.map((node) => {
      const dataDir = options.dataDir?.(node) ?? join(folder, `node-${node}`);
      mkdirSync(dataDir, { recursive: true });
      const file = join(folder, `node-${node}.yaml`);
      const config = {
        node,
        cluster: "processes",
        dataDir,
        members: nodes.map((other) => ({
          node: other,
          clientPort: clientPorts.get(other),
          // Every node sees the others behind the proxies of its own links.
          peerPort: other === node ? peerPorts.get(node) : links.port(node, other),
        })),
        ...options.settings,
      };
      writeFileSync(file, stringify(config));
      const flags = options.flags?.(node, folder) ?? [];
      return new Member(node, clientPorts.get(node)!, peerPorts.get(node)!, dataDir, file, flags);
    });
    const cluster = new Cluster(folder, members, links);
    try {
      for (const member of members) member.start();
      await cluster.ready();
      return cluster;
    } catch (error) {
      const shown = await cluster.explain(error as Error);
      await cluster.close();
      throw shown;
    }
  }

  member(node: number): Member {
    return this.members[node - 1];
  }

  others(than: Member): Member[] {
    return this.members.filter((member) => member !== than);
  }

  /** Every running node answers, knows the leader and has recovered. Answers the leader. */
  async ready(limitMs = READY_MS_MAX): Promise<Member> {
    return until("all running nodes know one leader", limitMs, async () => {
      const running = this.members.filter((member) => member.isRunning);
      const statuses = await Promise.all(running.map((member) => member.status()));
      const leader = statuses[0]?.leader ?? 0;
      if (leader === 0 || statuses.some((each) => each === null || each.leader !== leader || each.recovering)) {
        return null;
      }
      return running.some((member, i) => member.node === leader && statuses[i]?.role === "leader")
        ? this.member(leader)
        : null;
    });
  }

  /** Who leads, by what the given nodes say. */
  async leader(of: readonly Member[] = this.members, limitMs = READY_MS_MAX): Promise<Member> {
    return until("somebody leads", limitMs, async () => {
      for (const status of await Promise.all(of.map((member) => member.status()))) {
        if (status?.role === "leader") return this.member(status.leader);
      }
      return null;
    });
  }

  async close(): Promise<void> {
    for (const member of this.members) member.resume();
    await Promise.all(this.members.map((member) => member.kill()));
    await this.links.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** The error with every node's state and the end of its log. */
  async explain(error: Error): Promise<Error> {
    const states = await Promise.all(this.members.map((member) => member.status()));
    const logs = this.members.map(({ node, log }, i) => {
      const state = states[i] === null ? "gives no state" : JSON.stringify(states[i]);
      return `--- node ${node} ${state}\n${log.split("\n").slice(-LOG_LINES_SHOWN).join("\n")}`;
    });
    return new Error(`${error.message}\n${logs.join("\n")}`, { cause: error });
  }
}

/** Runs the test on a cluster that is gone afterwards, whatever happens. */
export async function withCluster(options: ClusterOptions, test: (cluster: Cluster) => Promise<void>): Promise<void> {
  const cluster = await Cluster.start(options);
  try {
    await test(cluster);
  } catch (error) {
    throw await cluster.explain(error as Error);
  } finally {
    await cluster.close();
  }
}
