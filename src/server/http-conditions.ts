/** If-Match and If-None-Match (RFC 9110, 13.1): an entity tag is the record's version in quotes. */
import type { IncomingHttpHeaders } from "node:http";
import { Problem } from "./http-problem.js";

const TAG = /^(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"$/;
const VERSION_TAG = /^"([1-9]\d{0,15})"$/;

/** The versions that a field names; those that can be no version of ours are left out. `any`: the field was `*`. */
export interface VersionTags {
  readonly any: boolean;
  readonly versions: readonly number[];
}

export interface Conditions {
  readonly ifMatch: VersionTags | null;
  readonly ifNoneMatch: VersionTags | null;
}

export const NO_CONDITIONS: Conditions = { ifMatch: null, ifNoneMatch: null };

export function etag(version: number): string {
  return `"${version}"`;
}

export function parseConditions(headers: IncomingHttpHeaders): Conditions | Problem {
  const match = headers["if-match"];
  const noneMatch = headers["if-none-match"];
  if (match === undefined && noneMatch === undefined) return NO_CONDITIONS;
  const ifMatch = match === undefined ? null : parseTags("If-Match", match, false);
  if (ifMatch instanceof Problem) return ifMatch;
  const ifNoneMatch = noneMatch === undefined ? null : parseTags("If-None-Match", noneMatch, true);
  return ifNoneMatch instanceof Problem ? ifNoneMatch : { ifMatch, ifNoneMatch };
}

/** A weak tag (`W/"5"`) matches only where `weakly` is allowed: If-Match compares strongly (RFC 9110, 8.8.3.2). */
function parseTags(field: string, text: string, weakly: boolean): VersionTags | Problem {
  if (text.trim() === "*") return { any: true, versions: [] };
  const versions: number[] = [];
  for (const part of text.split(",")) {
    const tag = part.trim();
    if (!TAG.test(tag)) {
      const found = tag.slice(0, 40);
      return new Problem(
        "bad_request",
        `${field} must be * or versions in quotes, as in ${field}: "42"; found ${found}`,
      );
    }
    const version = Number(VERSION_TAG.exec(weakly ? tag.replace(/^W\//, "") : tag)?.[1] ?? 0);
    if (version > 0 && Number.isSafeInteger(version)) versions.push(version);
  }
  return { any: false, versions };
}

export function holds(tags: VersionTags, version: number): boolean {
  return tags.any || tags.versions.includes(version);
}
