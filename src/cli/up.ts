/** `gamut up`: a whole cluster on this machine, one process a node. */
import { type ChildProcess, fork } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import Table from "cli-table3";
import { stringify } from "yaml";
import type { BackendStatus } from "../kv/backend.js";
import type { Durability } from "../node/options.js";
import { releaseFolder, takeFolder } from "../runtime/folder-lock.js";
import { clusterConfigs, loadNodeConfig, type NodeConfig } from "./config.js";
import { makeFolder, refuseDurableData, shownFolder } from "./data-folder.js";
import { CliError, Exit } from "./exit.js";
import type { NodeMessage } from "./node-process.js";
import { ownName } from "./own-name.js";
import { portInUse } from "./port-probe.js";

const CONFIG_FILE = "config.yaml";
const RESTART_MS = 2_000;
const STOP_MS = 8_000;
/** A node that ends by itself sooner than this after its start is not started again. */
const CRASH_LOOP_MS = 1_000;

export interface UpOptions {
  readonly nodes: number;
  readonly dataDir: string;
  readonly portBase: number;
  readonly durability: Durability;
  readonly restart: boolean;
}

interface RunningNode {
  readonly config: NodeConfig;
  child: ChildProcess | null;
  /** It has died, and is not started again. */
  isLeft: boolean;
  startedMs: number;
  listening: boolean;
  status: BackendStatus | null;
}

/** Returns when the cluster has been stopped. @throws Error if it cannot be started */
export async function up(options: UpOptions): Promise<void> {
  const { nodes, portBase, durability } = options;
  const configs = clusterConfigs({ nodes, dataDir: resolve(options.dataDir), portBase, durability });
  const folder = makeFolder(options.dataDir, "--data");
  // Before anything is written: the nodes of another `up` on this folder would read it when they are started again.
  const lock = takeFolder(folder);
  try {
    if (durability !== "memory") refuseOtherMembers(configs);
    else for (const { dataDir } of configs) refuseDurableData(dataDir, "--memory", "--data");
    for (const { listen } of configs) {
      const problem =
        (await portInUse(listen.host, listen.clientPort, "--port-base")) ??
        (await portInUse(listen.host, listen.peerPort, "--port-base"));
      if (problem !== null) throw new Error(problem);
    }
    if (durability !== "memory") tellDurabilityBefore(configs[0]);
    await new Cluster(options, folder, configs).run();
  } finally {
    releaseFolder(lock);
  }
}

/** The nodes would refuse it one by one, and some would begin a cluster of their own in new folders. */
function refuseOtherMembers(configs: readonly NodeConfig[]): void {
  for (const { dataDir } of configs) {
    if (!existsSync(join(dataDir, "log"))) continue;
    const before = configBefore(dataDir);
    if (before === null || before.durability === "memory" || before.members.length === configs.length) continue;
    const count = before.members.length;
    const found = `${shownFolder(dirname(dataDir))} holds a cluster of ${count} node${count === 1 ? "" : "s"}`;
    const way = `start it with --nodes ${count}, or begin a new one in another folder with --data`;
    throw new CliError(Exit.failed, `${found}, and the members of a cluster cannot change yet: ${way}`);
  }
}

/** What an answered write is worth is not to change in silence. */
function tellDurabilityBefore({ dataDir, durability }: NodeConfig): void {
  const before = existsSync(join(dataDir, "log")) ? configBefore(dataDir)?.durability : undefined;
  if (before === undefined || before === "memory" || before === durability) return;
  console.log(
    `Durability was ${before} here and is ${durability} from now on; --durability ${before} goes on with that`,
  );
}

/** What the last `up` wrote for this node; null if that cannot be told. */
function configBefore(dataDir: string): NodeConfig | null {
  try {
    return loadNodeConfig(join(dataDir, CONFIG_FILE));
  } catch {
    return null;
  }
}

class Cluster {
  private readonly nodes: RunningNode[];
  private stopping = false;
  private shown = false;
  private stopped!: () => void;

  constructor(
    private readonly options: UpOptions,
    private readonly folder: string,
    configs: readonly NodeConfig[],
  ) {
    this.nodes = configs.map((config) => ({
      config,
      child: null,
      isLeft: false,
      startedMs: 0,
      listening: false,
      status: null,
    }));
  }

  async run(): Promise<void> {
    const { nodes } = this;
    console.log(`Starting ${nodes.length} node${nodes.length === 1 ? "" : "s"}, data in ${this.where()}`);
    const stopped = new Promise<void>((done) => {
      this.stopped = done;
    });
    const stop = (): void => this.stop();
    process.on("SIGINT", stop);
    process.on("SIGTERM", stop);
    try {
      for (const node of nodes) this.startNode(node);
    } catch (error) {
      console.error(`gamut: ${(error as Error).message}`);
      process.exitCode = Exit.failed;
      this.stop();
    }
    await stopped;
    process.off("SIGINT", stop);
    process.off("SIGTERM", stop);
  }

  private get inMemory(): boolean {
    return this.options.durability === "memory";
  }

  private where(): string {
    return this.inMemory ? "memory (nothing survives a stop)" : shownFolder(this.folder);
  }

  private startNode(node: RunningNode): void {
    const { config } = node;
    mkdirSync(config.dataDir, { recursive: true });
    const file = join(config.dataDir, CONFIG_FILE);
    writeFileSync(file, stringify(configFile(config)));
    const log = openSync(join(config.dataDir, "node.log"), "a");
    const child = fork(fileURLToPath(new URL("../../bin/gamut.js", import.meta.url)), ["node", "--config", file], {
      stdio: ["ignore", log, log, "ipc"],
      // Its own process group: Ctrl-C is for us, and we stop the nodes one after the other.
      detached: true,
    });
    closeSync(log);
    node.child = child;
    node.startedMs = Date.now();
    child.on("message", (message) => this.heard(node, message as NodeMessage));
    child.on("exit", (code, signal) => this.exited(node, child, code, signal));
  }

  private heard(node: RunningNode, message: NodeMessage): void {
    if (message.type === "notice") {
      console.error(`node ${node.config.node}: ${message.text}`);
      return;
    }
    if (message.type === "listening") {
      node.listening = true;
      if (this.shown) return;
      const count = this.nodes.filter((each) => each.listening).length;
      console.log(`node ${node.config.node} is up (${count} of ${this.nodes.length}), forming the cluster …`);
      return;
    }
    node.status = message.status;
    if (this.shown) console.log(`node ${node.config.node} is up again`);
    else if (this.nodes.every((each) => each.status !== null)) {
      this.shown = true;
      this.show(message.status);
    }
  }

  private show(status: BackendStatus): void {
    const table = new Table({
      head: ["node", "clients", "peers", "process", "role"],
      style: { head: [], border: [] },
    });
    const leader = status.keyspaces.find((keyspace) => keyspace.name === "default")?.leader;
    for (const { config, child } of this.nodes) {
      const { host, clientPort, peerPort } = config.listen;
      const role = config.node === leader ? "leader" : "follower";
      table.push([config.node, `${host}:${clientPort}`, `${host}:${peerPort}`, child?.pid ?? "", role]);
    }
    const { host, clientPort } = this.nodes[0].config.listen;
    console.log(table.toString());
    console.log(`redis    redis-cli -h ${host} -p ${clientPort} SET greeting hello`);
    console.log(`memcache printf 'get greeting\\r\\nquit\\r\\n' | nc ${host} ${clientPort}`);
    console.log(`http     curl http://${host}:${clientPort}/v1/keyspaces/default/keys/greeting`);
    console.log(`gamut    ${ownName()} get greeting --address ${host}:${clientPort}`);
    const left = this.inMemory ? "nothing stays" : `the data stay in ${shownFolder(this.folder)}`;
    console.log(`any node takes any request. Ctrl-C stops; ${left}`);
    console.log(`ready    cluster ${status.clusterId}`);
  }

  private exited(node: RunningNode, child: ChildProcess, code: number | null, signal: string | null): void {
    if (node.child !== child) return;
    node.child = null;
    node.listening = false;
    if (this.stopping) return;
    const how = signal === null ? `with code ${code}` : `by ${signal}`;
    const lived = Date.now() - node.startedMs;
    const log = shownFolder(join(node.config.dataDir, "node.log"));
    console.error(`node ${node.config.node} ended ${how} (process ${child.pid}); its log is ${log}`);
    if (!this.shown && signal === null) {
      process.exitCode = Exit.failed;
      this.stop();
    } else if (!this.options.restart) this.leave(node, "is left dead");
    else if (signal === null && lived < CRASH_LOOP_MS) {
      this.leave(node, `is not started again: it ended ${lived} ms after its start`);
    } else setTimeout(() => this.restart(node), RESTART_MS);
  }

  /** With nobody left there is nothing to wait for. */
  private leave(node: RunningNode, why: string): void {
    const { config } = node;
    node.isLeft = true;
    const file = shownFolder(join(config.dataDir, CONFIG_FILE));
    console.error(`node ${config.node} ${why}. By hand: ${ownName()} node --config ${file}`);
    if (!this.nodes.every(({ isLeft }) => isLeft)) return;
    console.error("no node is left that this command runs: it ends");
    process.exitCode = Exit.failed;
    this.stop();
  }

  private restart(node: RunningNode): void {
    if (this.stopping) return;
    try {
      this.startNode(node);
    } catch (error) {
      this.leave(node, `cannot be started again: ${(error as Error).message}`);
    }
  }

  /** The first time by the book; who asks again is in a hurry. */
  private stop(): void {
    if (this.stopping) {
      console.log("killing …");
      for (const { child } of this.nodes) child?.kill("SIGKILL");
      return;
    }
    this.stopping = true;
    console.log("stopping …");
    void this.stopNodes().then(this.stopped);
  }

  /** One after the other, so that leadership can be handed over as long as there is somebody to take it. */
  private async stopNodes(): Promise<void> {
    for (const node of this.nodes) await stopNode(node);
    console.log("stopped");
  }
}

function stopNode({ child }: RunningNode): Promise<void> {
  if (child === null) return Promise.resolve();
  return new Promise((done) => {
    const kill = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
    child.once("exit", () => {
      clearTimeout(kill);
      done();
    });
    child.kill("SIGTERM");
  });
}

/** What `gamut node --config` reads back. */
function configFile(config: NodeConfig): object {
  const { node, cluster, dataDir, listen, members, durability } = config;
  return { node, cluster, dataDir, listen, members, durability };
}
