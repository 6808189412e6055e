/**
 * A record's version as text: 16 hex digits, so that the order of the texts is the order of the versions. (What a version
 * tells depends on the protocol: of gossip it is a hash, equal or not.)
 */
const CHARS = 16;

export function toVersionstamp(version: number): string {
  return version.toString(16).padStart(CHARS, "0");
}

/** Null: it is none. */
export function fromVersionstamp(text: string): number | null {
  if (!/^[0-9a-f]{16}$/.test(text)) return null;
  const version = Number.parseInt(text, 16);
  return Number.isSafeInteger(version) ? version : null;
}
