/** The TypeScript SDK: `import { connect } from "gamut/client"`. See docs/client.md. */

export type { KeyPart, KeyTuple } from "../codec/key-tuple.js";
export type { Atomic, Check } from "./atomic.js";
export type { Change, Changes, ChangesOptions } from "./changes.js";
export { connect, type Entry, type Gamut, type SetOptions } from "./gamut.js";
export type { Key, ListedKey, Selector } from "./key.js";
export type { List, ListEntry, ListOptions } from "./list.js";
export type { CallOptions, ConnectOptions, LevelName, WatchOptions } from "./options.js";
export {
  type Answered,
  CompactedError,
  type Failure,
  GamutError,
  type Outcome,
  ok,
  type Receipt,
  type Unknown,
} from "./outcome.js";
export { bytes, json, text, type ValueCodec } from "./values.js";
export type { Watch } from "./watch.js";
