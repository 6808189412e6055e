/** Error lines in memcached's own words, and the road from Gamut's errors to them. */
import type { ErrorCode, KvError } from "../../kv/errors.js";

export const ERROR = "ERROR";
export const BAD_FORMAT = "CLIENT_ERROR bad command line format";
export const BAD_CHUNK = "CLIENT_ERROR bad data chunk";
export const TOO_LARGE = "SERVER_ERROR object too large for cache";
export const NOT_NUMERIC = "CLIENT_ERROR cannot increment or decrement non-numeric value";
export const INVALID_DELTA = "CLIENT_ERROR invalid numeric delta argument";
export const INVALID_EXPTIME = "CLIENT_ERROR invalid exptime argument";
export const DELETE_USAGE = `${BAD_FORMAT}.  Usage: delete <key> [noreply]`;

type Dialect = "unknown" | "server" | "tooLarge" | "badFormat" | "notNumeric";

/** `server`: memcached knows no such thing, so the code is named. */
const DIALECT: Readonly<Record<ErrorCode, Dialect>> = {
  unknown: "unknown",
  session_expired: "unknown",
  overloaded: "server",
  unavailable: "server",
  recovering: "server",
  disk_full: "server",
  stopping: "server",
  cancelled: "server",
  keyspace_unknown: "server",
  keyspace_gone: "server",
  keyspace_exists: "server",
  wrong_cluster: "server",
  history_lost: "server",
  compacted: "server",
  bad_token: "server",
  cross_group: "server",
  level_unsupported: "server",
  operation_unsupported: "server",
  clock_ahead: "server",
  key_too_long: "badFormat",
  value_too_large: "tooLarge",
  batch_too_large: "server",
  bad_request: "server",
  conflict: "server",
  not_an_integer: "notNumeric",
  not_a_decimal: "server",
  overflow: "server",
};

export function errorLine(error: KvError): string {
  switch (DIALECT[error.code]) {
    case "unknown":
      // The word is the code already.
      return error.code === "unknown"
        ? `SERVER_ERROR unknown ${error.message}`
        : `SERVER_ERROR unknown ${error.code}: ${error.message}`;
    case "server":
      return `SERVER_ERROR ${error.code}: ${error.message}`;
    case "tooLarge":
      return TOO_LARGE;
    case "badFormat":
      return BAD_FORMAT;
    case "notNumeric":
      return NOT_NUMERIC;
  }
}
