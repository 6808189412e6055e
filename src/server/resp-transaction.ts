import type { Arguments, CommandSpec } from "../codec/resp/index.js";
import { Command, Op } from "../kv/command.js";

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

  queueStored(spec: CommandSpec, command: Command): void {
    this.queue.push({ spec, command, error: "", request: null });
    this.children += 1;
  }

  queueError(spec: CommandSpec, error: string): void {
    this.queue.push({ spec, command: null, error, request: null });
  }

  queueLocal(spec: CommandSpec, request: Arguments): void {
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
