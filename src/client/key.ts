import { decodeKeyTuple, encodeKeyTuple, type KeyPart, type KeyTuple, KeyTupleError } from "../codec/key-tuple.js";
import { latin1Decode, latin1Encode, utf8Decode, utf8Encode } from "../core/bytes.js";
import { checkNames } from "./options.js";
import { callError, GamutError } from "./outcome.js";

/**
 * A string is its UTF-8 bytes, as other wires write it. A tuple is in Deno KV's encoding, whose order is the tuples'
 * order. A Uint8Array is the key's bytes themselves.
 */
export type Key = string | KeyTuple | Uint8Array;

/** As the store holds it: one char a byte. @throws GamutError bad_request */
export function keyString(key: Key): string {
  return latin1Decode(keyBytes(key));
}

/** `of`: the call that takes them. @throws GamutError bad_request */
export function keyStrings(of: string, keys: readonly Key[]): string[] {
  if (!Array.isArray(keys)) throw badKey(`${of} takes an array of keys, as ${of}(["a", ["users", 42]])`);
  return keys.map(keyString);
}

function keyBytes(key: Key): Uint8Array {
  if (key instanceof Uint8Array) return key;
  if (typeof key === "string") {
    // A lone surrogate would become U+FFFD, and two keys one.
    if (/\p{Surrogate}/u.test(key)) throw badKey("the key is no well-formed string");
    return utf8Encode(key);
  }
  if (!Array.isArray(key)) throw badKey("a key is a string, an array of parts or a Uint8Array");
  try {
    return encodeKeyTuple(key);
  } catch (error) {
    if (error instanceof KeyTupleError) throw badKey(error.message);
    throw error;
  }
}

/** Which keys a list is about. Its entries' keys come in the form of its bounds: strings, tuples or bytes. */
export type Selector<K extends Key = Key> =
  | { readonly prefix: K; readonly start?: K; readonly end?: K }
  | { readonly start: K; readonly end: K };

/** A key of such a list: a tuple's parts may be of other types than those of the bounds. */
export type ListedKey<K extends Key> = K extends string ? string : K extends Uint8Array ? Uint8Array : KeyPart[];

export type KeyForm = "string" | "tuple" | "bytes";

export interface KeyRange {
  /** Inclusive. */
  readonly start: string;
  /** Exclusive; "" for none. */
  readonly end: string;
  readonly form: KeyForm;
}

const BOUNDS = { prefix: true, start: true, end: true } as const;

/** Of the selector of `of`, a list or what else there is. @throws GamutError bad_request @throws TypeError */
export function keyRange(of: string, selector: Selector): KeyRange {
  checkNames(of, "bound", selector, BOUNDS, '{ prefix: "user:" }');
  const prefix = "prefix" in selector ? selector.prefix : undefined;
  const { start, end } = selector;
  const bounds = [prefix, start, end].filter((bound) => bound !== undefined);
  const forms = new Set(bounds.map(formOf));
  if (prefix === undefined && (start === undefined || end === undefined)) {
    throw badKey(`${of} needs a prefix, or a start and an end`);
  }
  if (forms.size > 1) throw badKey(`the bounds of ${of} must be of one form: strings, tuples or bytes`);
  const form = formOf(bounds[0]);
  const inside = prefix === undefined ? { start: "", end: "" } : prefixRange(keyString(prefix), form);
  return {
    start: start === undefined ? inside.start : larger(keyString(start), inside.start),
    end: end === undefined ? inside.end : smaller(keyString(end), inside.end),
    form,
  };
}

/** A tuple's prefix stands for the tuples that go on after it; of text and bytes, for all that begins so, itself included. */
function prefixRange(prefix: string, form: KeyForm): { start: string; end: string } {
  if (form === "tuple") return { start: `${prefix}\0`, end: `${prefix}\xff` };
  const kept = prefix.replace(/\xff+$/, "");
  if (kept === "") return { start: prefix, end: "" };
  return { start: prefix, end: kept.slice(0, -1) + String.fromCharCode(kept.charCodeAt(kept.length - 1) + 1) };
}

/** With what all keys of a range begin. */
export function commonPrefix({ start, end }: KeyRange): string {
  let length = 0;
  while (length < start.length && length < end.length && start[length] === end[length]) length += 1;
  const common = start.slice(0, length);
  const isNext = end.length === length + 1 && end.charCodeAt(length) === start.charCodeAt(length) + 1;
  return isNext ? start.slice(0, length + 1) : common;
}

function larger(a: string, b: string): string {
  return a > b ? a : b;
}

/** "" is no end at all. */
function smaller(a: string, b: string): string {
  return b !== "" && b < a ? b : a;
}

function formOf(key: Key): KeyForm {
  return typeof key === "string" ? "string" : key instanceof Uint8Array ? "bytes" : "tuple";
}

/** The key in the form asked for. @throws GamutError bad_request if it has none in that form */
export function showKey(key: string, form: KeyForm): Key {
  const bytes = latin1Encode(key);
  if (form === "bytes") return bytes;
  const shown = form === "string" ? utf8Decode(bytes) : decodeKeyTuple(bytes);
  if (shown !== null) return shown;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  throw badKey(`there is the key ${hex} (hex), which is no ${form}: ask for it with bounds that are Uint8Arrays`);
}

function badKey(message: string): GamutError {
  return new GamutError(callError("bad_request", message));
}
