import type { LogFields, Logger } from "../runtime/log.js";
import { logText } from "../runtime/log.js";

/** Writes to the node's own log, and tells its parent what somebody should know: warnings and errors. */
export class ParentLogger implements Logger {
  constructor(
    private readonly own: Logger,
    private readonly tell: (text: string) => void,
  ) {}

  debug(message: string, fields?: LogFields): void {
    this.own.debug(message, fields);
  }

  info(message: string, fields?: LogFields): void {
    this.own.info(message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    this.own.warn(message, fields);
    // Troubles of one connection: that a node is dead the parent knows first, and a start is full of them.
    if (fields === undefined || !("address" in fields)) this.tell(logText(message, fields));
  }

  error(message: string, fields?: LogFields): void {
    this.own.error(message, fields);
    this.tell(logText(message, fields));
  }
}
