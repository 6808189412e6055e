/** A second reading of the protocol, over the whole input at once and by string functions: what the parser is held to. */
import type { RespLimits } from "../parser.js";

export interface Reading {
  readonly requests: string[][];
  readonly error: string;
  /** Chars of the end that are no whole request. */
  readonly rest: number;
}

export function readRequests(input: string, limits: RespLimits): Reading {
  const requests: string[][] = [];
  let at = 0;
  const done = (error: string): Reading => ({ requests, error, rest: input.length - at });
  for (;;) {
    if (at === input.length) return done("");
    if (input[at] !== "*") {
      const newline = input.indexOf("\n", at);
      const line = newline < 0 ? input.slice(at) : input.slice(at, newline);
      if (line.length > limits.inlineBytesMax) return done("ERR Protocol error: too big inline request");
      if (newline < 0) return done("");
      const words = splitWords(line.replace(/\r$/, ""));
      if (words === null) return done("ERR Protocol error: unbalanced quotes in request");
      if (words.length > 0) requests.push(words);
      at = newline + 1;
      continue;
    }
    const outcome = readMultibulk(input, at, limits);
    if (outcome === "incomplete") return done("");
    if (typeof outcome === "string") return done(`ERR Protocol error: ${outcome}`);
    if (outcome.words.length > 0) requests.push(outcome.words);
    at = outcome.end;
  }
}

function readMultibulk(input: string, start: number, limits: RespLimits): { words: string[]; end: number } | string {
  const count = readInteger(input, start + 1);
  if (typeof count === "string") return count === "incomplete" ? count : "invalid multibulk length";
  if (count.value > limits.argumentsMax) return "invalid multibulk length";
  const words: string[] = [];
  let at = count.end;
  while (words.length < count.value) {
    if (at === input.length) return "incomplete";
    if (input[at] !== "$") return `expected '$', got '${input[at]}'`;
    const length = readInteger(input, at + 1);
    if (length === "incomplete") return length;
    if (typeof length === "string" || length.negative || length.value > limits.bulkBytesMax)
      return "invalid bulk length";
    if (length.end - start + length.value > limits.requestBytesMax) return "too big request";
    at = length.end + length.value;
    if (at + 2 > input.length) return "incomplete";
    if (input.slice(at, at + 2) !== "\r\n") return "bulk not followed by CRLF";
    words.push(input.slice(length.end, at));
    at += 2;
  }
  return { words, end: at };
}

function readInteger(input: string, at: number): { value: number; negative: boolean; end: number } | string {
  const line = input.slice(at, at + 32);
  const whole = /^(-?)(0|[1-9]\d*)\r\n/.exec(input.slice(at, at + 33));
  if (whole !== null && !(whole[1] === "-" && whole[2] === "0") && whole[0].length <= 33) {
    return { value: Number(whole[1] + whole[2]), negative: whole[1] === "-", end: at + whole[0].length };
  }
  // Could more bytes still make an integer line of it?
  if (/^-?$/.test(line) || /^0\r?$/.test(line) || /^-?[1-9]\d*\r?$/.test(line)) {
    return line.replace("\r", "").length < 32 || line.endsWith("\r") ? "incomplete" : "invalid";
  }
  // A leading zero is found out when the line ends.
  if (/^-?0\d*$/.test(line)) return line.length < 32 ? "incomplete" : "invalid";
  return "invalid";
}

/** By a regular expression instead of a walk. Null: quotes do not balance. */
function splitWords(line: string): string[] | null {
  const text = line.split("\0")[0];
  const words: string[] = [];
  const token =
    /[ \t\n\v\f\r]*([^ \t\n\v\f\r"']*(?:"((?:\\[\s\S]|[^"\\])*)"(?=[ \t\n\v\f\r]|$)|'((?:\\'|\\(?!')|[^'\\])*)'(?=[ \t\n\v\f\r]|$))?)/y;
  let at = 0;
  while (/[^ \t\n\v\f\r]/.test(text.slice(at))) {
    token.lastIndex = at;
    const match = token.exec(text);
    if (match === null || match[1] === "") return null;
    at = token.lastIndex;
    let word = match[1];
    if (match[2] !== undefined) word = `${word.slice(0, word.length - match[2].length - 2)}${unescapeDouble(match[2])}`;
    else if (match[3] !== undefined) {
      word = `${word.slice(0, word.length - match[3].length - 2)}${match[3].replace(/\\'/g, "'")}`;
    }
    if (at < text.length && !/[ \t\n\v\f\r]/.test(text[at])) return null;
    words.push(word);
  }
  return words;
}

function unescapeDouble(text: string): string {
  const named: Record<string, string> = { n: "\n", r: "\r", t: "\t", b: "\b", a: "\x07" };
  return text.replace(/\\(?:x([0-9a-fA-F]{2})|([\s\S]))/g, (_all, hex?: string, char?: string) =>
    hex === undefined ? (named[char!] ?? char!) : String.fromCharCode(Number.parseInt(hex, 16)),
  );
}
