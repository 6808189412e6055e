import type { Backend, Session } from "../kv/backend.js";
import { Command, Op } from "../kv/command.js";
import type { KvError } from "../kv/errors.js";
import type { ReplySink, Request } from "../kv/request.js";
import { type Result, ResultKind } from "../kv/result.js";

/** The connection whose session moves. */
interface Chooser {
  readonly session: Session;
  readonly service: { readonly backend: Backend };
  drainFirst(): void;
}

/**
 * Moves a session to another keyspace. One that this node has not heard of may have been made a moment ago: a read in it
 * finds out. `done` gets null, or why there is none such, and the session is where it was.
 */
export class KeyspaceChoice implements ReplySink {
  private readonly before: string;

  constructor(
    private readonly connection: Chooser,
    name: string,
    private readonly done: (error: KvError | null) => void,
  ) {
    const { session, service } = connection;
    this.before = session.keyspace;
    session.keyspace = name;
    if (service.backend.status().keyspaces.some((keyspace) => keyspace.name === name)) {
      done(null);
      return;
    }
    const probe = new Command(Op.exists);
    probe.keys = [""];
    connection.drainFirst();
    session.submit(probe, this, 0);
  }

  reply(_request: Request, result: Result): void {
    const isNone = result.kind === ResultKind.error && result.error!.code.startsWith("keyspace_");
    if (isNone) this.connection.session.keyspace = this.before;
    this.done(isNone ? result.error : null);
  }
}
