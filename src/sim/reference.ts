import { assert } from "../core/assert.js";
import { ByteReader, crc32, latin1Decode } from "../core/bytes.js";
import { MapState } from "../core/map-state.js";
import type { State } from "../core/state.js";
import { readSections } from "../kv/batch.js";
import { type Command, getCommand, Op } from "../kv/command.js";
import { decodeCommand } from "../kv/command-codec.js";
import { type Result, ResultKind } from "../kv/result.js";
import { type ApplyObserver, Store } from "../kv/store.js";
import { endOfTable, Table } from "../kv/tables.js";
import { Story } from "./story.js";
import { TraceHash } from "./trace-hash.js";

/** Content of a key from one position on. */
interface Change {
  readonly position: number;
  readonly value: string | null;
  /** Replicated time at which it is gone; Infinity for never. */
  readonly deadlineMs: number;
}

/**
 * What one group has decided: the entries as they were first applied by anybody, and the state that they make. Whatever a
 * replica applies or answers later must agree with it.
 */
export class Reference {
  private readonly state = new MapState();
  private readonly store = new Store(this.state);
  /** Of each entry, from position 1: term and checksum. */
  private readonly entries: string[] = [""];
  private readonly terms: number[] = [0];
  /** Replicated time after each entry. */
  private readonly timesMs: number[] = [0];
  private readonly changes = new Map<string, Change[]>();
  readonly story = new Story();
  private readonly hashes: string[] = [""];
  /** Positions of the entries that emptied the keyspace. */
  private readonly flushes: number[] = [];
  /** Every key that was ever there. */
  get keys(): IterableIterator<string> {
    return this.changes.keys();
  }

  /** Entries applied by any replica, repetitions not counted. */
  get position(): number {
    return this.entries.length - 1;
  }

  /** One replica applies one entry. Answers what is wrong with that, or "". */
  applied(position: number, term: number, payload: Uint8Array): string {
    const entry = `term ${term}, ${payload.length} bytes, checksum ${crc32(payload)}`;
    if (position <= this.position) {
      const before = this.entries[position];
      return before === entry
        ? ""
        : `applies at ${position} an entry of ${entry}; another replica applied one of ${before}`;
    }
    if (position > this.position + 1) return `applies ${position} while nobody has applied ${this.position + 1}`;
    this.entries.push(entry);
    this.terms.push(term);
    this.apply(position, payload);
    return "";
  }

  private apply(position: number, payload: Uint8Array): void {
    const touched = new Set<string>();
    const observer: ApplyObserver = {
      wants: () => false,
      applied: () => {},
      changed: (key, version, record, cause) => {
        touched.add(key);
        this.story.add(position, key, version, record, cause);
      },
    };
    this.store.applyBatch(payload, observer);
    this.timesMs.push(this.store.timeMs);
    let removed = false;
    for (const key of touched) if (this.note(key, position) === null) removed = true;
    // Whatever a flush removes is touched, so the others need not be looked into.
    if (removed && holdsFlush(payload)) this.flushes.push(position);
    this.hashes.push("");
  }

  private note(key: string, position: number): string | null {
    const result = this.store.read(getCommand(key));
    const value = result.kind === ResultKind.value ? latin1Decode(result.value) : null;
    const deadlineMs = value !== null && result.deadlineMs >= 0 ? result.deadlineMs : Number.POSITIVE_INFINITY;
    const changes = this.changes.get(key);
    if (changes === undefined) this.changes.set(key, [{ position, value, deadlineMs }]);
    else changes.push({ position, value, deadlineMs });
    return value;
  }

  /** The replicated time after the newest entry. */
  get timeMs(): number {
    return this.timesMs[this.position];
  }

  termAt(position: number): number {
    return this.terms[position];
  }

  /** What a replica that has applied `position` answers to a get. */
  valueAt(key: string, position: number): string | null {
    assert(position <= this.position, "reference: asked about a position that nobody has applied");
    const changes = this.changes.get(key) ?? [];
    for (let i = changes.length - 1; i >= 0; i -= 1) {
      const { position: at, value, deadlineMs } = changes[i];
      if (at <= position) return deadlineMs <= this.timesMs[position] ? null : value;
    }
    return null;
  }

  /** Keys that a scan of the state at `position` finds, in byte order. */
  keysAt(position: number): string[] {
    const found: string[] = [];
    for (const key of this.keys) if (this.valueAt(key, position) !== null) found.push(key);
    return found.sort((a, b) => (a < b ? -1 : 1));
  }

  /** Records held at `position`, with those whose deadline has passed and that nothing has removed yet. */
  countAt(position: number): number {
    let count = 0;
    for (const changes of this.changes.values()) {
      const last = changes.findLast((change) => change.position <= position);
      if (last !== undefined && last.value !== null) count += 1;
    }
    return count;
  }

  /** How much of the time from one position to another a key was there. */
  presence(key: string, from: number, through: number): "throughout" | "sometimes" | "never" {
    let present = false;
    let absent = false;
    for (let position = from; position <= through && !(present && absent); position += 1) {
      if (this.valueAt(key, position) === null) absent = true;
      else present = true;
    }
    if (present && absent) return "sometimes";
    return present ? "throughout" : "never";
  }

  /** Whether an entry from one position through another emptied the keyspace; the first may do so after it wrote. */
  flushedBetween(from: number, through: number): boolean {
    return this.flushes.some((position) => position >= from && position <= through);
  }

  /** A read of the newest state. */
  read(command: Command): Result {
    return this.store.read(command);
  }

  /** A replica's state at a position that another may have shown as well. Answers what is wrong, or "". */
  stateSeen(position: number, hash: string): string {
    if (position > this.position) return `has applied ${position}, which nobody was seen to apply`;
    const own = position === this.position ? hashState(this.state) : this.hashes[position];
    if (own === "") this.hashes[position] = hash;
    else if (own !== hash) return `holds another state at ${position} than its entries make`;
    return "";
  }
}

function holdsFlush(payload: Uint8Array): boolean {
  return readSections(payload).some(({ commandsStart, end, count }) => {
    const reader = new ByteReader(payload.subarray(commandsStart, end));
    for (let i = 0; i < count; i += 1) if (decodeCommand(reader).op === Op.flush) return true;
    return false;
  });
}

/** Every key and value, table by table in order. */
export function hashState(state: Pick<State, "range">): string {
  const hash = new TraceHash();
  for (const table of Object.values(Table)) {
    state.range(table, endOfTable(table), (key, value) => {
      hash.text(key);
      hash.bytes(value);
      return true;
    });
  }
  return hash.digest();
}
