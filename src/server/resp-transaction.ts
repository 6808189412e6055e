import { type Arguments, type CommandSpec, errorText } from "../codec/resp/index.js";
import { Command, Op } from "../kv/command.js";
import { checkCommand } from "../kv/limits.js";
import type { RespConnection } from "./resp-connection.js";
import type { LocalCommand } from "./resp-local.js";

/** One queued command: for the store, an error to come (as in Redis, only at EXEC), or the node's own to answer. */
export interface QueuedCommand {
  readonly spec: CommandSpec;
  readonly command: Command | null;
  readonly error: string;
  readonly request: Arguments | null;
}

/** What stands between MULTI and EXEC. */
export class Transaction {
  readonly queue: QueuedCommand[] = [];
  /** A command could not be queued: EXEC will refuse. */
  failed = false;
  bytes = 0;
  private children = 0;

  /** Null, or the error line for a command that it cannot hold. */
  add(spec: CommandSpec, local: LocalCommand | null, request: Arguments, connection: RespConnection): string | null {
    const { transactionCommandsMax, transactionBytesMax } = connection.service.limits;
    this.bytes += request.byteLength();
    if (this.queue.length >= transactionCommandsMax || this.bytes > transactionBytesMax) {
      return `ERR batch_too_large: a transaction may hold ${transactionCommandsMax} commands and ${transactionBytesMax} bytes`;
    }
    if (local !== null) {
      if (local.inTransaction === "refused")
        return `ERR ${spec.name.toUpperCase()} is not possible inside a transaction`;
      this.queueLocal(spec, request.clone());
      return null;
    }
    const command = spec.build!(request, connection);
    if (typeof command === "string") {
      this.queueError(spec, command);
      return null;
    }
    const error = checkCommand(command);
    if (error === null) this.queueStored(spec, command);
    return error === null ? null : errorText(error);
  }

  private queueStored(spec: CommandSpec, command: Command): void {
    this.queue.push({ spec, command, error: "", request: null });
    this.children += 1;
  }

  private queueError(spec: CommandSpec, error: string): void {
    this.queue.push({ spec, command: null, error, request: null });
  }

  private queueLocal(spec: CommandSpec, request: Arguments): void {
    this.queue.push({ spec, command: null, error: "", request });
  }

  get needsStore(): boolean {
    return this.children > 0;
  }

  /** One atomic command, which does nothing unless each watched key is still at its version. */
  toCommand(watched: ReadonlyMap<string, number>): Command {
    const atomic = new Command(Op.atomic);
    atomic.keys = [...watched.keys()];
    atomic.versions = [...watched.values()];
    atomic.children = [];
    for (const queued of this.queue) if (queued.command !== null) atomic.children.push(queued.command);
    return atomic;
  }
}
