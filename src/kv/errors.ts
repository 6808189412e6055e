/**
 * Every error of Gamut. `definite: true` means that the operation has not taken effect and never will; `false`, that
 * nobody knows: it may have taken effect, may still, or never.
 */
export const ERRORS = {
  unknown: { definite: false, summary: "the outcome is not known: it may have taken effect, may still, or never will" },
  session_expired: { definite: false, summary: "the session that would tell whether this was done before is gone" },

  overloaded: { definite: true, summary: "a stated limit of work in flight is reached; try again" },
  unavailable: { definite: true, summary: "no majority could be reached in time; nothing was done" },
  recovering: {
    definite: true,
    summary: "this group waits for a majority of replicas that have not lost their memory",
  },
  disk_full: { definite: true, summary: "the log has no room left; writes are refused, reads go on" },
  clock_ahead: {
    definite: true,
    summary: "this node's clock is ahead of its peers': set it right, or write at another node",
  },
  stopping: { definite: true, summary: "this node is stopping" },
  cancelled: { definite: true, summary: "the client went away before the operation began" },

  keyspace_unknown: { definite: true, summary: "there is no keyspace of that name" },
  keyspace_gone: { definite: true, summary: "the keyspace was dropped, or is another one than was meant" },
  keyspace_exists: { definite: true, summary: "a keyspace of that name exists" },
  wrong_cluster: { definite: true, summary: "the token belongs to another cluster" },
  history_lost: { definite: true, summary: "the token's epoch was cut off by a forced recovery" },
  compacted: { definite: true, summary: "the changes after that position are no longer kept" },
  bad_token: { definite: true, summary: "the token is damaged" },
  cross_group: { definite: true, summary: "an atomic operation may not span two groups" },
  operation_unsupported: { definite: true, summary: "this keyspace's protocol cannot do that operation" },
  level_unsupported: { definite: true, summary: "this keyspace's protocol does not grant that level" },

  key_too_long: { definite: true, summary: "the key is longer than allowed" },
  value_too_large: { definite: true, summary: "the value is larger than allowed" },
  batch_too_large: { definite: true, summary: "the command holds more than allowed" },
  bad_request: { definite: true, summary: "the request is not well formed" },
  not_an_integer: { definite: true, summary: "value is not an integer or out of range" },
  not_a_decimal: { definite: true, summary: "value is not a valid float" },
  overflow: { definite: true, summary: "increment or decrement would overflow" },
  conflict: { definite: true, summary: "a check of the atomic operation did not hold" },
} as const;

export type ErrorCode = keyof typeof ERRORS;

/** An operating error: a value, not a throw. `message` says what is wrong, where, and what to do. */
export class KvError {
  readonly definite: boolean;

  constructor(
    readonly code: ErrorCode,
    readonly message: string = ERRORS[code].summary,
  ) {
    this.definite = ERRORS[code].definite;
  }
}
