import { MapState } from "../../../core/map-state.js";
import { readSectionHeader, writeBatch } from "../../../kv/batch.js";
import { incrementCommand } from "../../../kv/command.js";
import type { ErrorCode } from "../../../kv/errors.js";
import { Level } from "../../../kv/level.js";
import { Request } from "../../../kv/request.js";
import type { Result } from "../../../kv/result.js";
import { type ApplyObserver, Store } from "../../../kv/store.js";
import { RAFT_DEFAULTS, type RaftOptions } from "../options.js";
import { type PendingSection, WriteQueue } from "../write-queue.js";

/** A client that brings ids of its own. */
export const CLIENT = "a-client's-own-1";

/** A queue, the store whose batches it watches, and the answers so far. */
export class QueueBench {
  readonly answers: string[] = [];
  readonly names = new Map<Request, string>();
  store = new Store(new MapState());
  appliedIndex = 0;
  monotonicMs = 0;
  clients = 0;
  readonly queue: WriteQueue;
  private readonly observer: ApplyObserver;

  constructor(options: Partial<RaftOptions> = {}) {
    const newClientId = (): string => {
      this.clients += 1;
      return `session ${this.clients}`.padEnd(16, ".");
    };
    const configuration = { voters: [1, 2, 3], outgoing: [], learners: [] };
    const raftOptions = {
      ...RAFT_DEFAULTS,
      gatherWritesPerMs: 0,
      ...options,
      node: 1,
      configuration,
      seed: 1,
      newClientId,
    };
    this.queue = new WriteQueue(raftOptions, this, (request, result) => this.answered(request, result));
    this.observer = {
      wants: (client) => this.queue.wants(client),
      applied: (client, first, results) => this.queue.applied(client, first, results, this.appliedIndex),
      changed: () => {},
    };
  }

  private answered(request: Request, result: Result): void {
    const outcome = result.error === null ? `${result.integer} at ${request.position}` : result.error.code;
    this.answers.push(`${this.names.get(request)} ${outcome}`);
  }

  /** Adds an increment of `n`; every answer tells how many were done. `sequence`: a request with an id of its own. */
  add(name: string, sequence = 0, client = CLIENT): Request {
    const request = new Request(incrementCommand("n", 1n), Level.linearizable, { reply: () => {} });
    if (sequence > 0) request.id = { client, sequence, acknowledgedThrough: 0, openedMs: 0 };
    this.names.set(request, name);
    this.queue.add(request);
    return request;
  }

  send(): PendingSection[] {
    return this.queue.takeUnsent();
  }

  apply(...sections: PendingSection[]): void {
    this.appliedIndex += 1;
    const payload = writeBatch(
      1_000,
      sections.map(({ bytes }) => bytes),
    );
    this.store.applyBatch(payload, this.observer);
  }

  tick(nowMs: number, whyNot: ErrorCode = "unavailable"): boolean {
    return this.queue.tick(nowMs, 3, whyNot);
  }
}

export function describeSections(sections: readonly PendingSection[]): string[] {
  return sections.map(({ bytes }) => {
    const { client, firstSequence, count } = readSectionHeader(bytes, 0);
    return `${client.replace(/\.+$/, "")} ${firstSequence}+${count}`;
  });
}
