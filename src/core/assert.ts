/** Thrown when an invariant of ours does not hold. It stops the node: going on could break a promise. */
export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

/**
 * Always on. The message is a constant, so that a check costs a branch and nothing else. Never for bytes that came
 * from a peer or a client: those are rejected, not asserted.
 */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}
