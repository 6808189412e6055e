import { type Address, showAddress } from "../codec/address.js";
import { parseErrorLine } from "../codec/resp/error-line.js";
import { latin1Decode, utf8Decode } from "../core/bytes.js";
import { mayTryElsewhere } from "./call.js";
import type { Cluster } from "./cluster.js";
import { backoff } from "./link.js";
import { CompactedError, callError, GamutError } from "./outcome.js";
import { type Push, WatchConnection } from "./watch-connection.js";

export interface FeedOptions {
  readonly keyspace: string;
  /** These alone; null for those with the prefix. As the store holds them. */
  readonly keys: readonly string[] | null;
  readonly prefix: string;
  readonly from: string;
  readonly snapshot: boolean;
  readonly values: boolean;
  readonly level: string | undefined;
  readonly token: string;
  /** It does not matter what has been missed: when that is not kept any more, it begins from now on. */
  readonly skips: boolean;
  /** How long no node may answer. */
  readonly timeoutMs: number;
}

/** As the node tells it; `begin` and `snapshot-begin` when there is no other event to go on from. */
export interface FeedEvent {
  readonly kind: "begin" | "snapshot-begin" | "record" | "put" | "delete" | "expire" | "snapshot-end" | "progress";
  readonly key: string;
  readonly version: number;
  /** "" within a snapshot. */
  readonly position: string;
  readonly value: Uint8Array | null;
}

const KINDS: ReadonlySet<string> = new Set(["record", "put", "delete", "expire", "snapshot-end", "progress"]);

/**
 * One watch over any number of connections, one at a time: when a node dies, another goes on from the last event that was
 * taken. Nothing is read ahead but what one connection holds.
 */
export class Feed {
  /** To go on from: of the last event that was taken; "" until there is one. */
  position: string;
  private connection: WatchConnection | null = null;
  private isBegun = false;
  /** Why there is nothing more; null while there may be. */
  private ended: GamutError | "closed" | null = null;
  private at = Math.floor(Math.random() * 1_024);
  /** Since nodes have failed one after the other; 0: the last one has not. */
  private failingSinceMs = 0;
  private failures = 0;
  /** The nodes that do not keep what comes after the position. Another, which has run longer, may. */
  private readonly compactedAt = new Set<string>();
  /** What the last of them said. */
  private compacted: CompactedError | null = null;
  /** The end, which {@link poll} has met. */
  private unread: Push | null = null;
  private stopWaiting: (() => void) | null = null;

  constructor(
    private readonly cluster: Cluster,
    private readonly options: FeedOptions,
    private readonly onEnd: (feed: Feed) => void,
  ) {
    this.position = options.from;
  }

  get isClosed(): boolean {
    return this.ended === "closed";
  }

  /** The next event; null when it was closed. @throws GamutError, which ends it */
  async next(): Promise<FeedEvent | null> {
    while (this.ended === null) {
      try {
        const event = await this.tryNext();
        this.forgetFailures();
        return event;
      } catch (error) {
        if (!(error instanceof GamutError)) throw error;
        await this.failed(error);
      }
    }
    if (this.ended === "closed") return null;
    throw this.ended;
  }

  /** An event that is there already; else null. What is wrong is told by {@link next}. */
  poll(): FeedEvent | null {
    if (!this.isBegun || this.ended !== null || this.connection === null || this.unread !== null) return null;
    const push = this.connection.poll();
    if (push === null || isEnd(push)) {
      this.unread = push;
      return null;
    }
    return this.taken(push);
  }

  private async tryNext(): Promise<FeedEvent> {
    if (this.connection === null) {
      const known = this.cluster.known;
      this.connection = new WatchConnection(known[this.at % known.length], this.cluster.settings);
      this.isBegun = false;
    }
    const { connection } = this;
    if (this.isBegun) {
      const push = this.unread ?? (await connection.next());
      this.unread = null;
      return this.taken(push);
    }
    const { keyspace, level, token } = this.options;
    const { isFresh } = this;
    const request = { keyspace, level, token, words: this.words() };
    const position = await connection.begin(request, (status) => this.cluster.learn(status));
    this.isBegun = true;
    if (!isFresh) return { ...NOTHING, kind: "progress", position: this.position };
    const { snapshot } = this.options;
    if (!snapshot) this.position = position;
    return { ...NOTHING, kind: snapshot ? "snapshot-begin" : "begin", position: this.position };
  }

  /** Whether there is nothing to go on from. */
  private get isFresh(): boolean {
    return this.position === "";
  }

  private words(): string[] {
    const { keys, prefix, snapshot, values } = this.options;
    const words = keys === null ? [prefix] : ["", "KEYS", `${keys.length}`, ...keys];
    if (!this.isFresh) words.push("FROM", this.position);
    else if (snapshot) words.push("SNAPSHOT");
    if (values) words.push("VALUES");
    return words;
  }

  private taken(push: Push): FeedEvent {
    const [kindBytes, ...items] = push;
    if (isEnd(push)) throw endOf(textOf(items[0]), textOf(items[1]));
    const kind = textOf(kindBytes);
    if (!KINDS.has(kind))
      throw new GamutError(callError("unavailable", `it tells of a "${kind}", which is not known here`));
    if (kind === "snapshot-end" || kind === "progress") {
      this.position = textOf(items[0]);
      return { ...NOTHING, kind, position: this.position };
    }
    const isRecord = kind === "record";
    const value = items[isRecord ? 2 : 3];
    if (!isRecord) this.position = textOf(items[2]);
    return {
      kind: kind as FeedEvent["kind"],
      key: items[0] instanceof Uint8Array ? latin1Decode(items[0]) : "",
      version: Number(items[1]),
      position: isRecord ? "" : this.position,
      value: value instanceof Uint8Array ? value : null,
    };
  }

  /** Sees to another node, or ends with the error. */
  private async failed(error: GamutError): Promise<void> {
    const address = this.connection?.address;
    this.connection?.close("it is not needed any more");
    this.connection = null;
    if (this.ended !== null) return;
    const nowMs = performance.now();
    if (this.failingSinceMs === 0) this.failingSinceMs = nowMs;
    this.failures += 1;
    if (error.code === "compacted" && address !== undefined) {
      this.compacted = asCompacted(error);
      this.compactedAt.add(showAddress(address));
    } else if (error.code !== "overloaded" && !mayTryElsewhere(error)) {
      this.end(error);
      return;
    }
    const known = this.cluster.known;
    this.at = known.findIndex((each) => address !== undefined && isSame(each, address)) + 1;
    const { timeoutMs } = this.options;
    const isOverdue = nowMs - this.failingSinceMs > timeoutMs;
    // One that is away for a moment may keep what another has forgotten.
    const isKeptByNone = known.every((each) => this.compactedAt.has(showAddress(each)));
    if (this.compacted !== null && (isKeptByNone || isOverdue)) this.beginAnew(this.compacted);
    else if (isOverdue) {
      this.end(new GamutError(callError("unavailable", `no node has answered for ${timeoutMs} ms (${error.message})`)));
    } else await this.wait(backoff(Math.ceil(this.failures / known.length), this.cluster.settings));
  }

  /** Nobody keeps what comes next, of those that can be asked. */
  private beginAnew(error: GamutError): void {
    if (!this.options.snapshot && !this.options.skips) {
      this.end(error);
      return;
    }
    this.position = "";
    this.forgetFailures();
  }

  private forgetFailures(): void {
    this.failingSinceMs = 0;
    this.failures = 0;
    this.compacted = null;
    this.compactedAt.clear();
  }

  private wait(ms: number): Promise<void> {
    return new Promise((done) => {
      const timer = setTimeout(done, ms);
      this.stopWaiting = () => {
        clearTimeout(timer);
        done();
      };
    });
  }

  close(): void {
    this.end("closed");
  }

  /** Ends it: whoever waits hears of it. */
  end(reason: GamutError | "closed"): void {
    if (this.ended !== null) return;
    this.ended = reason;
    this.stopWaiting?.();
    this.connection?.close("the watch has ended");
    this.connection = null;
    this.onEnd(this);
  }
}

const NOTHING = { key: "", version: 0, value: null } as const;

function isEnd([kind]: Push): boolean {
  return textOf(kind) === "end";
}

function endOf(line: string, oldest: string): GamutError {
  const error = parseErrorLine(line);
  return error.code === "compacted" ? new CompactedError(error.message, oldest) : new GamutError(error);
}

/** A watch that is refused names the oldest position in its line alone. */
function asCompacted(error: GamutError): CompactedError {
  if (error instanceof CompactedError) return error;
  return new CompactedError(error.reason, /oldest position here is ([0-9a-f]+)/.exec(error.reason)?.[1] ?? "");
}

function isSame(a: Address, b: Address): boolean {
  return showAddress(a) === showAddress(b);
}

function textOf(item: Uint8Array | number | null | undefined): string {
  return item instanceof Uint8Array ? (utf8Decode(item) ?? "") : "";
}
