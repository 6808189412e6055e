/** The request fields of this wire's own. One that is misspelt would be lost without a word: it is refused. */
import type { IncomingHttpHeaders } from "node:http";
import { Problem } from "./http-problem.js";

const OWN = "gamut-";
const KNOWN: ReadonlySet<string> = new Set(["gamut-token", "gamut-ttl"]);
const SHOWN_CHARS_MAX = 80;

/** Null: there is no field that would mean nothing here. */
export function refuseFields(headers: IncomingHttpHeaders): Problem | null {
  for (const name in headers) {
    if (!name.startsWith(OWN) || KNOWN.has(name)) continue;
    const shown = JSON.stringify(name.slice(0, SHOWN_CHARS_MAX));
    return new Problem("bad_request", `there is no request field ${shown}; there are Gamut-Token and Gamut-TTL`);
  }
  return null;
}
