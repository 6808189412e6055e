/** Inline commands: a line of words as a person types it, with Redis' quoting (sdssplitargs). */
import { allocate } from "../../core/bytes.js";
import type { Arguments } from "./arguments.js";

const DOUBLE_QUOTE = 0x22;
const SINGLE_QUOTE = 0x27;
const BACKSLASH = 0x5c;
const LETTER_X = 0x78;

/**
 * Splits the line `bytes[start, end)` (without its newline) into `into`, over bytes of its own. False: a quote is not
 * closed, or is followed by something else than a space. A NUL ends the line, as it does in Redis.
 */
export function splitInline(bytes: Uint8Array, start: number, end: number, into: Arguments): boolean {
  const out = allocate(end - start);
  into.clear();
  into.bytes = out;
  const nul = bytes.subarray(start, end).indexOf(0);
  const limit = nul < 0 ? end : start + nul;
  let at = start;
  let length = 0;
  for (;;) {
    while (at < limit && isSpace(bytes[at])) at += 1;
    if (at >= limit) return true;
    const word = length;
    let quote = 0;
    while (at < limit) {
      const byte = bytes[at];
      if (quote === 0) {
        if (isSpace(byte)) break;
        at += 1;
        if (byte === DOUBLE_QUOTE || byte === SINGLE_QUOTE) quote = byte;
        else out[length++] = byte;
      } else if (byte === quote) {
        at += 1;
        if (at < limit && !isSpace(bytes[at])) return false;
        quote = 0;
        break;
      } else if (byte === BACKSLASH && quote === DOUBLE_QUOTE && isHexEscape(bytes, at, limit)) {
        out[length++] = hexDigit(bytes[at + 2]) * 16 + hexDigit(bytes[at + 3]);
        at += 4;
      } else if (byte === BACKSLASH && quote === DOUBLE_QUOTE && at + 1 < limit) {
        out[length++] = unescaped(bytes[at + 1]);
        at += 2;
      } else if (byte === BACKSLASH && quote === SINGLE_QUOTE && bytes[at + 1] === SINGLE_QUOTE && at + 1 < limit) {
        out[length++] = SINGLE_QUOTE;
        at += 2;
      } else {
        out[length++] = byte;
        at += 1;
      }
    }
    if (quote !== 0) return false;
    into.add(word, length);
  }
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);
}

function isHexEscape(bytes: Uint8Array, at: number, limit: number): boolean {
  return at + 3 < limit && bytes[at + 1] === LETTER_X && hexDigit(bytes[at + 2]) >= 0 && hexDigit(bytes[at + 3]) >= 0;
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  if (byte >= 0x41 && byte <= 0x46) return byte - 0x41 + 10;
  if (byte >= 0x61 && byte <= 0x66) return byte - 0x61 + 10;
  return -1;
}

function unescaped(byte: number): number {
  switch (byte) {
    case 0x6e:
      return 0x0a;
    case 0x72:
      return 0x0d;
    case 0x74:
      return 0x09;
    case 0x62:
      return 0x08;
    case 0x61:
      return 0x07;
    default:
      return byte;
  }
}
