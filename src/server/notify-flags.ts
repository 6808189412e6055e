/** Redis' notify-keyspace-events: which notifications are given, and what the events are called. */
import type { Change } from "../kv/change-history.js";
import { Op } from "../kv/command.js";

const ALL = "g$lshzxetd";
const KNOWN = `A${ALL}KEmn`;

export const NOTIFY_ERROR =
  "ERR CONFIG SET failed (possibly related to argument 'notify-keyspace-events') - " +
  "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.";

/** The flags in Redis' own order, A for all classes; null if one of them is none. */
export function canonicalFlags(text: string): string | null {
  for (const flag of text) if (!KNOWN.includes(flag)) return null;
  const has = (flag: string): boolean => text.includes(flag) || (text.includes("A") && ALL.includes(flag));
  const classes = [...ALL].filter(has);
  return [classes.length === ALL.length ? "A" : classes.join(""), ...[..."KEmn"].filter(has)].join("");
}

/** Event and class by the operation that has put a record. */
const PUTS: Partial<Record<Op, readonly [event: string, flag: string]>> = {
  [Op.set]: ["set", "$"],
  [Op.setMany]: ["set", "$"],
  [Op.append]: ["append", "$"],
  [Op.setRange]: ["setrange", "$"],
  [Op.increment]: ["incrby", "$"],
  [Op.countUp]: ["incrby", "$"],
  [Op.countDown]: ["incrby", "$"],
  [Op.incrementDecimal]: ["incrbyfloat", "$"],
  [Op.expire]: ["expire", "g"],
  [Op.persist]: ["persist", "g"],
  [Op.rename]: ["rename_to", "g"],
  [Op.copy]: ["copy_to", "g"],
};

/** What Redis calls the change, if these (canonical) flags ask for its class; else "". */
export function notificationOf({ cause, isPut }: Change, flags: string): string {
  const [event, flag] = isPut ? (PUTS[cause] ?? ["", ""]) : removal(cause);
  return event !== "" && (flags.includes("A") || flags.includes(flag)) ? event : "";
}

/** Redis tells of no key that a flush removes. */
function removal(cause: Op): readonly [event: string, flag: string] {
  switch (cause) {
    case Op.advance:
      return ["expired", "x"];
    case Op.rename:
      return ["rename_from", "g"];
    case Op.flush:
      return ["", ""];
    default:
      return ["del", "g"];
  }
}
