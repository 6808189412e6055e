/** A store as naive as can be: one Map, plain objects, no codec, no index. What the real one is measured against. */
import { latin1Decode } from "../../core/bytes.js";
import { type Command, CommandFlag, Op } from "../command.js";
import { type Result, ResultKind } from "../result.js";

/** A result without its class, for comparison. */
export interface PlainResult {
  kind: string;
  version?: number;
  value?: string;
  recordFlags?: number;
  integer?: string;
  key?: string;
  deadlineMs?: number;
  error?: string;
  items?: PlainResult[];
}

const KIND_NAMES = Object.fromEntries(Object.entries(ResultKind).map(([name, kind]) => [kind, name]));

/** Fields that stand at a new Result's defaults are left out. */
export function plain(result: Result): PlainResult {
  const out: PlainResult = { kind: KIND_NAMES[result.kind] };
  if (result.version !== 0) out.version = result.version;
  if (result.value.length > 0) out.value = latin1Decode(result.value);
  if (result.recordFlags !== 0) out.recordFlags = result.recordFlags;
  if (result.integer !== 0n) out.integer = result.integer.toString();
  if (result.key !== "") out.key = result.key;
  if (result.deadlineMs !== -1) out.deadlineMs = result.deadlineMs;
  if (result.error !== null) out.error = result.error.code;
  if (result.items !== null) out.items = result.items.map(plain);
  return out;
}

interface Entry {
  value: string;
  deadlineMs: number | null;
  flags: number;
  version: number;
}

const has = (command: Command, flag: number): boolean => (command.flags & flag) !== 0;

export class Twin {
  entries = new Map<string, Entry>();
  timeMs = 0;
  revision = 0;

  constructor(private readonly expiriesPerBatch: number) {}

  /** What happens before the commands of a batch. */
  beginBatch(timeMs: number): void {
    this.timeMs = Math.max(this.timeMs, timeMs);
    const due = [...this.entries].filter(([, e]) => e.deadlineMs !== null && e.deadlineMs <= this.timeMs);
    due.sort(([ka, a], [kb, b]) => a.deadlineMs! - b.deadlineMs! || (ka < kb ? -1 : 1));
    for (const [key] of due.slice(0, this.expiriesPerBatch)) {
      this.entries.delete(key);
      this.revision += 1;
    }
  }

  private live(key: string): Entry | undefined {
    const entry = this.entries.get(key);
    return entry && (entry.deadlineMs === null || entry.deadlineMs > this.timeMs) ? entry : undefined;
  }

  private put(key: string, entry: Entry): void {
    if (entry.deadlineMs !== null && entry.deadlineMs <= this.timeMs) this.entries.delete(key);
    else this.entries.set(key, entry);
  }

  private deadlineOf(command: Command): number | null {
    if (command.deadlineMs === -1 && command.op !== Op.expire) return null;
    return Math.max(0, command.deadlineMs + (has(command, CommandFlag.deadlineRelative) ? this.timeMs : 0));
  }

  private show(entry: Entry | undefined): PlainResult {
    if (!entry) return { kind: "absent", deadlineMs: -2 };
    const out: PlainResult = { kind: "value", version: entry.version };
    if (entry.value !== "") out.value = entry.value;
    if (entry.flags !== 0) out.recordFlags = entry.flags;
    if (entry.deadlineMs !== null) out.deadlineMs = entry.deadlineMs;
    return out;
  }

  private head(entry: Entry | undefined, key = ""): PlainResult {
    if (!entry) return { kind: "absent", deadlineMs: -2 };
    const out: PlainResult = { kind: "ok", version: entry.version };
    if (entry.deadlineMs !== null) out.deadlineMs = entry.deadlineMs;
    if (key !== "") out.key = key;
    return out;
  }

  private number(n: number | bigint, version = 0): PlainResult {
    const out: PlainResult = { kind: "integer" };
    if (BigInt(n) !== 0n) out.integer = String(n);
    if (version !== 0) out.version = version;
    return out;
  }

  private blocked(command: Command, isPresent: boolean): boolean {
    return isPresent ? has(command, CommandFlag.ifAbsent) : has(command, CommandFlag.ifPresent);
  }

  execute(command: Command): PlainResult {
    const entry = this.live(command.key);
    const keys = command.keys ?? [];
    switch (command.op) {
      case Op.get:
        return this.show(entry);
      case Op.getMany:
        return { kind: "list", items: keys.map((key) => this.show(this.live(key))) };
      case Op.exists:
        return this.number(keys.filter((key) => this.live(key)).length);
      case Op.length:
        return this.number(entry?.value.length ?? 0, entry?.version);
      case Op.deadline:
        return this.head(entry);
      case Op.versions:
        return { kind: "list", items: keys.map((key) => this.head(this.live(key))) };
      case Op.count:
        return this.number(this.entries.size);
      case Op.scan:
        return this.scan(command);
      case Op.set:
        return this.set(command, entry);
      case Op.delete:
        return this.delete(keys);
      case Op.setMany:
        return this.setMany(command, keys);
      case Op.increment:
      case Op.append:
        return this.modify(command, entry);
      case Op.expire:
        return this.expire(command, entry);
      case Op.persist:
        if (entry?.deadlineMs == null) return this.number(0);
        this.revision += 1;
        this.put(command.key, { ...entry, deadlineMs: null, version: this.revision });
        return this.number(1, this.revision);
      case Op.flush:
        this.entries.clear();
        this.revision += 1;
        return { kind: "ok", version: this.revision };
      case Op.advance:
        return { kind: "ok" };
      case Op.atomic:
        return this.atomic(command, keys);
      default:
        throw new Error(`the twin does not know op ${command.op}`);
    }
  }

  private scan(command: Command): PlainResult {
    const keys = [...this.entries.keys()].filter((key) => key >= command.key && this.live(key)).sort();
    const pattern = latin1Decode(command.value);
    // Generated patterns are a prefix and a star.
    const listed = keys.slice(0, command.limit).filter((key) => pattern === "" || key.startsWith(pattern.slice(0, -1)));
    const out: PlainResult = { kind: "list", items: listed.map((key) => this.head(this.live(key), key)) };
    if (keys.length > command.limit) out.key = keys[command.limit];
    return out;
  }

  private set(command: Command, entry: Entry | undefined): PlainResult {
    const previous = has(command, CommandFlag.returnPrevious) ? this.show(entry) : null;
    if (this.blocked(command, entry !== undefined)) return previous ?? { kind: "notDone" };
    this.revision += 1;
    const keeps = has(command, CommandFlag.keepDeadline) && entry !== undefined;
    const deadlineMs = keeps ? entry.deadlineMs : this.deadlineOf(command);
    const value = latin1Decode(command.value);
    this.put(command.key, { value, deadlineMs, flags: command.recordFlags, version: this.revision });
    return { ...(previous ?? { kind: "ok" }), version: this.revision };
  }

  private delete(keys: string[]): PlainResult {
    const there = new Set(keys.filter((key) => this.live(key)));
    if (there.size === 0) return this.number(0);
    for (const key of there) this.entries.delete(key);
    this.revision += 1;
    return this.number(there.size, this.revision);
  }

  private setMany(command: Command, keys: string[]): PlainResult {
    if (keys.some((key) => this.blocked(command, this.live(key) !== undefined))) return { kind: "notDone" };
    if (keys.length === 0) return { kind: "ok" };
    this.revision += 1;
    keys.forEach((key, i) => {
      const before = this.live(key);
      const keeps = has(command, CommandFlag.keepDeadline) && before !== undefined;
      const deadlineMs = keeps ? before.deadlineMs : this.deadlineOf(command);
      const value = latin1Decode(command.values![i]);
      this.put(key, { value, deadlineMs, flags: command.recordFlags, version: this.revision });
    });
    return { kind: "ok", version: this.revision };
  }

  private modify(command: Command, entry: Entry | undefined): PlainResult {
    if (this.blocked(command, entry !== undefined)) return { kind: "notDone" };
    let value: string;
    if (command.op === Op.append) value = (entry?.value ?? "") + latin1Decode(command.value);
    else {
      const before = entry?.value ?? "0";
      if (!/^(0|-?[1-9][0-9]*)$/.test(before)) return { kind: "error", error: "not_an_integer" };
      if (BigInt.asIntN(64, BigInt(before)) !== BigInt(before)) return { kind: "error", error: "not_an_integer" };
      const after = BigInt(before) + command.integer;
      if (BigInt.asIntN(64, after) !== after) return { kind: "error", error: "overflow" };
      value = after.toString();
    }
    this.revision += 1;
    const deadlineMs = entry ? entry.deadlineMs : this.deadlineOf(command);
    const flags = entry ? entry.flags : command.recordFlags;
    this.put(command.key, { value, deadlineMs, flags, version: this.revision });
    return this.number(command.op === Op.append ? value.length : BigInt(value), this.revision);
  }

  private expire(command: Command, entry: Entry | undefined): PlainResult {
    if (!entry) return this.number(0);
    const current = entry.deadlineMs ?? Number.POSITIVE_INFINITY;
    const wanted = this.deadlineOf(command)!;
    if (has(command, CommandFlag.ifNoDeadline) && entry.deadlineMs !== null) return this.number(0);
    if (has(command, CommandFlag.ifHasDeadline) && entry.deadlineMs === null) return this.number(0);
    if (has(command, CommandFlag.ifDeadlineGreater) && !(wanted > current)) return this.number(0);
    if (has(command, CommandFlag.ifDeadlineLess) && !(wanted < current)) return this.number(0);
    this.revision += 1;
    this.put(command.key, { ...entry, deadlineMs: wanted, version: this.revision });
    return this.number(1, this.revision);
  }

  private atomic(command: Command, keys: string[]): PlainResult {
    if (keys.some((key, i) => (this.live(key)?.version ?? 0) !== command.versions![i])) return { kind: "notDone" };
    const before = this.revision;
    const items = (command.children ?? []).map((child) => this.execute(child));
    const out: PlainResult = { kind: "list", items };
    if (this.revision > before) out.version = this.revision;
    return out;
  }
}
