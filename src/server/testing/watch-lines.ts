import type { RawClient } from "./raw-client.js";

/** What `gamut watch` tells on the wire of memcached. */
export interface WatchLine {
  readonly kind: string;
  /** Latin1. */
  readonly key: string;
  readonly version: number;
  /** "" where there is none. */
  readonly position: string;
  /** Latin1; null: there is no data block. */
  readonly value: string | null;
  /** Of an end. */
  readonly error: string;
}

/** Reads the next line, and its data block if it has one. */
export async function nextWatchLine(raw: RawClient): Promise<WatchLine> {
  const words = (await raw.through("\r\n")).slice(0, -2).split(" ");
  const kind = words[0];
  const hasKey = ["RECORD", "PUT", "DELETE", "EXPIRE"].includes(kind);
  const word = hasKey ? words[1] : "";
  const flags = words.slice(hasKey ? 2 : 1);
  // What is not a flag begins the error line.
  const end = flags.findIndex((flag) => !/^(b|[cs]\d+|p[0-9a-f]+)$/.test(flag));
  const known = end < 0 ? flags : flags.slice(0, end);
  const flag = (name: string): string | undefined => known.find((each) => each.startsWith(name))?.slice(1);
  const bytes = flag("s");
  return {
    kind,
    key: word === '""' ? "" : known.includes("b") ? Buffer.from(word, "base64").toString("latin1") : word,
    version: Number(flag("c") ?? 0),
    position: flag("p") ?? "",
    value: bytes === undefined ? null : (await raw.take(Number(bytes) + 2)).slice(0, -2),
    error: end < 0 ? "" : flags.slice(end).join(" "),
  };
}

/** The next line that tells of a change, or of the end. */
export async function nextChangeLine(raw: RawClient): Promise<WatchLine> {
  let line = await nextWatchLine(raw);
  while (line.kind === "PROGRESS") line = await nextWatchLine(raw);
  return line;
}

/** The next lines for the eye: kind, key, version, `p` for a position, and the value behind a `=`. */
export async function shownWatchLines(raw: RawClient, count: number): Promise<string[]> {
  const shown: string[] = [];
  for (let i = 0; i < count; i += 1) {
    const { kind, key, version, position, value } = await nextChangeLine(raw);
    const words = [kind, key, version === 0 ? "" : `c${version}`, position === "" ? "" : "p"];
    shown.push([...words, value === null ? "" : `=${value}`].filter((word) => word !== "").join(" "));
  }
  return shown;
}
