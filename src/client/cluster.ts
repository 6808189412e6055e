import { type Address, showAddress, splitAddress } from "../codec/address.js";
import { Link, type LinkHost, type NodeStatus } from "./link.js";
import type { Settings } from "./options.js";

const TICK_MS = 20;
/** While no connection is open, another node is dialled beside the one that does not answer at once. */
const DIAL_NEXT_MS = 250;

/** Something that has calls under way. */
export interface Worker {
  /** Sends what can be sent now. */
  pump(): void;
  tick(nowMs: number): void;
  /** Whether it waits for anything: time passes for it then. */
  readonly isBusy: boolean;
}

/** The nodes of one cluster, as far as this client knows them, and the connections to them. */
export class Cluster implements LinkHost {
  private readonly links: Link[] = [];
  /** By node: where the cluster says that it listens. */
  private readonly addresses = new Map<number, Address>();
  /** By keyspace: the node that leads it, as the last answer has told. */
  private readonly leaders = new Map<string, number>();
  private readonly workers = new Set<Worker>();
  private timer: ReturnType<typeof setInterval> | null = null;
  private clusterId = "";
  private dialledAtMs = Number.NEGATIVE_INFINITY;
  private nextLink: number;
  /** Where calls go that need no certain node; kept, so that there is one connection and not one to each node. */
  private favourite: Link | null = null;
  closed = false;

  constructor(
    addresses: readonly Address[],
    readonly settings: Settings,
  ) {
    for (const address of addresses) this.linkTo(address);
    this.nextLink = Math.floor(Math.random() * this.links.length);
  }

  add(worker: Worker): void {
    this.workers.add(worker);
  }

  private linkTo(address: Address): Link {
    const shown = showAddress(address);
    const known = this.links.find((link) => showAddress(link.address) === shown);
    if (known !== undefined) return known;
    const link = new Link(address, this);
    this.links.push(link);
    return link;
  }

  // The choice of a node

  /** An open connection, to the leader of `keyspace` if that can be had; null: none is open, but they are dialled. */
  pick(keyspace: string | null): Link | null {
    const leader = keyspace === null ? null : this.leaderLink(keyspace);
    if (leader !== null) return leader;
    if (this.favourite?.state !== "open") this.favourite = this.links.find((link) => link.state === "open") ?? null;
    if (this.favourite === null) this.dialAny();
    return this.favourite;
  }

  private leaderLink(keyspace: string): Link | null {
    const node = this.leaders.get(keyspace) ?? 0;
    if (node === 0) return null;
    const open = this.links.find((link) => link.node === node && link.state === "open");
    if (open !== undefined) return open;
    const address = this.addresses.get(node);
    if (address !== undefined) this.dial(this.linkTo(address));
    return null;
  }

  /** What this node answered was no help: others are asked first, as long as there are any. */
  avoid(link: Link): void {
    for (const [keyspace, node] of this.leaders) if (node === link.node) this.leaders.delete(keyspace);
    if (this.favourite !== link) return;
    const at = this.links.indexOf(link);
    const others = [...this.links.slice(at + 1), ...this.links.slice(0, at)];
    this.favourite = others.find((other) => other.state === "open") ?? null;
    if (this.favourite !== null) return;
    // Until another has been reached, this one will do.
    for (const other of others) this.dial(other);
    this.favourite = link;
  }

  private dialAny(): void {
    const nowMs = performance.now();
    if (this.links.some((link) => link.state === "opening") && nowMs - this.dialledAtMs < DIAL_NEXT_MS) return;
    for (let i = 0; i < this.links.length; i += 1) {
      const link = this.links[this.nextLink % this.links.length];
      this.nextLink += 1;
      if (this.dial(link)) return;
    }
  }

  private dial(link: Link): boolean {
    const nowMs = performance.now();
    if (this.closed || link.state !== "closed" || nowMs < link.retryAtMs) return false;
    this.dialledAtMs = nowMs;
    link.open(nowMs);
    return true;
  }

  leads(keyspace: string, node: number): void {
    if (node !== 0) this.leaders.set(keyspace, node);
  }

  /** Why no node can be reached: what each of them came to. */
  get problem(): string {
    const problems = this.links
      .filter((link) => link.state !== "open" && link.problem !== "")
      .map((link) => link.problem);
    return problems.length === 0 ? "no node has answered" : problems.join("; ");
  }

  // What links tell (LinkHost)

  linkOpened(link: Link, status: NodeStatus): string {
    const refusal = this.learn(status);
    if (refusal !== "") return refusal;
    // Not from within its own call: the link is not open before this one has returned.
    queueMicrotask(() => this.pumpAll());
    if (link.node !== 0 && link.node !== status.node) this.leaders.clear();
    return "";
  }

  /**
   * Takes in what a node says when it is first asked: from now on the others can be dialled as well, also when this one is
   * gone. "" or why it is not one of this cluster's.
   */
  learn(status: NodeStatus): string {
    if (status.clusterId === "") return "it has not joined its cluster yet";
    if (this.clusterId !== "" && status.clusterId !== this.clusterId) {
      return `it belongs to cluster ${status.clusterId}, the others to ${this.clusterId}`;
    }
    this.clusterId = status.clusterId;
    for (const { node, clientAddress } of status.members) {
      const address = splitAddress(String(clientAddress));
      if (address === null || !Number.isSafeInteger(node)) continue;
      this.addresses.set(node, address);
      // Not itself: whoever was told of it under another name (localhost) would take it for two.
      if (node !== status.node) this.linkTo(address);
    }
    return "";
  }

  linkClosed(link: Link): void {
    for (const [keyspace, node] of this.leaders) if (node === link.node) this.leaders.delete(keyspace);
    if (this.favourite === link) this.favourite = null;
    if (!this.closed) queueMicrotask(() => this.pumpAll());
  }

  private pumpAll(): void {
    for (const worker of this.workers) worker.pump();
  }

  /** Where nodes are known to listen, each once. */
  get known(): readonly Address[] {
    const known = new Map<string, Address>();
    for (const { address } of this.links) known.set(showAddress(address), address);
    for (const address of this.addresses.values()) known.set(showAddress(address), address);
    return [...known.values()];
  }

  // Time

  /** Has time pass as long as anybody waits. Call it when something begins. */
  wake(): void {
    if (this.timer === null && !this.closed) this.timer = setInterval(() => this.tick(), TICK_MS);
  }

  private tick(): void {
    const nowMs = performance.now();
    for (const link of this.links) link.tick(nowMs);
    let busy = false;
    for (const worker of this.workers) {
      if (!worker.isBusy) continue;
      busy = true;
      worker.tick(nowMs);
      worker.pump();
    }
    if (!busy && !this.links.some((link) => link.state === "opening" || link.pending > 0)) this.rest();
  }

  private rest(): void {
    if (this.timer !== null) clearInterval(this.timer);
    this.timer = null;
  }

  close(): void {
    this.closed = true;
    this.rest();
    for (const link of this.links) link.close("the client was closed");
  }
}
