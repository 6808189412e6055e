import type { Address } from "../codec/address.js";
import { type Command, isWrite } from "../kv/command.js";
import { checkCommand, commandBytes } from "../kv/limits.js";
import { PendingCall, type RawOutcome } from "./call.js";
import { Cluster } from "./cluster.js";
import { Feed, type FeedOptions } from "./feed.js";
import { type CallOptions, levelFrom, type Settings, type WatchOptions, wholeNumber } from "./options.js";
import { callError, failed, GamutError } from "./outcome.js";
import { Reader } from "./reader.js";
import type { Session } from "./session.js";
import { Writer } from "./writer.js";

/** What all handles of one `connect` share: the connections, and the calls under way. */
export class Client {
  private readonly cluster: Cluster;
  private readonly reader: Reader;
  private readonly writers = new Map<string, Writer>();
  private readonly feeds = new Set<Feed>();
  private inFlight = 0;
  private inFlightBytes = 0;

  constructor(
    addresses: readonly Address[],
    private readonly settings: Settings,
  ) {
    this.cluster = new Cluster(addresses, settings);
    this.reader = new Reader(this.cluster);
  }

  /** Never rejects. */
  call(command: Command, keyspace: string, session: Session, options: CallOptions): Promise<RawOutcome> {
    return new Promise((done) => {
      try {
        this.begin(command, keyspace, session, options, done);
      } catch (error) {
        if (!(error instanceof GamutError)) throw error;
        done(failed(error));
      }
    });
  }

  private begin(
    command: Command,
    keyspace: string,
    session: Session,
    options: CallOptions,
    done: (outcome: RawOutcome) => void,
  ): void {
    const { signal, explain = false } = options;
    const level = levelFrom(options.level);
    const timeoutMs = wholeNumber("timeoutMs", options.timeoutMs ?? this.settings.timeoutMs);
    const bytes = commandBytes(command);
    const error = checkCommand(command) ?? this.refusal(bytes) ?? (signal?.aborted ? callError("cancelled") : null);
    if (error !== null) throw new GamutError(error);
    const deadlineMs = performance.now() + timeoutMs;
    const call = new PendingCall(command, keyspace, level, session, explain, deadlineMs, done);
    const isReading = !isWrite(command.op);
    const abort = (): void => {
      if (isReading) call.fail(callError("cancelled", "given up by its caller"));
      else this.writer(keyspace).abort(call);
    };
    signal?.addEventListener("abort", abort);
    this.inFlight += 1;
    this.inFlightBytes += bytes;
    call.onSettled = () => {
      signal?.removeEventListener("abort", abort);
      this.inFlight -= 1;
      this.inFlightBytes -= bytes;
    };
    if (isReading) this.reader.add(call);
    else this.writer(keyspace).add(call);
  }

  /** @throws GamutError */
  watch(options: Omit<FeedOptions, "timeoutMs" | "level"> & WatchOptions): Feed {
    const { signal } = options;
    if (this.cluster.closed) throw new GamutError(callError("cancelled", "the client is closed"));
    levelFrom(options.level);
    const timeoutMs = wholeNumber("timeoutMs", options.timeoutMs ?? this.settings.timeoutMs);
    const abort = (): void => feed.end(new GamutError(callError("cancelled", "given up by its caller")));
    const feed = new Feed(this.cluster, { ...options, level: options.level, timeoutMs }, () => {
      signal?.removeEventListener("abort", abort);
      this.feeds.delete(feed);
    });
    this.feeds.add(feed);
    if (signal?.aborted) abort();
    else signal?.addEventListener("abort", abort);
    return feed;
  }

  private refusal(bytes: number) {
    const { maxInFlight, maxInFlightBytes } = this.settings;
    if (this.cluster.closed) return callError("cancelled", "the client is closed");
    if (this.inFlight >= maxInFlight) {
      return callError(
        "overloaded",
        `${maxInFlight} calls of this client are under way (maxInFlight); nothing was sent`,
      );
    }
    if (this.inFlightBytes + bytes > maxInFlightBytes) {
      return callError("overloaded", `the calls under way have ${maxInFlightBytes} bytes (maxInFlightBytes)`);
    }
    return null;
  }

  private writer(keyspace: string): Writer {
    let writer = this.writers.get(keyspace);
    if (writer === undefined) {
      writer = new Writer(keyspace, this.cluster);
      this.writers.set(keyspace, writer);
    }
    return writer;
  }

  close(): void {
    if (this.cluster.closed) return;
    for (const feed of this.feeds) feed.close();
    for (const writer of this.writers.values()) writer.close();
    this.reader.close();
    this.cluster.close();
  }
}
