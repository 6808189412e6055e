import { LEVEL_NAMES, type Level, levelByName } from "../kv/level.js";
import { callError, GamutError } from "./outcome.js";
import type { ValueCodec } from "./values.js";

export type LevelName = "linearizable" | "sequential" | "causal" | "session" | "bounded" | "eventual";

/** Settings of one call. */
export interface CallOptions {
  /** Default: the handle's, else the keyspace's own. */
  readonly level?: LevelName;
  /** When the call is answered at the latest, in ms. Default: the client's `timeoutMs`. */
  readonly timeoutMs?: number;
  /** Gives the call up: `cancelled` if it has had no effect and never will have one, else `unknown`. */
  readonly signal?: AbortSignal;
  /** Whether the answer shall bring a receipt. */
  readonly explain?: boolean;
}

/** Settings of a watch. */
export interface WatchOptions {
  /** How current its beginning is to be. Default: the handle's, else the keyspace's own. */
  readonly level?: LevelName | undefined;
  /** When no node has answered for so long, in ms, it ends as `unavailable`. Default: the client's `timeoutMs`. */
  readonly timeoutMs?: number | undefined;
  /** Ends it as `cancelled`. */
  readonly signal?: AbortSignal | undefined;
}

/** What options there are, for those whose compiler does not say it: a misspelt one must not pass for the default. */
export type OptionNames<T> = Readonly<Record<keyof T, true>>;

export const WATCH_OPTIONS: OptionNames<Omit<WatchOptions, "level">> = { timeoutMs: true, signal: true };
export const CALL_OPTIONS: OptionNames<CallOptions> = { level: true, timeoutMs: true, signal: true, explain: true };

/** @throws TypeError that names the option which there is not */
export function checkOptions(of: string, options: object, known: OptionNames<unknown>): void {
  checkNames(of, "option", options, known, "{ explain: true }");
}

/** `example`: of an object of such names. @throws TypeError */
export function checkNames(
  of: string,
  noun: string,
  given: object,
  known: Readonly<Record<string, true>>,
  example: string,
): void {
  if (typeof given !== "object" || given === null) {
    throw new TypeError(`the ${noun}s of ${of} are ${String(given)}; they must be an object, as ${example}`);
  }
  for (const name of Object.keys(given)) {
    if (Object.hasOwn(known, name)) continue;
    throw new TypeError(`${of} has no ${noun} ${JSON.stringify(name)}; it has ${Object.keys(known).join(", ")}`);
  }
}

export interface ConnectOptions<V = Uint8Array> {
  /** Default "default". */
  readonly keyspace?: string;
  /** How values become bytes: `bytes` (the default), `text`, `json` or your own. */
  readonly values?: ValueCodec<V>;
  readonly level?: LevelName;
  /** Of a call, in ms. Default 10,000. */
  readonly timeoutMs?: number;
  /** Calls under way at once; past it a call is the error `overloaded`. Default 1,024. */
  readonly maxInFlight?: number;
  /** Keys and values of the calls under way, in bytes; past it as above. Default 64 MiB. */
  readonly maxInFlightBytes?: number;
  /** A node that has said nothing for so long, though something is due, is taken for dead. In ms; default 3,000. */
  readonly silenceMs?: number;
  /** A connection that is not made in this time is given up. In ms; default 2,000. */
  readonly connectMs?: number;
  /** The wait before a node that did not answer is tried again: at first and at most. In ms; default 50 and 2,000. */
  readonly backoffMs?: number;
  readonly backoffMsMax?: number;
}

/** What all handles of one client go by. */
export interface Settings {
  readonly timeoutMs: number;
  readonly maxInFlight: number;
  readonly maxInFlightBytes: number;
  readonly silenceMs: number;
  readonly connectMs: number;
  readonly backoffMs: number;
  readonly backoffMsMax: number;
}

const DEFAULTS: Settings = {
  timeoutMs: 10_000,
  maxInFlight: 1_024,
  maxInFlightBytes: 64 * 1_048_576,
  silenceMs: 3_000,
  connectMs: 2_000,
  backoffMs: 50,
  backoffMsMax: 2_000,
};
const CONNECT_OPTIONS: OptionNames<ConnectOptions<unknown>> = {
  ...{ keyspace: true, values: true, level: true, timeoutMs: true, maxInFlight: true, maxInFlightBytes: true },
  ...{ silenceMs: true, connectMs: true, backoffMs: true, backoffMsMax: true },
};

/** Longer than anybody waits, and what a timer can still hold. */
const SETTING_MAX = 2_147_483_647;

/** @throws GamutError bad_request @throws TypeError */
export function settingsFrom(options: ConnectOptions<unknown>): Settings {
  checkOptions("connect", options, CONNECT_OPTIONS);
  levelFrom(options.level);
  const settings: Record<string, number> = {};
  for (const [name, standard] of Object.entries(DEFAULTS)) {
    const value = (options as Record<string, unknown>)[name] ?? standard;
    settings[name] = wholeNumber(name, value);
  }
  return settings as unknown as Settings;
}

/** @throws GamutError bad_request */
export function wholeNumber(name: string, value: unknown): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 1 && value <= SETTING_MAX) return value;
  throw new GamutError(callError("bad_request", `${name} is ${value}; it must be a whole number from 1`));
}

/** null: the keyspace's own. @throws GamutError bad_request */
export function levelFrom(name: LevelName | undefined): Level | null {
  if (name === undefined) return null;
  const level = levelByName(name);
  if (level !== null) return level;
  const names = Object.values(LEVEL_NAMES).join(", ");
  throw new GamutError(callError("bad_request", `there is no level ${name}; there are ${names}`));
}

/** What a node may take for an answer: it says then that it could not, where silence would look like its death. */
export function nodeTimeoutMs(settings: Settings): number {
  return Math.max(1, Math.floor((settings.silenceMs * 2) / 3));
}
