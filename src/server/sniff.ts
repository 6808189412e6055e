/** Which of the wires a connection speaks, by its first line. */

import { findCommandIn } from "../codec/resp/index.js";
import { latin1Decode } from "../core/bytes.js";

export const Wire = {
  /** The first line is not whole yet. */
  undecided: 0,
  resp: 1,
  http: 2,
  http2: 3,
  memcached: 4,
  tls: 5,
  /** The binary protocol of memcached, which its authors have retired. */
  memcachedBinary: 6,
} as const;
export type Wire = (typeof Wire)[keyof typeof Wire];

const ASTERISK = 0x2a;
const TLS_HANDSHAKE = 0x16;
const MEMCACHED_BINARY = 0x80;
const LOWER_A = 0x61;
const LOWER_Z = 0x7a;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;

const HTTP2_PREFACE = "PRI * HTTP/2.0";
const HTTP_LINE = / HTTP\/1\.\d$/;

/**
 * Some first bytes decide at once (memcached's commands are lower-case, and a line of theirs may be long); else the first
 * whole line does. The same answer wherever the chunks are cut.
 */
export function sniffWire(bytes: Uint8Array, length: number): Wire {
  if (length === 0) return Wire.undecided;
  if (bytes[0] === ASTERISK) return Wire.resp;
  if (bytes[0] === TLS_HANDSHAKE) return Wire.tls;
  if (bytes[0] === MEMCACHED_BINARY) return Wire.memcachedBinary;
  if (bytes[0] >= LOWER_A && bytes[0] <= LOWER_Z) return Wire.memcached;
  const newline = bytes.subarray(0, length).indexOf(LF);
  if (newline < 0) return Wire.undecided;
  const end = newline > 0 && bytes[newline - 1] === CR ? newline - 1 : newline;
  const line = latin1Decode(bytes, 0, end);
  if (line === HTTP2_PREFACE) return Wire.http2;
  if (HTTP_LINE.test(line)) return Wire.http;
  return isRedisVerb(bytes, end) ? Wire.resp : Wire.memcached;
}

/** Redis' verbs in upper case: in lower case `get` and `set` are memcached's. */
function isRedisVerb(bytes: Uint8Array, end: number): boolean {
  let at = 0;
  while (at < end && bytes[at] !== SPACE) {
    if (bytes[at] < 0x41 || bytes[at] > 0x5a) return false;
    at += 1;
  }
  return findCommandIn(bytes, 0, at) !== null;
}
