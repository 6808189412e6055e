import { SectionFlag, SectionWriter } from "../../kv/batch.js";
import { ERRORS, type ErrorCode, KvError } from "../../kv/errors.js";
import { commandBytes } from "../../kv/limits.js";
import type { Request } from "../../kv/request.js";
import { errorResult, type Result } from "../../kv/result.js";
import type { Store } from "../../kv/store.js";
import { Gathering, type NewWrites } from "./gathering.js";
import type { RaftOptions } from "./options.js";

const MAX_SECTION_COMMANDS = 4_096;

/** Writes that left for the log together: consecutive sequences of one client, encoded once. */
export class PendingSection {
  /** Ticks since it was last sent. */
  age = 0;

  constructor(
    readonly client: string,
    readonly firstSequence: number,
    readonly bytes: Uint8Array,
    /** Null where the answer was given already (its deadline passed). */
    readonly requests: (Request | null)[],
    readonly deadlineMs: number,
  ) {}
}

/** What this replica has applied. */
export interface AppliedState {
  readonly store: Store;
  readonly appliedIndex: number;
  readonly monotonicMs: number;
}

/**
 * Writes that entered the cluster at this replica and are not answered. They go to the leader, wherever that is, as
 * sections of a client session: this replica is the client, and sends a section again until it sees it applied, so a
 * leader's death costs time and not an answer. The session table makes that exactly once. Requests that bring an id of
 * their own travel in sections of their own, under that id.
 *
 * Answers come from applying the log here, never from a message: who has answered a write has applied it.
 */
export class WriteQueue {
  /** Not yet encoded: nobody else has heard of them, so a definite error is still possible. */
  private queued: Request[] = [];
  /** By client, oldest first. */
  private readonly pending = new Map<string, PendingSection[]>();
  /** To be sent, in order. */
  private unsent: PendingSection[] = [];
  private client: string;
  private nextSequence = 1;
  /** Replicated time at which `client` was first used. */
  private openedMs = 0;
  private readonly writer = new SectionWriter();
  private count = 0;
  /** Of the sections that are pending. */
  private bytes = 0;
  private queuedBytes = 0;
  private readonly gathering: Gathering;

  constructor(
    private readonly options: RaftOptions,
    private readonly replica: AppliedState,
    private readonly answer: (request: Request, result: Result) => void,
  ) {
    this.client = options.newClientId();
    this.gathering = new Gathering(options);
  }

  /** Requests that wait for an answer. */
  get size(): number {
    return this.count;
  }

  /** Of what waits here, sent or not. */
  get byteLength(): number {
    return this.bytes + this.queuedBytes;
  }

  /** Whether the next write begins a session of this node's. */
  get beginsSession(): boolean {
    return this.nextSequence === 1;
  }

  /** Whether anything is to go now: what has to go again, or what is new and has not better wait for more. */
  get hasUnsent(): boolean {
    return this.unsent.length > 0 || (this.queued.length > 0 && this.waitMs === 0);
  }

  /** For how many ms at most what is new waits for more; 0: nothing does. */
  get waitMs(): number {
    return this.gathering.waitMs(this.newWrites, this.replica.monotonicMs);
  }

  private get newWrites(): NewWrites {
    return { count: this.queued.length, bytes: this.queuedBytes, underWay: this.pending.size > 0 };
  }

  add(request: Request): void {
    this.queued.push(request);
    this.count += 1;
    this.queuedBytes += commandBytes(request.command);
  }

  wants(client: string): boolean {
    return this.pending.has(client);
  }

  /** Everything new as sections, in order; from now on their outcome may be unknown. Call it when there is a leader. */
  takeUnsent(): PendingSection[] {
    this.gathering.left(this.newWrites, this.replica.monotonicMs);
    this.encodeQueued();
    const sections = this.unsent;
    this.unsent = [];
    for (const section of sections) section.age = 0;
    return sections;
  }

  /** Nothing that was sent can be relied on (another leader, silence): all goes again, in order. */
  resendAll(): void {
    const sections: PendingSection[] = [];
    for (const list of this.pending.values()) for (const section of list) sections.push(section);
    this.unsent = sections;
  }

  private encodeQueued(): void {
    const requests = this.queued;
    if (requests.length === 0) return;
    this.queued = [];
    this.queuedBytes = 0;
    let start = 0;
    while (start < requests.length) start = this.encodeSection(requests, start);
  }

  /** One section from `start` on; answers where the next begins. */
  private encodeSection(requests: Request[], start: number): number {
    if (requests[start].id !== null) {
      this.encodeExternal(requests[start]);
      return start + 1;
    }
    const taken: Request[] = [];
    let deadlineMs = Number.POSITIVE_INFINITY;
    let at = start;
    if (this.nextSequence === 1) this.openedMs = Math.max(1, this.replica.store.timeMs);
    this.writer.begin(this.client, this.nextSequence, this.acknowledgedThrough(), 0, this.openedMs);
    while (at < requests.length && requests[at].id === null) {
      const request = requests[at];
      at += 1;
      if (request.cancelled) {
        this.finish(request, errorResult(new KvError("cancelled")));
        continue;
      }
      this.writer.add(request.command);
      taken.push(request);
      if (request.deadlineMs < deadlineMs) deadlineMs = request.deadlineMs;
      if (taken.length === MAX_SECTION_COMMANDS || this.writer.byteLength > this.options.maxEntryBytes) break;
    }
    if (taken.length > 0) {
      this.enqueue(this.client, this.nextSequence, taken, deadlineMs);
      this.nextSequence += taken.length;
    }
    return at;
  }

  /** A request with an id of its client's own: a section by itself, whose result the session table keeps. */
  private encodeExternal(request: Request): void {
    const { client, sequence, acknowledgedThrough, openedMs } = request.id!;
    if (request.cancelled) this.finish(request, errorResult(new KvError("cancelled")));
    else if (!this.answerRetry(request)) {
      this.writer.begin(client, sequence, acknowledgedThrough, SectionFlag.keepResults, openedMs);
      this.writer.add(request.command);
      this.enqueue(client, sequence, [request], request.deadlineMs);
    }
  }

  /** The first copy of a retry may have been applied since it came: the leader would drop the second without a word. */
  private answerRetry(request: Request): boolean {
    const id = request.id!;
    const { store } = this.replica;
    if (store.lastSequence(id.client) < id.sequence) return false;
    const result = store.cachedResult(id.client, id.sequence);
    request.position = this.replica.appliedIndex;
    this.finish(request, result ?? errorResult(new KvError("session_expired")));
    return true;
  }

  private enqueue(client: string, firstSequence: number, requests: Request[], deadlineMs: number): void {
    const section = new PendingSection(client, firstSequence, this.writer.finish(), requests, deadlineMs);
    const list = this.pending.get(client);
    if (list === undefined) this.pending.set(client, [section]);
    else list.push(section);
    this.unsent.push(section);
    this.bytes += section.bytes.length;
  }

  private acknowledgedThrough(): number {
    const list = this.pending.get(this.client);
    return list === undefined ? this.nextSequence - 1 : list[0].firstSequence - 1;
  }

  /** A section has been applied at log position `position`. */
  applied(client: string, firstSequence: number, results: Result[], position: number): void {
    const list = this.pending.get(client);
    if (list === undefined) return;
    // More than one, if a client has sent its retry to the node that its first try had gone to.
    for (let at = 0; at < list.length; ) {
      if (list[at].firstSequence === firstSequence) this.answerSection(list.splice(at, 1)[0], results, position);
      else at += 1;
    }
    if (list.length === 0) this.pending.delete(client);
    if (client === this.client && results[0]?.error?.code === "session_expired") this.startNewSession();
  }

  private answerSection(section: PendingSection, results: Result[], position: number): void {
    this.gathering.answered(section.requests.length, this.queued.length, this.replica.monotonicMs);
    this.bytes -= section.bytes.length;
    for (let i = 0; i < section.requests.length; i += 1) {
      const request = section.requests[i];
      if (request === null) continue;
      request.position = position;
      this.finish(request, results[i]);
    }
  }

  /**
   * The leader expects `expected` from `client`. Sections from there on are sent again; if the leader has forgotten what
   * was acknowledged to us, the session is gone and what is pending stays unknown.
   */
  refused(client: string, expected: number): void {
    const list = this.pending.get(client);
    // Sequences that are applied here are in every later leader's log: who expects one of them said so long ago.
    if (list === undefined || expected <= this.replica.store.lastSequence(client)) return;
    // Not only the first: a client's retry stands behind sequences that come after it.
    if (list.every((section) => section.firstSequence > expected)) {
      if (client === this.client) this.startNewSession();
      else this.failAll(client, expected > 1 ? "unknown" : "session_expired");
      return;
    }
    const again = list.filter((section) => section.firstSequence >= expected && !this.unsent.includes(section));
    this.unsent = this.unsent.concat(again);
  }

  private startNewSession(): void {
    this.failAll(this.client, "unknown");
    this.client = this.options.newClientId();
    this.nextSequence = 1;
  }

  private failAll(client: string, code: ErrorCode): void {
    const list = this.pending.get(client);
    if (list === undefined) return;
    this.pending.delete(client);
    this.unsent = this.unsent.filter((section) => section.client !== client);
    for (const section of list) {
      this.bytes -= section.bytes.length;
      for (const request of section.requests)
        if (request !== null) this.finish(request, errorResult(new KvError(code)));
    }
  }

  /** A snapshot has taken the place of the state: what it contains was applied, with results that are not known here. */
  stateReplaced(store: Store, position: number): void {
    for (const client of [...this.pending.keys()]) {
      const list = this.pending.get(client)!;
      const last = store.lastSequence(client);
      // Not only those in front: a client's retry stands behind sequences that come after it.
      const left = list.filter((section) => section.firstSequence > last);
      for (const section of list) if (section.firstSequence <= last) this.answerFromTable(section, store, position);
      if (left.length === 0) this.pending.delete(client);
      else this.pending.set(client, left);
    }
    this.unsent = this.unsent.filter((section) => this.pending.get(section.client)?.includes(section) === true);
  }

  private answerFromTable(section: PendingSection, store: Store, position: number): void {
    this.bytes -= section.bytes.length;
    for (let i = 0; i < section.requests.length; i += 1) {
      const request = section.requests[i];
      if (request === null) continue;
      const known = store.cachedResult(section.client, section.firstSequence + i);
      request.position = position;
      this.finish(request, known ?? errorResult(new KvError("unknown")));
    }
  }

  /** Refuses what nobody else has heard of. */
  refuseQueued(code: ErrorCode, message: string = ERRORS[code].summary): void {
    const requests = this.queued;
    this.queued = [];
    this.queuedBytes = 0;
    for (const request of requests) this.finish(request, errorResult(new KvError(code, message)));
  }

  /** The group is going away. What was sent may have been done before that. */
  abandon(code: ErrorCode): void {
    this.refuseQueued(code, ERRORS[code].summary);
    for (const client of [...this.pending.keys()]) this.failAll(client, "unknown");
  }

  /** Once a tick: answers what is overdue; true when something sent has met silence for `resendTicks`. */
  tick(nowMs: number, resendTicks: number, whyNot: ErrorCode): boolean {
    if (this.queued.length > 0) this.expireQueued(nowMs, whyNot);
    let silent = false;
    for (const list of this.pending.values()) {
      for (const section of list) {
        section.age += 1;
        if (section.age >= resendTicks) silent = true;
        if (section.deadlineMs <= nowMs) this.expireSection(section, nowMs);
      }
    }
    return silent;
  }

  private expireQueued(nowMs: number, whyNot: ErrorCode): void {
    const left: Request[] = [];
    let bytes = 0;
    for (const request of this.queued) {
      if (this.expire(request, nowMs, whyNot)) continue;
      left.push(request);
      bytes += commandBytes(request.command);
    }
    this.queued = left;
    this.queuedBytes = bytes;
  }

  /** The section stays and is sent on: later sequences of the session build on it. */
  private expireSection(section: PendingSection, nowMs: number): void {
    for (let i = 0; i < section.requests.length; i += 1) {
      const request = section.requests[i];
      if (request !== null && this.expire(request, nowMs, "unknown")) section.requests[i] = null;
    }
  }

  private expire(request: Request, nowMs: number, code: ErrorCode): boolean {
    if (request.deadlineMs > nowMs) return false;
    this.finish(request, errorResult(new KvError(code)));
    return true;
  }

  private finish(request: Request, result: Result): void {
    this.count -= 1;
    this.answer(request, result);
  }
}
