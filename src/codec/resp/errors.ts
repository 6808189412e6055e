/** Error lines in Redis' own words, and the road from Gamut's errors to RESP's. Without the leading "-". */
import type { ErrorCode, KvError } from "../../kv/errors.js";
import type { Arguments } from "./arguments.js";

export const SYNTAX_ERROR = "ERR syntax error";
export const NOT_AN_INTEGER = "ERR value is not an integer or out of range";
export const INVALID_CURSOR = "ERR invalid cursor";
export const EXEC_ABORTED = "EXECABORT Transaction discarded because of previous errors.";

/** Redis shows at most this much of a command that it does not know. */
const ECHOED_BYTES_MAX = 128;

type Dialect = "unknown" | "tryAgain" | "redis" | "gamut";

/**
 * `tryAgain` only for what is definite and may well succeed when asked again: a client may retry it blindly.
 * `redis`: the message is Redis' own. `gamut`: Redis knows no such thing, so the code is named.
 */
const DIALECT: Readonly<Record<ErrorCode, Dialect>> = {
  unknown: "unknown",
  session_expired: "unknown",
  overloaded: "tryAgain",
  unavailable: "tryAgain",
  recovering: "tryAgain",
  disk_full: "tryAgain",
  clock_ahead: "gamut",
  stopping: "tryAgain",
  cancelled: "tryAgain",
  keyspace_unknown: "gamut",
  keyspace_gone: "gamut",
  keyspace_exists: "gamut",
  wrong_cluster: "gamut",
  history_lost: "gamut",
  compacted: "gamut",
  bad_token: "gamut",
  cross_group: "gamut",
  level_unsupported: "gamut",
  operation_unsupported: "gamut",
  key_too_long: "gamut",
  value_too_large: "gamut",
  batch_too_large: "gamut",
  bad_request: "gamut",
  conflict: "gamut",
  not_an_integer: "redis",
  not_a_decimal: "redis",
  overflow: "redis",
};

export function errorText(error: KvError): string {
  switch (DIALECT[error.code]) {
    case "unknown":
      // The word is the code already.
      return error.code === "unknown" ? `UNKNOWN ${error.message}` : `UNKNOWN ${error.code}: ${error.message}`;
    case "tryAgain":
      return `TRYAGAIN ${error.code}: ${error.message}`;
    case "redis":
      return `ERR ${error.message}`;
    case "gamut":
      return `ERR ${error.code}: ${error.message}`;
  }
}

/** `name` as in the command table; a subcommand's is "container|subcommand". */
export function wrongArity(name: string): string {
  return `ERR wrong number of arguments for '${name}' command`;
}

export function invalidExpireTime(name: string): string {
  return `ERR invalid expire time in '${name}' command`;
}

export function unknownCommand(request: Arguments): string {
  let shown = "";
  for (let i = 1; i < request.count && shown.length < ECHOED_BYTES_MAX; i += 1) {
    shown += `'${untilNul(request.text(i)).slice(0, ECHOED_BYTES_MAX - shown.length)}' `;
  }
  const name = untilNul(request.text(0)).slice(0, ECHOED_BYTES_MAX);
  return `ERR unknown command '${name}', with args beginning with: ${shown}`;
}

export function unknownSubcommand(container: string, request: Arguments): string {
  const name = untilNul(request.text(1)).slice(0, ECHOED_BYTES_MAX);
  return `ERR unknown subcommand '${name}'. Try ${container.toUpperCase()} HELP.`;
}

/** Redis formats these as C strings. */
function untilNul(text: string): string {
  const nul = text.indexOf("\0");
  return nul < 0 ? text : text.slice(0, nul);
}
