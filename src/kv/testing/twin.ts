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

  /** What ifVersion answers instead. */
  private mismatch(command: Command, entry: Entry | undefined): PlainResult | null {
    if (!has(command, CommandFlag.ifVersion) || entry?.version === command.versions![0]) return null;
    return entry ? { kind: "notDone", version: entry.version } : this.show(undefined);
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
      case Op.time:
        return this.number(this.timeMs);
      case Op.scan:
        return this.scan(command);
      case Op.range:
        return this.range(command);
      case Op.set:
        return this.set(command, entry);
      case Op.delete:
        return this.delete(command, keys);
      case Op.setMany:
        return this.setMany(command, keys);
      case Op.increment:
      case Op.append:
      case Op.setRange:
      case Op.incrementDecimal:
      case Op.countUp:
      case Op.countDown:
        return this.modify(command, entry);
      case Op.getRange:
        return this.part(command, entry);
      case Op.rename:
      case Op.copy:
        return this.move(command, entry);
      case Op.expire:
        return this.expire(command, entry);
      case Op.persist:
        return this.persist(command, entry);
      case Op.flush:
        this.entries.clear();
        this.revision += 1;
        return { kind: "ok", version: this.revision };
      case Op.advance:
        return { kind: "ok" };
      case Op.atomic:
        return this.atomic(command, keys);
      case Op.transaction:
        return this.transaction(command, keys);
      default:
        throw new Error(`the twin does not know op ${command.op}`);
    }
  }

  private scan(command: Command): PlainResult {
    const reverse = has(command, CommandFlag.reverse);
    const from = (key: string) => (reverse ? command.key === "" || key < command.key : key >= command.key);
    const keys = [...this.entries.keys()].filter((key) => from(key) && this.live(key)).sort();
    if (reverse) keys.reverse();
    const pattern = latin1Decode(command.value);
    // Generated patterns are a prefix and a star.
    const listed = keys.slice(0, command.limit).filter((key) => pattern === "" || key.startsWith(pattern.slice(0, -1)));
    const out: PlainResult = { kind: "list", items: listed.map((key) => this.head(this.live(key), key)) };
    if (keys.length > command.limit) out.key = keys[command.limit] + (reverse ? "\0" : "");
    return out;
  }

  private range(command: Command): PlainResult {
    const end = latin1Decode(command.value);
    const inside = (key: string) => key >= command.key && (end === "" || key < end) && this.live(key) !== undefined;
    const keys = [...this.entries.keys()].filter(inside).sort();
    const reverse = has(command, CommandFlag.reverse);
    if (reverse) keys.reverse();
    // Generated values are far too small for the limit of bytes.
    const listed = keys.slice(0, command.limit);
    const out: PlainResult = {
      kind: "list",
      items: listed.map((key) => (key === "" ? this.show(this.live(key)) : { ...this.show(this.live(key)), key })),
    };
    if (keys.length > command.limit) out.key = keys[command.limit] + (reverse ? "\0" : "");
    return out;
  }

  private set(command: Command, entry: Entry | undefined): PlainResult {
    const mismatch = this.mismatch(command, entry);
    if (mismatch) return mismatch;
    const previous = has(command, CommandFlag.returnPrevious) ? this.show(entry) : null;
    if (this.blocked(command, entry !== undefined)) return previous ?? { kind: "notDone" };
    this.revision += 1;
    const keeps = has(command, CommandFlag.keepDeadline) && entry !== undefined;
    const deadlineMs = keeps ? entry.deadlineMs : this.deadlineOf(command);
    const value = latin1Decode(command.value);
    this.put(command.key, { value, deadlineMs, flags: command.recordFlags, version: this.revision });
    return { ...(previous ?? { kind: "ok" }), version: this.revision };
  }

  private delete(command: Command, keys: string[]): PlainResult {
    const mismatch = this.mismatch(command, this.live(keys[0]));
    if (mismatch) return mismatch;
    const gone = has(command, CommandFlag.returnValue) ? this.show(this.live(keys[0])) : null;
    const there = new Set(keys.filter((key) => this.live(key)));
    if (there.size === 0) return gone ?? this.number(0);
    for (const key of there) this.entries.delete(key);
    this.revision += 1;
    return gone ? { ...gone, version: this.revision } : this.number(there.size, this.revision);
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

  private part({ offset, limit }: Command, entry: Entry | undefined): PlainResult {
    if (!entry) return this.show(entry);
    const bytes = [...entry.value];
    const at = (place: number): number => Math.max(0, place < 0 ? place + bytes.length : place);
    const reversed = offset < 0 && limit < 0 && offset > limit;
    const value = reversed ? "" : bytes.filter((_, i) => i >= at(offset) && i <= at(limit)).join("");
    return this.show({ ...entry, value });
  }

  private move(command: Command, entry: Entry | undefined): PlainResult {
    const target = command.keys![0];
    if (!entry) return this.show(entry);
    if (this.blocked(command, this.live(target) !== undefined)) return { kind: "notDone" };
    if (command.op === Op.rename && target === command.key) return { kind: "ok" };
    this.revision += 1;
    if (command.op === Op.rename) this.entries.delete(command.key);
    this.entries.set(target, { ...entry, version: this.revision });
    return { kind: "ok", version: this.revision };
  }

  private modify(command: Command, entry: Entry | undefined): PlainResult {
    const mismatch = this.mismatch(command, entry);
    if (mismatch) return mismatch;
    if (this.blocked(command, entry !== undefined)) return { kind: "notDone" };
    const change = changed(command, entry?.value);
    if (change === "absent") return this.show(undefined);
    if (change === "same") return this.number(entry?.value.length ?? 0);
    if (typeof change !== "string") return change;
    const value = change.slice(1);
    this.revision += 1;
    const deadlineMs = entry ? entry.deadlineMs : this.deadlineOf(command);
    const after = { value, deadlineMs, flags: entry ? entry.flags : command.recordFlags, version: this.revision };
    this.put(command.key, after);
    if (command.op === Op.increment) return this.number(BigInt(value), this.revision);
    if (command.op === Op.append || command.op === Op.setRange) return this.number(value.length, this.revision);
    return this.show(after);
  }

  private persist(command: Command, entry: Entry | undefined): PlainResult {
    const mismatch = this.mismatch(command, entry);
    if (mismatch) return mismatch;
    const shows = has(command, CommandFlag.returnValue);
    if (entry?.deadlineMs == null) return shows ? this.show(entry) : this.number(0);
    this.revision += 1;
    const after = { ...entry, deadlineMs: null, version: this.revision };
    this.put(command.key, after);
    return shows ? this.show(after) : this.number(1, this.revision);
  }

  private expire(command: Command, entry: Entry | undefined): PlainResult {
    const mismatch = this.mismatch(command, entry);
    if (mismatch) return mismatch;
    const shows = has(command, CommandFlag.returnValue);
    if (!entry) return shows ? this.show(entry) : this.number(0);
    const current = entry.deadlineMs ?? Number.POSITIVE_INFINITY;
    const wanted = this.deadlineOf(command)!;
    if (
      (has(command, CommandFlag.ifNoDeadline) && entry.deadlineMs !== null) ||
      (has(command, CommandFlag.ifHasDeadline) && entry.deadlineMs === null) ||
      (has(command, CommandFlag.ifDeadlineGreater) && !(wanted > current)) ||
      (has(command, CommandFlag.ifDeadlineLess) && !(wanted < current))
    ) {
      return shows ? { kind: "notDone" } : this.number(0);
    }
    this.revision += 1;
    const after = { ...entry, deadlineMs: wanted, version: this.revision };
    this.put(command.key, after);
    return shows ? this.show(after) : this.number(1, this.revision);
  }

  private atomic(command: Command, keys: string[]): PlainResult {
    if (keys.some((key, i) => (this.live(key)?.version ?? 0) !== command.versions![i])) return { kind: "notDone" };
    const before = this.revision;
    const items = (command.children ?? []).map((child) => this.execute(child));
    const out: PlainResult = { kind: "list", items };
    if (this.revision > before) out.version = this.revision;
    return out;
  }

  /** Done, and taken back whole if a child has failed. */
  private transaction(command: Command, keys: string[]): PlainResult {
    const before = { entries: new Map(this.entries), revision: this.revision };
    const result = this.atomic(command, keys);
    const failed = result.items?.find((item) => item.error !== undefined);
    if (failed !== undefined) {
      this.entries = before.entries;
      this.revision = before.revision;
      return { kind: "error", error: failed.error };
    }
    if (this.revision === before.revision) return result;
    const one = before.revision + 1;
    for (const [key, entry] of this.entries) {
      if (entry.version > before.revision) this.entries.set(key, { ...entry, version: one });
    }
    for (const item of result.items ?? []) if (item.version !== undefined) item.version = one;
    this.revision = one;
    return { ...result, version: one };
  }
}

/** "=" and the new value; "same": nothing is to change; or what is answered instead. */
function changed(command: Command, before: string | undefined): string | PlainResult {
  const text = latin1Decode(command.value);
  switch (command.op) {
    case Op.append:
      return `=${has(command, CommandFlag.atFront) ? text + (before ?? "") : (before ?? "") + text}`;
    case Op.setRange: {
      if (text === "") return "same";
      const padded = (before ?? "").padEnd(command.offset, "\0");
      return `=${padded.slice(0, command.offset)}${text}${padded.slice(command.offset + text.length)}`;
    }
    case Op.increment: {
      if (!/^(0|-?[1-9][0-9]*)$/.test(before ?? "0")) return { kind: "error", error: "not_an_integer" };
      const old = BigInt(before ?? "0");
      if (BigInt.asIntN(64, old) !== old) return { kind: "error", error: "not_an_integer" };
      const after = old + command.integer;
      return BigInt.asIntN(64, after) === after ? `=${after}` : { kind: "error", error: "overflow" };
    }
    case Op.incrementDecimal:
      return decimalSum(before ?? "0", text);
    default: {
      if (before === undefined) return has(command, CommandFlag.orCreate) ? `=${text}` : "absent";
      if (before.length > 24 || !/^\d+ *$/.test(before)) return { kind: "error", error: "not_an_integer" };
      const old = BigInt(before.trimEnd());
      if (old >= 2n ** 64n) return { kind: "error", error: "not_an_integer" };
      if (command.op === Op.countUp) return `=${(old + command.integer) % 2n ** 64n}`;
      return `=${old > command.integer ? old - command.integer : 0n}`;
    }
  }
}

const TWIN_PLACES = 600;

/** Both as multiples of 10^-600, and only the sum cut to 17 places: another way than the store's. */
function decimalSum(a: string, b: string): string | PlainResult {
  const numbers = [a, b].map((text) => {
    if (/^[+-]?inf$/.test(text)) return "infinite";
    const match = /^([+-]?)(\d+\.?\d*|\.\d+)(?:e(-?\d+))?$/.exec(text);
    if (!match) return null;
    const [whole, fraction = ""] = match[2].split(".");
    const zeros = TWIN_PLACES - fraction.length + Number(match[3] ?? 0);
    const size = BigInt(`0${whole}${fraction}${"0".repeat(zeros)}`);
    if (size >= 10n ** BigInt(TWIN_PLACES + 308)) return "infinite";
    return match[1] === "-" ? -cut(size) : cut(size);
  });
  if (numbers.includes(null)) return { kind: "error", error: "not_a_decimal" };
  if (numbers.includes("infinite")) return { kind: "error", error: "overflow" };
  const sum = (numbers[0] as bigint) + (numbers[1] as bigint);
  const digits = (sum < 0n ? -sum : sum).toString().padStart(18, "0");
  if (digits.length > 308 + 17) return { kind: "error", error: "overflow" };
  const shown = `${digits.slice(0, -17)}.${digits.slice(-17)}`.replace(/\.?0+$/, "");
  return `=${sum < 0n ? "-" : ""}${shown}`;
}

function cut(size: bigint): bigint {
  return (size * 10n + 5n * 10n ** BigInt(TWIN_PLACES - 17)) / 10n ** BigInt(TWIN_PLACES - 16);
}
