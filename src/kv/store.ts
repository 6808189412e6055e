import { ByteReader, CodecError } from "../core/bytes.js";
import type { State } from "../core/state.js";
import { batchTimeMs, readSections, SectionFlag, type SectionHeader } from "./batch.js";
import type { Command } from "./command.js";
import { decodeCommand } from "./command-codec.js";
import { KvError } from "./errors.js";
import { executeCommand, executeRead } from "./execute.js";
import { COMMAND_LIMITS, type CommandLimits } from "./limits.js";
import { Meta } from "./meta.js";
import { type ChangeListener, Records } from "./records.js";
import { errorResult, type Result } from "./result.js";
import { type Session, type SessionLimits, SessionTable } from "./session-table.js";
import { WriteContext } from "./write-context.js";

/** The same on every replica of a group, for ever: each of them decides what a log means. */
export interface StoreLimits extends SessionLimits {
  readonly command: CommandLimits;
  /** Records removed with one batch because their deadline has passed. */
  readonly expiriesPerBatch: number;
  /**
   * How far one batch may move the replicated time. A leader whose clock is wrong by years ages nothing at once; after
   * an honest pause the time catches up within some batches.
   */
  readonly timeJumpMsMax: number;
}

export const STORE_LIMITS: StoreLimits = {
  command: COMMAND_LIMITS,
  expiriesPerBatch: 256,
  timeJumpMsMax: 600_000,
  sessionsMax: 10_000,
  sessionIdleMs: 3_600_000,
  evictionsPerBatch: 16,
  cachedResultsMax: 1_024,
  cachedResultBytesMax: 65_536,
};

/** Hears what a batch did, while it is applied. Must not call the store. */
export interface ApplyObserver extends ChangeListener {
  /** Whether `applied` shall be called for this client: only then are its results put together. */
  wants(client: string): boolean;
  /**
   * One section was applied: one result a command. For what was done before, it is the result of then, or
   * `session_expired` where that was not kept: whoever has had an answer to a sequence ignores further ones.
   */
  applied(client: string, firstSequence: number, results: Result[]): void;
  /** As said there. Versions never go down from one call to the next. */
  changed: ChangeListener["changed"];
}

/**
 * The deterministic state machine of a keyspace's group. All it knows is in the {@link State}: two stores that apply
 * the same batches hold the same bytes, and a new store on an old state goes on as if it had been there all along.
 */
export class Store {
  private readonly meta: Meta;
  private readonly records: Records;
  private readonly sessions: SessionTable;
  private readonly context: WriteContext;
  private readonly limits: StoreLimits;

  constructor(state: State, limits: Partial<StoreLimits> = {}) {
    this.limits = { ...STORE_LIMITS, ...limits };
    this.meta = new Meta(state);
    this.records = new Records(state, this.meta);
    this.sessions = new SessionTable(state, this.meta, this.limits);
    this.context = new WriteContext(this.records, this.limits.command, NOBODY);
  }

  /** The replicated time. Deadlines are compared with it alone. */
  get timeMs(): number {
    return this.meta.timeMs;
  }

  /** Version of the newest write. */
  get revision(): number {
    return this.meta.revision;
  }

  /** The earliest deadline of a record; Infinity if there is none. When it passes, the leader proposes the time. */
  nextDeadlineMs(): number {
    return this.records.earliestDeadlineMs;
  }

  /** The last sequence of a client that was executed; 0 for a client without a session. */
  lastSequence(client: string): number {
    const session = this.sessions.find(client);
    return session === null ? 0 : session.lastSequence;
  }

  /** The result kept for a request that was done before; null if there is none. */
  cachedResult(client: string, sequence: number): Result | null {
    return this.sessions.cached(client, sequence);
  }

  /**
   * Executes a read of the state as it is. The reader's own clock is not looked at: a deadline passes by the replicated
   * time alone, or replicas at one position would answer differently.
   */
  read(command: Command, _wallMs?: number): Result {
    return executeRead(this.records, command);
  }

  /**
   * Applies the payload of one entry. A payload that is not a batch of a known version throws {@link CodecError} before
   * anything has changed: the log is damaged, or written by a newer build, and the node must not go on.
   */
  applyBatch(batch: Uint8Array, observer: ApplyObserver): void {
    if (batch.length === 0) return;
    const sections = readSections(batch);
    this.advanceTime(batchTimeMs(batch));
    this.context.listener = observer;
    this.records.removeExpired(this.limits.expiriesPerBatch, observer);
    this.sessions.evictIdle();
    for (let i = 0; i < sections.length; i += 1) this.applySection(batch, sections[i], observer);
    this.context.listener = NOBODY;
    this.meta.save();
  }

  private advanceTime(proposedMs: number): void {
    const beforeMs = this.meta.timeMs;
    const boundMs = beforeMs === 0 ? proposedMs : beforeMs + this.limits.timeJumpMsMax;
    this.meta.timeMs = Math.max(beforeMs, Math.min(proposedMs, boundMs));
    this.meta.baseMs = Math.max(this.meta.timeMs, proposedMs);
  }

  private applySection(batch: Uint8Array, header: SectionHeader, observer: ApplyObserver): void {
    const results: Result[] | null = observer.wants(header.client) ? [] : null;
    const session = this.sessionFor(header);
    if (session === null) {
      if (results !== null) for (let i = 0; i < header.count; i += 1) results.push(sessionExpired());
    } else {
      this.sessions.forget(session, header.acknowledgedThrough);
      this.executeSection(batch, header, session, results);
      this.sessions.save(session);
    }
    if (results !== null) observer.applied(header.client, header.firstSequence, results);
  }

  /** The session that the section belongs to, opened if it begins one; null if nobody knows what was done before. */
  private sessionFor(header: SectionHeader): Session | null {
    const session = this.sessions.find(header.client);
    if (session !== null) return header.firstSequence > session.lastSequence + 1 ? null : session;
    if (header.firstSequence !== 1 || !this.sessions.mayOpen(header.openedMs)) return null;
    return this.sessions.open(header.client, header.openedMs);
  }

  private executeSection(batch: Uint8Array, header: SectionHeader, session: Session, results: Result[] | null): void {
    const keepsResults = (header.flags & SectionFlag.keepResults) !== 0;
    const reader = new ByteReader(batch.subarray(header.commandsStart, header.end));
    let isReadable = true;
    for (let i = 0; i < header.count; i += 1) {
      const command: Command | null = isReadable ? tryDecode(reader) : null;
      if (command === null) isReadable = false;
      const sequence = header.firstSequence + i;
      if (sequence <= session.lastSequence) {
        if (results !== null) results.push(this.sessions.cached(header.client, sequence) ?? sessionExpired());
        continue;
      }
      session.lastSequence = sequence;
      const result = command === null ? unreadable() : executeCommand(this.context, command);
      if (keepsResults) this.sessions.cache(session, result);
      if (results !== null) results.push(result);
    }
  }
}

const NOBODY: ChangeListener = { changed: () => {} };

/**
 * A section is taken into the log without a look at its commands. If its sender wrote rubbish, every replica finds the
 * same rubbish and answers it alike; the sections of others are not affected.
 */
function tryDecode(reader: ByteReader): Command | null {
  try {
    return decodeCommand(reader);
  } catch (error) {
    if (error instanceof CodecError) return null;
    throw error;
  }
}

function unreadable(): Result {
  return errorResult(new KvError("bad_request", "the command's bytes in the log cannot be read; nothing was done"));
}

function sessionExpired(): Result {
  return errorResult(new KvError("session_expired"));
}
