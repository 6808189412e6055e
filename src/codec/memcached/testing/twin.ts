/** A second reading of the protocol, over the whole input at once and by string functions: what the parser is held to. */
import type { MemcachedLimits } from "../parser.js";

export interface Reading {
  /** Words of the line, with the value of a plain set as the last. */
  readonly requests: { words: string[]; data: string | null; block: string; isPlain: boolean }[];
  readonly error: string;
  /** Whether the end of the input is a part of a request. */
  readonly partial: boolean;
}

/** Words that a line must have for its data to be read, and which of them is their length. */
const WITH_DATA: Readonly<Record<string, readonly [min: number, max: number, length: number]>> = {
  set: [5, 6, 4],
  add: [5, 6, 4],
  replace: [5, 6, 4],
  append: [5, 6, 4],
  prepend: [5, 6, 4],
  cas: [6, 7, 4],
  ms: [3, Number.POSITIVE_INFINITY, 2],
};

export function readRequests(input: string, limits: MemcachedLimits): Reading {
  const requests: Reading["requests"] = [];
  let isPlain = false;
  let at = 0;
  while (at < input.length) {
    const newline = input.indexOf("\n", at);
    const line = newline < 0 ? input.slice(at) : input.slice(at, newline);
    const namesKeys = /^(get|gets|gat|gats|gamut)(?= |$)/.test(line);
    const limit = namesKeys ? limits.keysLineBytesMax : limits.lineBytesMax;
    if (line.length > limit) {
      return { requests, error: `CLIENT_ERROR the line is longer than ${limit} bytes`, partial: false };
    }
    if (newline < 0) return { requests, error: "", partial: true };
    const text = line.replace(/\r$/, "");
    let words = text.split(" ").filter((word) => word !== "");
    at = newline + 1;
    if (words[0] === "set" && (words.length === 3 || (isPlain && words.length > 3))) {
      isPlain = true;
      words = /^ *(\S+) +([^ ]+) +([\s\S]*)$/.exec(text)!.slice(1, 4);
    }
    const form = isPlain && words[0] === "set" ? undefined : WITH_DATA[words[0] ?? ""];
    const length = form === undefined ? "" : (words[form[2]] ?? "");
    const isAnnounced = form !== undefined && words.length >= form[0] && words.length <= form[1];
    if (!isAnnounced && words[0] === "set" && isPlain && words.length === 3) {
      requests.push({ words, data: null, block: "none", isPlain });
      continue;
    }
    if (!isAnnounced || !/^\d{1,15}$/.test(length)) {
      requests.push({ words, data: null, block: "none", isPlain });
      continue;
    }
    const bytes = Number(length);
    if (bytes > limits.droppedBytesMax) {
      return { requests, error: "SERVER_ERROR object too large for cache", partial: false };
    }
    if (bytes > limits.valueBytesMax) {
      requests.push({ words, data: null, block: "tooLarge", isPlain });
      if (at + bytes + 2 > input.length) return { requests, error: "", partial: true };
    } else {
      if (at + bytes + 2 > input.length) return { requests, error: "", partial: true };
      const isWhole = input.slice(at + bytes, at + bytes + 2) === "\r\n";
      const data = isWhole ? input.slice(at, at + bytes) : null;
      requests.push({ words, data, block: isWhole ? "whole" : "bad", isPlain });
    }
    at += bytes + 2;
  }
  return { requests, error: "", partial: false };
}
