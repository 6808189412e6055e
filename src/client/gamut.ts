import { type Address, splitAddress } from "../codec/address.js";
import { Command, deleteCommand, getCommand, Op } from "../kv/command.js";
import { type Result, ResultKind } from "../kv/result.js";
import { tokenToText } from "../kv/token.js";
import { Atomic } from "./atomic.js";
import type { RawOutcome } from "./call.js";
import { CHANGES_OPTIONS, Changes, type ChangesOptions } from "./changes.js";
import { Client } from "./client.js";
import { buildSet, buildSum, decodeValue } from "./commands.js";
import type { Feed } from "./feed.js";
import { commonPrefix, type Key, keyRange, keyString, keyStrings, type Selector } from "./key.js";
import { LIST_OPTIONS, List, type ListOptions } from "./list.js";
import {
  CALL_OPTIONS,
  type CallOptions,
  type ConnectOptions,
  checkOptions,
  type LevelName,
  levelFrom,
  type OptionNames,
  settingsFrom,
  WATCH_OPTIONS,
  type WatchOptions,
} from "./options.js";
import { callError, type Failure, failed, GamutError, type Outcome, type Unknown } from "./outcome.js";
import { Session, sessionFrom } from "./session.js";
import { bytes, type ValueCodec } from "./values.js";
import { toVersionstamp } from "./versionstamp.js";
import { Watch } from "./watch.js";

/** A record, or (value and versionstamp null) its absence. */
export interface Entry<V, K extends Key = Key> {
  readonly key: K;
  readonly value: V | null;
  /**
   * Of its last write. The order of the texts is the order of the writes; but in a keyspace of gossip, where writes have no
   * common order, two texts differ and tell no more.
   */
  readonly versionstamp: string | null;
}

export interface SetOptions extends CallOptions {
  /** The record expires so many ms after the write has taken effect. */
  readonly expireIn?: number;
}

const SET_OPTIONS: OptionNames<SetOptions> = { ...CALL_OPTIONS, expireIn: true };

/** What a handle goes by, and hands on to those made from it. */
export interface HandleState<V> {
  readonly client: Client;
  readonly keyspace: string;
  readonly session: Session;
  readonly values: ValueCodec<V>;
  readonly level: LevelName | undefined;
}

/**
 * The client of a cluster: a handle on one keyspace, in one session. Calls that were answered are seen by those that
 * begin after; calls under way together may take effect in any order. Handles are cheap; all that come from one `connect`
 * share its connections.
 */
export class Gamut<V = Uint8Array> {
  constructor(private readonly state: HandleState<V>) {}

  /** The same session on another keyspace. */
  keyspace(name: string): Gamut<V> {
    return new Gamut({ ...this.state, keyspace: name });
  }

  /** The same session at another level, where a call names none. @throws GamutError bad_request if there is no such level */
  at(level: LevelName): Gamut<V> {
    levelFrom(level);
    return new Gamut({ ...this.state, level });
  }

  /** A session of its own, which has seen nothing yet. */
  session(): Gamut<V> {
    return new Gamut({ ...this.state, session: new Session() });
  }

  /** A session that sees at least what the token's has seen. @throws GamutError bad_token */
  withToken(token: string): Gamut<V> {
    return new Gamut({ ...this.state, session: sessionFrom(token) });
  }

  /** What this session has seen, for {@link withToken} on any client of the cluster; "" for nothing. */
  token(): string {
    return this.state.session.token();
  }

  async get<K extends Key>(key: K, options: CallOptions = {}): Promise<Outcome<Entry<V, K>>> {
    const raw = await this.call(() => getCommand(keyString(key)), options);
    return this.shown(raw, (result) => this.entry(key, result));
  }

  /** All of one moment; at most 1,024. */
  async getMany<K extends Key>(
    keys: readonly K[],
    options: CallOptions = {},
  ): Promise<Outcome<{ readonly entries: Entry<V, K>[] }>> {
    const raw = await this.call(() => {
      const command = new Command(Op.getMany);
      command.keys = keyStrings("getMany", keys);
      return command;
    }, options);
    return this.shown(raw, (result) => ({ entries: result.items!.map((item, i) => this.entry(keys[i], item)) }));
  }

  async set(key: Key, value: V, options: SetOptions = {}): Promise<Outcome<{ readonly versionstamp: string }>> {
    const raw = await this.call(() => buildSet(key, value, options.expireIn, this.state.values), options, SET_OPTIONS);
    return this.shown(raw, (result) => ({ versionstamp: toVersionstamp(result.version) }));
  }

  /** `existed`: whether there was such a record; in a keyspace of gossip always true, for no node knows that. */
  async delete(key: Key, options: CallOptions = {}): Promise<Outcome<{ readonly existed: boolean }>> {
    const raw = await this.call(() => deleteCommand([keyString(key)]), options);
    return this.shown(raw, (result) => ({ existed: result.integer > 0n }));
  }

  /**
   * Adds to the decimal integer (64 bits, signed) that the record's value spells; an absent one counts as 0. Done once,
   * however often it had to be sent.
   */
  async sum(
    key: Key,
    delta: bigint | number,
    options: CallOptions = {},
  ): Promise<Outcome<{ readonly value: bigint; readonly versionstamp: string }>> {
    const raw = await this.call(() => buildSum(key, delta), options);
    return this.shown(raw, (result) => ({ value: result.integer, versionstamp: toVersionstamp(result.version) }));
  }

  /** The records of a range, in order of their keys' bytes, page by page; each page is of one moment. */
  list<K extends Key>(selector: Selector<K>, options: ListOptions = {}): List<V, K> {
    const { values } = this.state;
    return new List(selector, options, values, (command) => this.call(() => command, options, LIST_OPTIONS));
  }

  /**
   * What these records come to, whenever one of them has changed: all of them at one moment, at first as they are. What
   * comes while nobody asks for the next is told as one. At most 1,024 keys; a keyspace of raft.
   * @throws GamutError for a key or an option that cannot be @throws TypeError for an option that there is not
   */
  watch<K extends Key>(keys: readonly K[], options: Omit<WatchOptions, "level"> = {}): Watch<V, K> {
    checkOptions("watch", options, WATCH_OPTIONS);
    const names = keyStrings("watch", keys);
    if (names.length === 0) throw new GamutError(callError("bad_request", "a watch needs a key"));
    const feed = this.feed({ ...options, level: "sequential", keys: names, prefix: "", values: false, skips: true });
    const { timeoutMs, signal } = options;
    const read = { level: "linearizable", ...(timeoutMs && { timeoutMs }), ...(signal && { signal }) } as const;
    return new Watch(feed, names, () => this.getMany(keys, read));
  }

  /**
   * Every change of the records of a range, in the order in which they took effect, which in a keyspace of raft is the same
   * for all. See docs/watch.md for what is promised and kept.
   * @throws GamutError for bounds or an option that cannot be @throws TypeError for one that there is not
   */
  changes<K extends Key>(selector: Selector<K>, options: ChangesOptions = {}): Changes<V, K> {
    checkOptions("changes", options, CHANGES_OPTIONS);
    const range = keyRange("changes", selector);
    const { values = true } = options;
    const feed = this.feed({ ...options, keys: null, prefix: commonPrefix(range), values, skips: false });
    return new Changes(feed, range, this.state.values);
  }

  private feed(
    options: Omit<Parameters<Client["watch"]>[0], "keyspace" | "token" | "from" | "snapshot"> & ChangesOptions,
  ): Feed {
    const { client, keyspace, session, level } = this.state;
    const { from, snapshot = false } = options;
    if (from === "")
      throw new GamutError(callError("bad_request", "from is empty: within a snapshot there is no position"));
    const token = session.demand(keyspace);
    const shown = token === null ? "" : tokenToText(token);
    return client.watch({
      ...options,
      keyspace,
      token: shown,
      from: from ?? "",
      snapshot,
      level: options.level ?? level,
    });
  }

  /** Operations that are done together or not at all. */
  atomic(): Atomic<V> {
    return new Atomic(this.state.values, (build, options) => this.call(build, options));
  }

  /** Ends the connections of all handles that come from the same `connect`. Calls under way are given up. */
  close(): void {
    this.state.client.close();
  }

  private async call(
    build: () => Command,
    options: CallOptions,
    known: OptionNames<unknown> = CALL_OPTIONS,
  ): Promise<RawOutcome> {
    const { client, keyspace, session, level } = this.state;
    let command: Command;
    try {
      checkOptions("this call", options, known);
      command = build();
    } catch (error) {
      return refusal(error);
    }
    return client.call(command, keyspace, session, level === undefined ? options : { level, ...options });
  }

  private shown<T extends object>(raw: RawOutcome, show: (result: Result) => T): Outcome<T> {
    if (raw.kind !== "ok") return raw;
    try {
      const { kind, result, receipt } = raw;
      const answer = show(result);
      return receipt === undefined ? { kind, ...answer } : { kind, receipt, ...answer };
    } catch (error) {
      return refusal(error);
    }
  }

  private entry<K extends Key>(key: K, result: Result): Entry<V, K> {
    if (result.kind === ResultKind.absent) return { key, value: null, versionstamp: null };
    return { key, value: decodeValue(this.state.values, result.value), versionstamp: toVersionstamp(result.version) };
  }
}

/** What keys, options and value codecs throw: the caller's mistake, and nothing was done. */
function refusal(error: unknown): Failure | Unknown {
  return failed(
    error instanceof GamutError ? error : callError("bad_request", String((error as Error)?.message ?? error)),
  );
}

/**
 * A client of the cluster that the nodes at these addresses (`host:port`) belong to. One is enough if it is up at first: it
 * tells of the others. Connections are made when they are needed, and anew when they break.
 * @throws GamutError bad_request for an address or an option's value that cannot be
 * @throws TypeError for an option that there is not
 */
export function connect<V = Uint8Array>(
  addresses: string | readonly string[],
  options: ConnectOptions<V> = {},
): Gamut<V> {
  const client = new Client(
    parseAddresses(typeof addresses === "string" ? [addresses] : addresses),
    settingsFrom(options),
  );
  const { keyspace = "default", level, values = bytes as unknown as ValueCodec<V> } = options;
  return new Gamut({ client, keyspace, level, values, session: new Session() });
}

function parseAddresses(texts: readonly string[]): Address[] {
  if (texts.length === 0) throw new GamutError(callError("bad_request", "connect needs the address of a node"));
  return texts.map((text) => {
    const address = splitAddress(text);
    if (address === null) {
      throw new GamutError(callError("bad_request", `"${text}" is no address: it must be host:port or [v6]:port`));
    }
    return address;
  });
}
