/** What a keyspace can do whose protocol gives writes no common order: a write cannot depend on what it finds. */
import { type Command, CommandFlag, isWrite, Op } from "./command.js";
import { KvError } from "./errors.js";
import type { Request } from "./request.js";

/** All else that a write may carry depends on what it finds. */
const PLAIN_FLAGS = CommandFlag.deadlineRelative;

/** Null, or why this request cannot be served without an order, and what would serve it. */
export function orderlessProblem({ command, id }: Request, protocol: string): KvError | null {
  if (!isWrite(command.op)) return null;
  const what = id !== null ? "a retry that is done at most once" : dependentPart(command);
  if (what === null) return null;
  return new KvError(
    "operation_unsupported",
    `${what} needs an order of all writes, which this keyspace's protocol (${protocol}) does not make; a keyspace of protocol raft does it`,
  );
}

/** What of the command depends on what it finds, in words; null for a plain write. */
function dependentPart({ op, flags }: Command): string | null {
  switch (op) {
    case Op.set:
    case Op.setMany:
    case Op.delete:
      return (flags & ~PLAIN_FLAGS) === 0
        ? null
        : "a write with a condition, or one that answers or keeps what was there,";
    case Op.increment:
    case Op.incrementDecimal:
    case Op.countUp:
    case Op.countDown:
      return "an increment";
    case Op.append:
    case Op.setRange:
      return "a change of a part of a value";
    case Op.rename:
    case Op.copy:
      return "a move of a record";
    case Op.expire:
    case Op.persist:
      return "a change of a deadline without its value (give the deadline with the write)";
    case Op.flush:
      return "emptying a keyspace (drop it and make it again)";
    default:
      return "an atomic operation";
  }
}
