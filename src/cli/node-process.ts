/** One member of a cluster as a process: node, client port, signals. */
import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import "../runtime/fast-bytes.js";
import type { BackendStatus } from "../kv/backend.js";
import { NODE_DEFAULTS, type NodeOptions } from "../node/options.js";
import { readBootId } from "../runtime/boot-id.js";
import { LineLogger, type Logger } from "../runtime/log.js";
import { Member, NotStarted } from "../runtime/member.js";
import { RECORDING_FILE } from "../runtime/recording.js";
import { ClientListener } from "../server/listener.js";
import type { NodeConfig } from "./config.js";
import { configWarnings } from "./config-warnings.js";
import { makeFolder, refuseDurableData } from "./data-folder.js";
import { CliError, Exit } from "./exit.js";
import { ParentLogger } from "./parent-logger.js";
import { portInUseFor } from "./port-probe.js";
import { BUILD_VERSION } from "./version.js";

/** A node that finds its data damaged starts again, as a new life, this often. */
const REBUILDS_MAX = 3;
const READY_POLL_MS = 50;
/** So long may pass between two syncs of the log with durability `os`. */
const SYNC_MS = 1_000;
/** How long a port that this process had may be another's when it starts its node again. */
const PORT_RETRY_MS = 10_000;

/** What a node under `gamut up` tells its parent. */
export type NodeMessage =
  | { readonly type: "listening" }
  | { readonly type: "ready"; readonly status: BackendStatus }
  /** Worth a line on the parent's screen: a warning, or why the node ends. */
  | { readonly type: "notice"; readonly text: string };

/** `recordFolder`: where to write all that enters the node; undefined: nowhere. @throws CliError before anything is done */
export async function runNode(config: NodeConfig, recordFolder?: string): Promise<void> {
  if (config.durability !== "memory") makeFolder(config.dataDir, "--data-dir or dataDir");
  else refuseDurableData(config.dataDir, "durability: memory", "--data-dir or dataDir");
  if (recordFolder !== undefined) takeRecordFolder(recordFolder);
  const own = new LineLogger({ node: config.node, level: config.log.level, json: config.log.json });
  const logger = process.connected ? new ParentLogger(own, (text) => tellParent({ type: "notice", text })) : own;
  for (const warning of configWarnings(config, readBootId())) logger.warn(warning);
  const process_ = new NodeProcess(config, logger, recordFolder);
  await process_.run();
}

/** A recording is wanted after a crash: the start that follows must not write over it. */
function takeRecordFolder(folder: string): void {
  makeFolder(folder, "--record");
  const file = join(folder, RECORDING_FILE);
  if (!existsSync(file)) return;
  const { size, mtime } = statSync(file);
  const found = `${file} is a recording already (${(size / 1e6).toFixed(1)} MB, last written ${mtime.toISOString()})`;
  throw new CliError(Exit.failed, `${found}: name another folder with --record, or move it away`);
}

class NodeProcess {
  private member: Member | null = null;
  private listener: ClientListener | null = null;
  private rebuilds = 0;
  private stopping = false;
  /** Which start is under way or has led to what runs now: what an earlier one still has to say counts for nothing. */
  private life = 0;
  /** The start under way, or the last one. */
  private started: Promise<void> = Promise.resolve();

  constructor(
    private readonly config: NodeConfig,
    private readonly logger: Logger,
    private readonly recordFolder: string | undefined,
  ) {}

  async run(): Promise<void> {
    const stop = (): void => void this.stop();
    process.on("SIGINT", stop);
    process.on("SIGTERM", stop);
    // The parent is gone: nobody else would stop this node.
    if (process.channel !== undefined) process.on("disconnect", stop);
    await this.startOrRepair();
  }

  private async startOrRepair(): Promise<void> {
    this.life += 1;
    const { life } = this;
    try {
      this.started = this.start(life);
      await this.started;
    } catch (error) {
      if (error instanceof NotStarted) await this.fatal(life, error.message, error.again);
      else if (life === this.life) this.fail((error as Error).message);
    }
  }

  private async start(life: number): Promise<void> {
    const { config } = this;
    const { host, clientPort, peerPort } = config.listen;
    // The first time somebody else runs there; at a later start it is a connection that will go.
    const retryMs = this.rebuilds === 0 ? 0 : PORT_RETRY_MS;
    const problem =
      (await portInUseFor(retryMs, host, clientPort, "listen.clientPort or --client-port")) ??
      (await portInUseFor(retryMs, host, peerPort, "listen.peerPort or --peer-port"));
    if (problem !== null) throw new Error(problem);
    this.member = await Member.start({
      node: nodeOptions(config),
      clusterName: config.cluster,
      folder: dataFolder(config),
      listenHost: host,
      peerUnsentBytes: config.limits.peerUnsentBytes,
      peerPort,
      peers: config.members.map((member) => ({ node: member.node, host: member.host, port: member.peerPort })),
      logger: this.logger,
      onFatal: (reason, rebuild) => void this.fatal(life, reason, rebuild),
      ...(this.recordFolder !== undefined && { recordFolder: this.recordOfThisStart(this.recordFolder) }),
    });
    this.listener = await ClientListener.listen({
      backend: this.member.node,
      host,
      port: clientPort,
      durability: config.durability,
      limits: { connectionsMax: config.limits.clientConnections },
    });
    this.logger.info("listening", { clients: `${host}:${clientPort}`, peers: `${host}:${peerPort}` });
    tellParent({ type: "listening" });
    this.reportReady();
  }

  /** A start after damage is another node to a replay: it gets a folder of its own. */
  private recordOfThisStart(folder: string): string {
    const of = this.rebuilds === 0 ? folder : join(folder, `rebuild-${this.rebuilds}`);
    this.logger.info("recording all that enters this node", { folder: of });
    return of;
  }

  private reportReady(): void {
    const timer = setInterval(() => {
      if (this.member === null) {
        clearInterval(timer);
        return;
      }
      const status = this.member.node.status();
      if (!status.keyspaces.some((keyspace) => keyspace.name === "default" && keyspace.leader !== 0)) return;
      clearInterval(timer);
      this.logger.info("ready", { cluster: status.clusterId });
      tellParent({ type: "ready", status });
    }, READY_POLL_MS);
  }

  /** The node and the check of its state may both find the same damage: the first ends that life. */
  private async fatal(life: number, reason: string, rebuild: boolean): Promise<void> {
    if (life !== this.life) return;
    this.life += 1;
    if (!rebuild || this.rebuilds >= REBUILDS_MAX) {
      this.fail(reason);
      return;
    }
    this.logger.error(reason);
    this.rebuilds += 1;
    // Damage can be found while the ports are still being opened: what is half open cannot be closed.
    await this.started.catch(() => {});
    await this.closeAll();
    await this.startOrRepair();
  }

  private async closeAll(): Promise<void> {
    const { member, listener } = this;
    this.member = null;
    this.listener = null;
    await listener?.close();
    await member?.close();
  }

  private fail(problem: string): void {
    if (process.connected) this.logger.error(problem);
    else console.error(`gamut: ${problem}`);
    // What was said must be out before the process is.
    setTimeout(() => process.exit(Exit.failed), 50);
  }

  private async stop(): Promise<void> {
    if (this.stopping) return;
    this.stopping = true;
    this.logger.info("stopping");
    await this.listener?.close();
    await this.member?.stop();
    if (this.config.durability === "memory") rmSync(dataFolder(this.config), { recursive: true, force: true });
    this.logger.info("stopped");
    process.exit(0);
  }
}

function tellParent(message: NodeMessage): void {
  if (process.connected) process.send?.(message);
}

/** With `memory` durability nothing outlives the process: the files are in memory, and begin empty. */
function dataFolder(config: NodeConfig): string {
  if (config.durability !== "memory") return config.dataDir;
  removeLeftovers();
  const folder = join(memoryRoot(), `gamut-${config.cluster}-${config.node}-${process.pid}`);
  mkdirSync(folder, { recursive: true });
  return folder;
}

function memoryRoot(): string {
  return process.platform === "linux" ? "/dev/shm" : tmpdir();
}

/** Those of nodes that were killed still take memory. */
function removeLeftovers(): void {
  for (const name of readdirSync(memoryRoot())) {
    const pid = /^gamut-.+-\d+-(\d+)$/.exec(name)?.[1];
    if (pid === undefined || isAlive(Number(pid))) continue;
    try {
      rmSync(join(memoryRoot(), name), { recursive: true, force: true });
    } catch {
      // Another user's.
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function nodeOptions(config: NodeConfig): NodeOptions {
  const { timing, limits, watch, gossip } = config;
  return {
    ...NODE_DEFAULTS,
    node: config.node,
    members: config.members.map((member) => ({
      node: member.node,
      peerAddress: `${member.host}:${member.peerPort}`,
      clientAddress: `${member.host}:${member.clientPort}`,
    })),
    buildVersion: BUILD_VERSION,
    tickMs: timing.tickMs,
    requestTimeoutMs: limits.requestTimeoutMs,
    watch: {
      ...NODE_DEFAULTS.watch,
      history: { changesMax: watch.changes, bytesMax: watch.bytes, ageMsMax: watch.ageMs },
    },
    gossip: { ...NODE_DEFAULTS.gossip, ...gossip },
    durability: config.durability,
    bootId: readBootId(),
    log: { ...NODE_DEFAULTS.log, syncTicks: Math.max(1, Math.round(SYNC_MS / timing.tickMs)) },
    raft: {
      ...NODE_DEFAULTS.raft,
      heartbeatTicks: Math.max(1, Math.round(timing.heartbeatMs / timing.tickMs)),
      electionTicks: Math.max(3, Math.round(timing.electionMs / timing.tickMs)),
    },
  };
}
