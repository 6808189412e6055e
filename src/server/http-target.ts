/** What a request target names: keys and query parameters are bytes, percent-encoded, held as latin1 strings. */
import { Problem } from "./http-problem.js";

const KEYSPACES = "/v1/keyspaces/";
const KEYS = "/keys/";
const INCREMENT = "/increment";
const PERCENT = 0x25;

/** A key as a resource, or its counter. Names are still percent-encoded. */
export interface KeyTarget {
  readonly keyspace: string;
  readonly key: string;
  readonly isIncrement: boolean;
  readonly query: string;
}

/** The path and query of a target that names the host, too, as proxies are asked (RFC 9112, 3.2.2); others as they are. */
export function originForm(url: string): string {
  if (url.startsWith("/")) return url;
  const rest = url.replace(/^https?:\/\/[^/?#]*/i, "");
  return rest !== url && !rest.startsWith("/") ? `/${rest}` : rest;
}

/** `/v1/keyspaces/{keyspace}/keys/{key}` or `…/increment`; null for any other. */
export function parseKeyTarget(url: string): KeyTarget | null {
  if (!url.startsWith(KEYSPACES)) return null;
  const keyspaceEnd = url.indexOf("/", KEYSPACES.length);
  if (keyspaceEnd < 0 || !url.startsWith(KEYS, keyspaceEnd)) return null;
  const keyStart = keyspaceEnd + KEYS.length;
  const mark = url.indexOf("?", KEYSPACES.length);
  if (mark >= 0 && mark < keyStart) return null;
  const pathEnd = mark < 0 ? url.length : mark;
  const slash = url.indexOf("/", keyStart);
  const hasMore = slash >= 0 && slash < pathEnd;
  if (hasMore && url.slice(slash, pathEnd) !== INCREMENT) return null;
  return {
    keyspace: url.slice(KEYSPACES.length, keyspaceEnd),
    key: url.slice(keyStart, hasMore ? slash : pathEnd),
    isIncrement: hasMore,
    query: mark < 0 ? "" : url.slice(mark + 1),
  };
}

/** One char a byte. Null: a percent sign is not followed by two hex digits. */
export function percentDecode(text: string): string | null {
  let at = text.indexOf("%");
  if (at < 0) return text;
  let decoded = text.slice(0, at);
  while (at < text.length) {
    if (text.charCodeAt(at) !== PERCENT) {
      decoded += text[at];
      at += 1;
      continue;
    }
    const digits = text.slice(at + 1, at + 3);
    if (!/^[0-9a-fA-F]{2}$/.test(digits)) return null;
    decoded += String.fromCharCode(Number.parseInt(digits, 16));
    at += 3;
  }
  return decoded;
}

/**
 * Parameters by name; a name alone has the value "". A plus is a space, as in forms. Null: a percent sign is wrong, or a
 * parameter is there twice.
 */
export function parseQuery(text: string): Map<string, string> | null {
  const parameters = new Map<string, string>();
  if (text === "") return parameters;
  for (const pair of text.split("&")) {
    if (pair === "") continue;
    const mark = pair.indexOf("=");
    const name = percentDecode((mark < 0 ? pair : pair.slice(0, mark)).replaceAll("+", " "));
    const value = percentDecode((mark < 0 ? "" : pair.slice(mark + 1)).replaceAll("+", " "));
    if (name === null || value === null || parameters.has(name)) return null;
    parameters.set(name, value);
  }
  return parameters;
}

export function badEncoding(what: string): Problem {
  const cause = "a percent sign in it is not followed by two hex digits, or a parameter is there twice";
  return new Problem("bad_request", `${what} cannot be read: ${cause}; bytes are written as %00 to %FF`);
}
