/** `GET /v1/keyspaces/{keyspace}/watch`: the changes of a keyspace as server-sent events (HTML, 9.2). */
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { Session } from "../kv/backend.js";
import { type Change, END_OF_VERSION, kindOf } from "../kv/change-history.js";
import { Command, Op } from "../kv/command.js";
import { KvError } from "../kv/errors.js";
import { renderReceipt } from "../kv/receipt.js";
import type { ReplySink, Request } from "../kv/request.js";
import { type Result, ResultKind } from "../kv/result.js";
import { Compacted, type WatchHandle, type WatchOptions, type WatchSink } from "../kv/watch.js";
import { keyToJson, valueToJson } from "./http-json.js";
import { type Problem, problemOf, sendProblem } from "./http-problem.js";
import type { WatchQuery } from "./http-schemas.js";
import type { HttpService } from "./http-service.js";
import { TOKEN_FIELD, tokenOf } from "./http-session.js";

const EVENT_STREAM = "text/event-stream";
/**
 * The id while a snapshot is under way: a client that comes back with it has nothing to go on from, and gets a snapshot
 * anew. An empty id would say the same, but not every client takes it.
 */
const SNAPSHOT_ID = "snapshot";

/** What the parameters ask for; who comes back says so with Last-Event-ID or `from`, and goes on from there. */
export function watchOptions(query: WatchQuery, lastEventId = ""): WatchOptions {
  const { prefix = "", key } = query;
  const from = lastEventId || (query.from ?? "");
  const snapshot = from === "" ? query.snapshot !== undefined : from === SNAPSHOT_ID;
  return {
    prefix,
    keys: key === undefined ? null : new Set([key]),
    from: snapshot ? "" : from,
    snapshot,
    values: query.values !== undefined,
  };
}

/** One watcher, until it goes or its watch ends. Nothing is queued for it but what its response holds. */
export class HttpWatch implements ReplySink, WatchSink {
  private pending: Request | null = null;
  private handle: WatchHandle | null = null;
  /** What this turn has to tell. */
  private text = "";
  private writtenMs = 0;
  private isAnswered = false;
  private isOver = false;
  private readonly inBase64: boolean;

  constructor(
    private readonly service: HttpService,
    private readonly request: IncomingMessage,
    private readonly response: ServerResponse,
    private readonly session: Session,
    private readonly query: WatchQuery,
    private options: WatchOptions,
  ) {
    this.inBase64 = query.encoding === "base64";
  }

  begin(): void {
    const { service, response, request } = this;
    service.stats.commands += 1;
    service.watches.add(this);
    response.on("close", () => this.close());
    response.on("drain", () => this.handle?.resume());
    // A stream without an end is not listened to by one who has hung up.
    request.socket.on("end", this.hungUp);
    const pending = this.session.submit(new Command(Op.time), this, 0);
    // A backend may answer at once.
    if (!this.isAnswered) this.pending = pending;
  }

  private readonly hungUp = (): void => {
    this.response.destroy();
  };

  /** A read at the level asked for begins the watch. */
  reply(request: Request, result: Result): void {
    this.isAnswered = true;
    this.pending = null;
    const { session, response } = this;
    if (this.isOver) return;
    const headers: OutgoingHttpHeaders = { [TOKEN_FIELD]: tokenOf(session) };
    if (request.receipt !== null) headers["Gamut-Receipt"] = renderReceipt(request.receipt);
    const begun = this.beginAfter(request, result);
    session.close();
    if (begun instanceof KvError) {
      this.refuse(problemOf(begun), headers);
      return;
    }
    this.handle = begun;
    this.writeHead(headers);
    const { snapshot } = this.options;
    const position = begun.position(begun.beginVersion, begun.beginOrdinal);
    this.event(snapshot ? "snapshot-begin" : "begin", {}, snapshot ? SNAPSHOT_ID : position);
    response.flushHeaders();
    this.flush();
  }

  private beginAfter(request: Request, result: Result): WatchHandle | KvError {
    if (this.service.draining) return new KvError("stopping");
    if (result.kind === ResultKind.error) return result.error!;
    const begun = this.session.watch(request, this.options, this);
    if (!(begun instanceof Compacted) || this.query.snapshot === undefined) return begun;
    // Whoever folds a snapshot and its changes loses nothing when it begins anew.
    this.options = { ...this.options, from: "", snapshot: true };
    return this.session.watch(request, this.options, this);
  }

  private writeHead(headers: OutgoingHttpHeaders): void {
    const { response, service } = this;
    response.writeHead(200, {
      ...headers,
      "Content-Type": EVENT_STREAM,
      "Cache-Control": "no-store",
      "X-Content-Type-Options": "nosniff",
      // Proxies are not to collect what is to be heard at once.
      "X-Accel-Buffering": "no",
    });
    this.text = `retry: ${service.limits.watchRetryMs}\n\n`;
  }

  /**
   * EventSource never comes again after any status but 200. So what passes is told in a stream, to those who ask for
   * one by name: they come again by themselves.
   */
  private refuse(problem: Problem, headers: OutgoingHttpHeaders): void {
    const { response, request } = this;
    const isPassing = problem.status === 429 || problem.status === 503;
    if (!isPassing || !(request.headers.accept ?? "").includes(EVENT_STREAM)) {
      sendProblem(response, problem, headers);
      return;
    }
    this.writeHead(headers);
    this.end(problem);
  }

  /** The client is gone, or has heard the end. */
  private close(): void {
    this.isOver = true;
    this.service.watches.delete(this);
    this.request.socket.off("end", this.hungUp);
    this.handle?.close();
    if (this.pending === null) return;
    this.session.cancel(this.pending);
    this.session.close();
    this.pending = null;
  }

  /** Called once in a while: proxies and clients take long silence for death. */
  sweep(nowMs: number): void {
    if (this.handle === null || this.isOver || this.response.writableLength > 0) return;
    if (nowMs - this.writtenMs < this.service.limits.watchSilenceMsMax) return;
    this.text = ":\n\n";
    this.flush();
  }

  /** The node stops: the client is to go on elsewhere, or to come again. */
  stop(): void {
    // What has not begun is refused when its read is answered.
    if (this.handle === null || this.isOver) return;
    this.handle.close();
    this.ended(new KvError("stopping"));
  }

  // What the watch tells.

  ready(): boolean {
    return !this.isOver && this.response.writableLength + this.text.length < this.service.limits.outputBytesMax;
  }

  record(key: string, version: number, value: Uint8Array): void {
    this.event("record", { ...keyToJson(key, this.inBase64), version, ...valueToJson(value, this.inBase64) }, "");
  }

  changed(change: Change, isResumable: boolean): void {
    const { key, version, ordinal, value } = change;
    const known = value === null ? {} : valueToJson(value, this.inBase64);
    const id = isResumable ? this.handle!.position(version, ordinal) : "";
    this.event(kindOf(change), { ...keyToJson(key, this.inBase64), version, ...known }, id);
  }

  snapshotEnded(version: number): void {
    this.event("snapshot-end", {}, this.handle!.position(version, END_OF_VERSION));
  }

  progressed(version: number): void {
    this.event("progress", {}, this.handle!.position(version, END_OF_VERSION));
  }

  ended(error: KvError): void {
    this.end(problemOf(error));
  }

  flush(): void {
    const { response, text } = this;
    this.text = "";
    this.writtenMs = Date.now();
    if (text !== "" && !response.destroyed) response.write(text);
  }

  private end(problem: Problem): void {
    this.isOver = true;
    this.event("end", problem.body, "");
    this.flush();
    this.response.end();
  }

  /** `id`: of the position that has been reached; "" where there is none to go on from. JSON has no line ends of its own. */
  private event(kind: string, data: object, id: string): void {
    if (id !== "") this.text += `id: ${id}\n`;
    this.text += `event: ${kind}\ndata: ${JSON.stringify(data)}\n\n`;
  }
}
