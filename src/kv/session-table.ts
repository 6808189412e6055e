import { assert } from "../core/assert.js";
import { allocate, ByteReader, ByteWriter, CodecError, copyBytes, EMPTY_BYTES } from "../core/bytes.js";
import type { State } from "../core/state.js";
import { getU53, putU53 } from "./fixed-integers.js";
import type { Meta } from "./meta.js";
import type { Result } from "./result.js";
import { decodeResult, encodeResult } from "./result-codec.js";
import { endOfTable, ORDERED_INTEGER_CHARS, orderedInteger, parseOrderedInteger, Table } from "./tables.js";

const SESSION_VERSION = 1;
const SESSION_BYTES = 1 + 5 * 8;
const END_OF_USES = endOfTable(Table.sessionUse);
const CLIENT_AT = Table.sessionUse.length + ORDERED_INTEGER_CHARS;
/** The last use is noted to within this, so that a busy session is not moved in its index with each section. */
const USE_GRANULARITY_MS = 1_000;

export interface SessionLimits {
  readonly sessionsMax: number;
  /** A session that was not used for so long in replicated time may be evicted. */
  readonly sessionIdleMs: number;
  /** Idle sessions evicted with one batch. */
  readonly evictionsPerBatch: number;
  readonly cachedResultsMax: number;
  readonly cachedResultBytesMax: number;
}

/** What is known of one client's requests. */
export class Session {
  /** Every sequence up to here was executed, none above. */
  lastSequence = 0;
  lastUseMs = 0;
  /** Results below this sequence are not cached; of those from here on some may be. */
  cachedFrom = 1;
  cachedBytes = 0;

  constructor(
    readonly client: string,
    readonly openedMs: number,
  ) {}
}

/**
 * Which requests were done before, so that a retry is not done twice (Raft thesis 6.3). Bounded: beyond `sessionsMax`
 * the one used longest ago goes, and so does one that was idle for too long, by replicated time and thus alike
 * everywhere.
 */
export class SessionTable {
  /** A cache of the state's session table: every session in it is as it was last saved. */
  private readonly sessions = new Map<string, Session>();
  /** A cache: no session was used earlier. May be too early. */
  private oldestUseMs = 0;
  private readonly writer = new ByteWriter(256);

  constructor(
    private readonly state: State,
    private readonly meta: Meta,
    private readonly limits: SessionLimits,
  ) {}

  find(client: string): Session | null {
    const known = this.sessions.get(client);
    if (known !== undefined) return known;
    const bytes = this.state.get(Table.session + client);
    if (bytes === undefined) return null;
    if (bytes.length !== SESSION_BYTES || bytes[0] !== SESSION_VERSION) {
      throw new CodecError(`a session record (version ${bytes[0]}) is not known to this build`);
    }
    const session = new Session(client, getU53(bytes, 33));
    session.lastSequence = getU53(bytes, 1);
    session.lastUseMs = getU53(bytes, 9);
    session.cachedFrom = getU53(bytes, 17);
    session.cachedBytes = getU53(bytes, 25);
    this.sessions.set(client, session);
    return session;
  }

  /**
   * Whether a client id made at `openedMs` can be new to this table. An evicted session's cannot: what looks like its
   * first request is a late copy, done long ago. (An id as old as an evicted one may be new after all; it is refused,
   * too.) Nor can one from the future, for no honest id is younger than the time at which it is first used: once evicted,
   * it would refuse all others, or its late copy would look new.
   */
  mayOpen(openedMs: number): boolean {
    return openedMs === 0 || (openedMs > this.meta.evictedThroughMs && openedMs <= Math.max(1, this.meta.timeMs));
  }

  /** Makes room if there is none. The session is in the state once it is saved. */
  open(client: string, openedMs: number): Session {
    if (this.meta.sessionCount >= this.limits.sessionsMax) this.evictOldest(Number.POSITIVE_INFINITY);
    const session = new Session(client, openedMs);
    session.lastUseMs = this.meta.baseMs;
    this.oldestUseMs = Math.min(this.oldestUseMs, session.lastUseMs);
    this.sessions.set(client, session);
    this.state.put(useKey(session), EMPTY_BYTES);
    this.meta.sessionCount += 1;
    return session;
  }

  /** Notes the use, bounds what is cached, and writes the session back. */
  save(session: Session): void {
    if (this.meta.baseMs - session.lastUseMs >= USE_GRANULARITY_MS) {
      this.state.delete(useKey(session));
      session.lastUseMs = this.meta.baseMs;
      this.state.put(useKey(session), EMPTY_BYTES);
    }
    this.forget(session, session.lastSequence - this.limits.cachedResultsMax);
    const bytes = allocate(SESSION_BYTES);
    bytes[0] = SESSION_VERSION;
    putU53(bytes, 1, session.lastSequence);
    putU53(bytes, 9, session.lastUseMs);
    putU53(bytes, 17, session.cachedFrom);
    putU53(bytes, 25, session.cachedBytes);
    putU53(bytes, 33, session.openedMs);
    this.state.put(Table.session + session.client, bytes);
  }

  /** Keeps the result of the session's last sequence. A large one pushes out older ones, or is not kept at all. */
  cache(session: Session, result: Result): void {
    this.writer.reset();
    encodeResult(result, this.writer);
    const length = this.writer.length;
    if (length > this.limits.cachedResultBytesMax) return;
    const sequence = session.lastSequence;
    while (session.cachedBytes + length > this.limits.cachedResultBytesMax) this.forgetFirst(session);
    if (session.cachedBytes === 0) session.cachedFrom = sequence;
    session.cachedBytes += length;
    this.state.put(resultKey(session.client, sequence), this.writer.copy());
  }

  /** The result kept for a sequence; null if there is none. */
  cached(client: string, sequence: number): Result | null {
    const bytes = this.state.get(resultKey(client, sequence));
    return bytes === undefined ? null : decodeResult(new ByteReader(copyBytes(bytes)));
  }

  /** Drops the results of all sequences up to `through`. */
  forget(session: Session, through: number): void {
    while (session.cachedBytes > 0 && session.cachedFrom <= through) this.forgetFirst(session);
  }

  /** Evicts some of the sessions that were idle for too long. */
  evictIdle(): void {
    const idleSinceMs = this.meta.timeMs - this.limits.sessionIdleMs;
    for (let i = 0; i < this.limits.evictionsPerBatch && this.oldestUseMs <= idleSinceMs; i += 1) {
      if (!this.evictOldest(idleSinceMs)) return;
    }
  }

  private forgetFirst(session: Session): void {
    const key = resultKey(session.client, session.cachedFrom);
    const bytes = this.state.get(key);
    session.cachedFrom += 1;
    if (bytes === undefined) {
      assert(session.cachedFrom <= session.lastSequence, "session: cached bytes without a result");
      return;
    }
    session.cachedBytes -= bytes.length;
    this.state.delete(key);
  }

  /** Evicts the session used longest ago, if that was at `throughMs` or before. */
  private evictOldest(throughMs: number): boolean {
    let client = "";
    this.oldestUseMs = Number.POSITIVE_INFINITY;
    this.state.range(Table.sessionUse, END_OF_USES, (entry) => {
      this.oldestUseMs = parseOrderedInteger(entry, 1);
      client = entry.slice(CLIENT_AT);
      return false;
    });
    if (client === "" || this.oldestUseMs > throughMs) return false;
    const session = this.find(client);
    assert(session !== null, "session: in the index of uses, but not in the table");
    this.forget(session, session.lastSequence);
    this.state.delete(useKey(session));
    this.state.delete(Table.session + client);
    this.sessions.delete(client);
    this.meta.sessionCount -= 1;
    this.meta.evictedThroughMs = Math.max(this.meta.evictedThroughMs, session.openedMs);
    return true;
  }
}

function useKey(session: Session): string {
  return Table.sessionUse + orderedInteger(session.lastUseMs) + session.client;
}

function resultKey(client: string, sequence: number): string {
  return Table.result + client + orderedInteger(sequence);
}
