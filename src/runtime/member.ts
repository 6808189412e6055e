/** One member of a cluster in this process: the ports on a data folder and the peer port, and the node on top of them. */
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import type { NodeHooks } from "../node/hooks.js";
import { IDENTITY_FILE, Identity } from "../node/identity.js";
import { GamutNode } from "../node/node.js";
import type { NodeOptions } from "../node/options.js";
import type { DiskError } from "../node/ports.js";
import { type NodeFacade, RecordedNode } from "../node/record/recorded-node.js";
import { recordingPorts } from "../node/record/recording-ports.js";
import { unsyncedDamage } from "../node/unsynced-note.js";
import { RuntimeClock } from "./clock.js";
import { FileDisk } from "./disk.js";
import { RuntimeEntropy } from "./entropy.js";
import { releaseFolder, takeFolder } from "./folder-lock.js";
import type { Logger } from "./log.js";
import { TcpNet } from "./net.js";
import type { PeerAddress } from "./net-options.js";
import { openRecording } from "./recording.js";
import { LmdbStateStore } from "./state-store.js";
import { StateFolderDamaged } from "./state-store-environment.js";
import { type FolderVerdict, verifyStateInChild } from "./verify-state.js";

/** A start waits so long for the check of the state; after that it goes on beside the node, which answers nobody until then. */
const VERIFY_WAIT_MS = 250;
const VERIFY_RETRY_MS = 5_000;

export interface MemberOptions {
  readonly node: NodeOptions;
  readonly clusterName: string;
  readonly folder: string;
  readonly listenHost: string;
  /** What may wait for one slow peer, in bytes. */
  readonly peerUnsentBytes: number;
  readonly peerPort: number;
  readonly peers: readonly PeerAddress[];
  readonly logger: Logger;
  /** The node has stopped by itself. `rebuild`: starting again repairs it. */
  readonly onFatal: (reason: string, rebuild: boolean) => void;
  readonly hooks?: NodeHooks;
  /** Write all that enters the node into a file of this folder: see `gamut sim --replay`. */
  readonly recordFolder?: string;
}

/** A member that does not run, and why. `again`: starting it once more repairs that. */
export class NotStarted extends Error {
  override readonly name = "NotStarted";

  constructor(
    message: string,
    readonly again: boolean,
  ) {
    super(message);
  }
}

/** What outlives its steps: once it is over, nothing that still comes back says anything, nor is repaired by anybody. */
class Life {
  isOver = false;
  /** Ends a check of the state that is under way. */
  stopCheck: () => void = () => {};

  end(): void {
    this.isOver = true;
    this.stopCheck();
  }
}

/** Ports, node and folder of one member. */
export class Member {
  /** What a check that went on beside the node has found. */
  private stateDamage = "";

  private constructor(
    readonly node: NodeFacade,
    readonly net: TcpNet,
    private readonly clock: RuntimeClock,
    private readonly disk: FileDisk,
    private readonly store: LmdbStateStore,
    private readonly lock: string,
    private readonly stateFolder: string,
    private readonly logger: Logger,
    private readonly life: Life,
  ) {}

  /** Rejects with {@link NotStarted} or another error that says why this member cannot run. */
  static async start(options: MemberOptions): Promise<Member> {
    const { folder, logger } = options;
    mkdirSync(folder, { recursive: true });
    const lock = takeFolder(folder);
    try {
      return await Member.open(options, lock);
    } catch (error) {
      releaseFolder(lock);
      logger.debug("start failed", { problem: (error as Error).message });
      throw error;
    }
  }

  private static async open(options: MemberOptions, lock: string): Promise<Member> {
    const { folder, logger } = options;
    const stateFolder = join(folder, "state");
    const life = new Life();
    const onFatal = (reason: string, rebuild: boolean): void => {
      if (!life.isOver) options.onFatal(reason, rebuild);
    };
    keepStateAside(folder, stateFolder, options);
    const check = existsSync(stateFolder) ? await verify(stateFolder, logger, life) : NOTHING_TO_CHECK;
    const store = openStore(stateFolder, logger);
    const disk = FileDisk.open(join(folder, "log"), { writesAtOnce: options.node.durability === "os" });
    const clock = new RuntimeClock();
    const entropy = new RuntimeEntropy();
    const net = new TcpNet({
      node: options.node.node,
      clusterName: options.clusterName,
      clusterId: "",
      incarnation: 0,
      host: options.listenHost,
      port: options.peerPort,
      entropy,
      logger,
      limits: { unsentBytesMax: options.peerUnsentBytes },
    });
    const recorder = options.recordFolder === undefined ? null : openRecording(options.recordFolder, options.node);
    const ports = { clock, entropy, net, disk, store };
    const bare = new GamutNode(
      options.node,
      recorder === null ? ports : recordingPorts(ports, recorder),
      {
        identityChanged: (identity) => net.updateIdentity(identity),
        notice: (message) => logger.warn(message),
        fatal: onFatal,
      },
      options.hooks,
    );
    const node = recorder === null ? bare : new RecordedNode(bare, recorder);
    const member = new Member(node, net, clock, disk, store, lock, stateFolder, logger, life);
    try {
      await new Promise<void>((resolve, reject) => {
        node.start((problem, again) => (problem === null ? resolve() : reject(new NotStarted(problem, again))));
      });
      net.setPeers(options.peers);
      await new Promise<void>((resolve, reject) => {
        net.start(node, (problem) => (problem === null ? resolve() : reject(new NotStarted(problem, false))));
      });
    } catch (error) {
      await member.closePorts();
      throw error;
    }
    clock.start(() => node.turn(), options.node.tickMs);
    if (check.goesOn !== null) {
      node.stateVerified(false);
      void check.goesOn.then((damage) => {
        member.stateDamage = damage;
        if (life.isOver) return;
        if (damage === "") node.stateVerified(true);
        else onFatal(damage, true);
      });
    }
    return member;
  }

  /** Hands leadership over, writes a checkpoint, closes everything. */
  async stop(): Promise<void> {
    await new Promise<void>((resolve) => this.node.stop(resolve));
    await this.close();
  }

  private async closePorts(): Promise<void> {
    this.life.end();
    this.clock.stop();
    await new Promise<void>((resolve) => this.net.close(resolve));
    await new Promise<DiskError | null>((resolve) => this.store.close(resolve));
    this.disk.close();
  }

  async close(): Promise<void> {
    await this.closePorts();
    if (this.stateDamage !== "") setAside(this.stateFolder, this.stateDamage, this.logger);
    releaseFolder(this.lock);
  }
}

interface StateCheck {
  /** Null when the check is done; else it tells the damage later, "" for none. */
  readonly goesOn: Promise<string> | null;
}

const NOTHING_TO_CHECK: StateCheck = { goesOn: null };

/** Checks the state before it is used, for a while; what takes longer goes on beside the node. */
async function verify(stateFolder: string, logger: Logger, life: Life): Promise<StateCheck> {
  let settled: string | null = null;
  const damage = findDamage(stateFolder, logger, life).then((found) => {
    settled = found;
    return found;
  });
  await Promise.race([damage, delay(VERIFY_WAIT_MS)]);
  if (settled === null) {
    logger.info("the state is being checked; this node answers nobody until that is done");
    return { goesOn: damage };
  }
  if (settled !== "") setAside(stateFolder, settled, logger);
  return NOTHING_TO_CHECK;
}

/** "" when the state is sound. A check that came to no verdict is made again: nobody leads on a guess. */
async function findDamage(stateFolder: string, logger: Logger, life: Life): Promise<string> {
  for (;;) {
    const verdict = await new Promise<FolderVerdict>((resolve) => {
      life.stopCheck = verifyStateInChild(stateFolder, {}, resolve);
    });
    if (verdict.outcome === "damaged") return verdict.reason;
    if (verdict.outcome === "sound" || life.isOver) return "";
    logger.warn("the state could not be checked; trying again", { reason: verdict.reason });
    await delay(VERIFY_RETRY_MS);
    if (life.isOver) return "";
  }
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}

function setAside(stateFolder: string, reason: string, logger: Logger, what: "damaged" | "old" = "damaged"): void {
  const aside = `${stateFolder}-${what}-${Date.now()}`;
  renameSync(stateFolder, aside);
  logger.warn(`the state is ${what} and set aside`, { reason, aside });
}

/**
 * After a crash of the machine the node throws away all it has, since it may have promised more. It is sound for all
 * that, and if a majority has to begin with nothing it is all there is: so it is kept for whoever has to mend that.
 */
function keepStateAside(folder: string, stateFolder: string, { node, logger }: MemberOptions): void {
  if (!existsSync(stateFolder)) return;
  let lost = "";
  try {
    lost = unsyncedDamage(Identity.decode(readFileSync(join(folder, "log", IDENTITY_FILE))), node.bootId);
  } catch {
    // The node itself finds out what is wrong with the file, and says so.
  }
  if (lost !== "") setAside(stateFolder, lost, logger, "old");
}

function openStore(stateFolder: string, logger: Logger): LmdbStateStore {
  try {
    return LmdbStateStore.open(stateFolder);
  } catch (error) {
    if (!(error instanceof StateFolderDamaged)) throw error;
    setAside(stateFolder, error.message, logger);
    return LmdbStateStore.open(stateFolder);
  }
}
