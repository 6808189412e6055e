import { latin1Decode } from "../core/bytes.js";
import type { GroupId, NodeId } from "../core/machine.js";
import type { KvError } from "../kv/errors.js";
import type { Request } from "../kv/request.js";
import { type Result, ResultKind } from "../kv/result.js";

/** What a client was told, kept apart from the node's own objects. */
export class Answer {
  readonly kind: ResultKind;
  readonly text: string | null;
  readonly integer: number;
  readonly version: number;
  /** Of a scan's page: where to go on; of what it lists: its name. */
  readonly key: string;
  readonly items: readonly Answer[];
  readonly error: KvError | null;
  readonly position: number;
  /** Whose position it is; 0 where no keyspace's group was asked. */
  readonly group: GroupId;

  constructor(result: Result, position: number, group: GroupId) {
    this.kind = result.kind;
    this.text = result.kind === ResultKind.value ? latin1Decode(result.value) : null;
    this.integer = Number(result.integer);
    this.version = result.version;
    this.key = result.key;
    this.items = (result.items ?? []).map((item) => new Answer(item, position, group));
    this.error = result.error;
    this.position = position;
    this.group = group;
  }

  /** All that makes one answer another, for the hash of the run. */
  get words(): string {
    const items = this.items.map((item) => `${item.key}${item.text ?? ""}`);
    return `${this.kind} ${this.text ?? this.error?.code ?? this.integer} ${this.key} ${items}`;
  }

  get isError(): boolean {
    return this.kind === ResultKind.error;
  }

  /** Nobody knows whether it took effect. */
  get isUnknown(): boolean {
    return this.error !== null && !this.error.definite;
  }
}

export type CallEnd = (answer: Answer | "silence" | "refused") => void;

/**
 * One request on its way, from the client's side. It ends once: with an answer, with silence (the connection broke, or
 * the client's patience did), or refused (it never reached a process).
 */
export class Call {
  request: Request | null = null;
  ended = false;
  answered = false;

  constructor(
    /** Who is asked. */
    readonly node: NodeId,
    private readonly end: CallEnd,
  ) {}

  finish(answer: Answer | "silence" | "refused"): void {
    if (this.ended) return;
    this.ended = true;
    this.end(answer);
  }
}
