/**
 * Keys as resources: `/v1/keyspaces/{keyspace}/keys/{key}`. They are served before fastify, from the same server, for two
 * reasons. A key is any bytes, and fastify's router refuses a path whose percent-encoding is not UTF-8. And they are the
 * hot path: a GET through fastify with nothing behind it took 22 µs where node:http alone took 16.
 */
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { Session } from "../kv/backend.js";
import {
  type Command,
  CommandFlag,
  deleteCommand,
  getCommand,
  incrementCommand,
  NO_DEADLINE,
  Op,
  setCommand,
} from "../kv/command.js";
import { DURATION_FORMS, parseDuration } from "../kv/duration.js";
import { KvError } from "../kv/errors.js";
import { parseInt64 } from "../kv/integer-text.js";
import { COMMAND_LIMITS, checkCommand } from "../kv/limits.js";
import { renderReceipt } from "../kv/receipt.js";
import type { ReplySink, Request } from "../kv/request.js";
import { type Result, ResultKind } from "../kv/result.js";
import { collectBody } from "./http-body.js";
import { type Conditions, etag, holds, NO_CONDITIONS, parseConditions } from "./http-conditions.js";
import { methodProblem, Problem, problemOf, sendProblem } from "./http-problem.js";
import type { HttpService } from "./http-service.js";
import { openSession, TOKEN_FIELD, tokenOf } from "./http-session.js";
import { badEncoding, type KeyTarget, parseQuery, percentDecode } from "./http-target.js";
import { Wire } from "./sniff.js";

const KEY_METHODS = ["GET", "HEAD", "PUT", "DELETE"];
const INCREMENT_METHODS = ["POST"];
const PARAMETERS = ["by", "explain", "level", "ttl"];

/** A time to live as it was asked for. */
interface Ttl {
  readonly deadlineMs: number;
  readonly flags: number;
  /** What is answered. */
  readonly text: string;
}

const NO_TTL: Ttl = { deadlineMs: NO_DEADLINE, flags: 0, text: "" };
const KEEP_TTL: Ttl = { deadlineMs: NO_DEADLINE, flags: CommandFlag.keepDeadline, text: "" };

/** One request for one key, until it is answered. */
export class KeyExchange implements ReplySink {
  private session: Session | null = null;
  private pending: Request | null = null;
  private conditions: Conditions = NO_CONDITIONS;
  private ttl: Ttl = NO_TTL;
  private startedMs = 0;
  private key = "";
  private delta = 1n;

  constructor(
    private readonly service: HttpService,
    private readonly request: IncomingMessage,
    private readonly response: ServerResponse,
  ) {}

  begin(target: KeyTarget): void {
    const problem = this.prepare(target);
    if (problem !== null) {
      this.refuse(problem);
      return;
    }
    if (this.request.method !== "PUT") {
      this.submit(null);
      return;
    }
    collectBody(this.request, COMMAND_LIMITS.valueBytesMax, (value) => {
      if (value instanceof Problem) this.refuse(value);
      else this.submit(value);
    });
  }

  /** Null, or why the request cannot be begun. */
  private prepare(target: KeyTarget): Problem | null {
    const { headers, method = "" } = this.request;
    const methods = target.isIncrement ? INCREMENT_METHODS : KEY_METHODS;
    if (!methods.includes(method)) return methodProblem(method, methods);
    const keyspace = percentDecode(target.keyspace);
    const key = percentDecode(target.key);
    const query = parseQuery(target.query);
    if (key === null || keyspace === null) return badEncoding("the path");
    if (query === null) return badEncoding("the query");
    this.key = key;
    const conditions = parseConditions(headers);
    if (conditions instanceof Problem) return conditions;
    this.conditions = conditions;
    const problem = this.takeParameters(query, target.isIncrement) ?? this.refuseContent();
    if (problem !== null) return problem;
    const token = headers["gamut-token"] as string | undefined;
    const explains = query.has("explain");
    const session = openSession(this.service.backend, { keyspace, level: query.get("level"), token, explains });
    if (session instanceof Problem) return session;
    this.session = session;
    return null;
  }

  private takeParameters(query: Map<string, string>, isIncrement: boolean): Problem | null {
    for (const name of query.keys()) {
      if (PARAMETERS.includes(name) && (name !== "by" || isIncrement)) continue;
      const known = isIncrement ? PARAMETERS : PARAMETERS.slice(1);
      return new Problem(
        "bad_request",
        `there is no parameter ${JSON.stringify(name)} here; there are ${known.join(", ")}`,
      );
    }
    const explain = query.get("explain") ?? "";
    if (explain !== "" && explain !== "true") {
      const shown = JSON.stringify(explain.slice(0, 40));
      return new Problem("bad_request", `parameter explain is ${shown}; it must be one of "", "true", or not be there`);
    }
    if (isIncrement) {
      const by = query.get("by") ?? "1";
      const delta = parseInt64(Buffer.from(by, "latin1"));
      if (delta === null) {
        const shown = JSON.stringify(by.slice(0, 40));
        return new Problem("bad_request", `parameter by is ${shown}; it must be a signed 64-bit integer, as by=-5`);
      }
      this.delta = delta;
    }
    const field = this.request.headers["gamut-ttl"] as string | undefined;
    const parameter = query.get("ttl");
    if (field !== undefined && parameter !== undefined && field !== parameter) {
      return new Problem("bad_request", "Gamut-TTL and ?ttl= differ; send one of them");
    }
    const text = field ?? parameter;
    if (text === undefined) return null;
    const ttl = parseTtl(text, isIncrement);
    if (ttl instanceof Problem) return ttl;
    if (this.request.method !== "PUT" && !isIncrement) {
      return new Problem("bad_request", `a time to live is set by PUT and increment; ${this.request.method} sets none`);
    }
    this.ttl = ttl;
    return null;
  }

  /**
   * A record holds bytes alone: what would change their meaning cannot be kept, and so is refused. A body where there is
   * none is refused, too: it would not mean what its sender thinks, and what is submitted has come whole.
   */
  private refuseContent(): Problem | null {
    const { headers, method } = this.request;
    if (method !== "PUT") {
      const length = headers["content-length"] ?? "0";
      if (length === "0" && headers["transfer-encoding"] === undefined) return null;
      return new Problem("bad_request", `${method} of a key takes no body; what it needs are parameters and fields`);
    }
    const encoding = headers["content-encoding"];
    if (encoding !== undefined && encoding !== "identity") {
      const advice = "send the value as it is, or compressed without that field, to be given back as such";
      return new Problem("unsupported_media_type", `Content-Encoding ${encoding} is not kept with a value: ${advice}`);
    }
    if (headers["content-range"] === undefined) return null;
    return new Problem("bad_request", "a part of a value cannot be written: Content-Range is not possible with PUT");
  }

  private submit(value: Uint8Array | null): void {
    const command = this.command(value);
    const error = command instanceof Problem ? command : checkCommand(command);
    if (error !== null) {
      this.refuse(error instanceof KvError ? problemOf(error) : (error as Problem));
      return;
    }
    this.startedMs = performance.now();
    this.service.stats.commands += 1;
    // A backend may answer at once.
    const request = this.session!.submit(command as Command, this, 0);
    if (this.session !== null) this.pending = request;
  }

  private command(value: Uint8Array | null): Command | Problem {
    const { method } = this.request;
    if (method === "GET" || method === "HEAD") return getCommand(this.key);
    let command: Command;
    if (method === "DELETE") command = deleteCommand([this.key]);
    else if (value === null) command = incrementCommand(this.key, this.delta);
    else command = setCommand(this.key, value);
    command.deadlineMs = this.ttl.deadlineMs;
    command.flags |= this.ttl.flags;
    return this.conditional(command);
  }

  /** The store decides, in the one order of writes. */
  private conditional(command: Command): Command | Problem {
    const { ifMatch, ifNoneMatch } = this.conditions;
    if (ifMatch !== null && ifNoneMatch !== null) {
      return new Problem("bad_request", "a write takes If-Match or If-None-Match, not both");
    }
    if (ifNoneMatch !== null) {
      if (!ifNoneMatch.any || command.op === Op.delete) {
        return new Problem(
          "bad_request",
          "If-None-Match of a write must be *, which means: only if there is no such key",
        );
      }
      command.flags |= CommandFlag.ifAbsent;
    } else if (ifMatch?.any) {
      command.flags |= CommandFlag.ifPresent;
    } else if (ifMatch !== null) {
      if (ifMatch.versions.length === 0) return notHeld("no tag of If-Match is a version of this store");
      if (ifMatch.versions.length > 1) {
        return new Problem("bad_request", `If-Match of a write names ${ifMatch.versions.length} versions; name one`);
      }
      command.flags |= CommandFlag.ifVersion;
      command.versions = [ifMatch.versions[0]];
    }
    return command;
  }

  reply(request: Request, result: Result): void {
    const session = this.session!;
    const headers: OutgoingHttpHeaders = { [TOKEN_FIELD]: tokenOf(session) };
    if (request.receipt !== null) headers["Gamut-Receipt"] = renderReceipt(request.receipt);
    this.end();
    this.service.stats.requests.answered(Wire.http, request.command.op, result, performance.now() - this.startedMs);
    if (this.response.destroyed) return;
    if (result.version > 0 && this.request.method !== "DELETE") headers.ETag = etag(result.version);
    const problem = this.problem(result);
    if (problem !== null) sendProblem(this.response, problem, headers);
    else this.succeed(request.command, result, headers);
  }

  private problem(result: Result): Problem | null {
    const { method } = this.request;
    if (result.kind === ResultKind.error) return problemOf(result.error!);
    if (result.kind === ResultKind.notDone) return notHeld(this.conditions.ifNoneMatch === null ? OTHER : PRESENT);
    const isAbsent = result.kind === ResultKind.absent || (method === "DELETE" && result.integer === 0n);
    if (!isAbsent) {
      const { ifMatch } = this.conditions;
      const isRead = method === "GET" || method === "HEAD";
      return isRead && ifMatch !== null && !holds(ifMatch, result.version) ? notHeld(OTHER) : null;
    }
    if (this.conditions.ifMatch !== null) return notHeld(OTHER);
    return new Problem(
      "absent",
      method === "DELETE" ? "there was nothing to delete" : "the key is not there, or has expired",
    );
  }

  private succeed(command: Command, result: Result, headers: OutgoingHttpHeaders): void {
    const { response } = this;
    const { method } = this.request;
    if (command.op === Op.get) this.sendValue(result, headers);
    else if (result.kind === ResultKind.integer && method === "POST") {
      const digits = result.integer.toString();
      headers["Content-Type"] = "text/plain";
      headers["Content-Length"] = digits.length;
      response.writeHead(200, headers);
      response.end(digits, "latin1");
    } else {
      if (this.ttl.text !== "") headers["Gamut-TTL"] = this.ttl.text;
      response.writeHead(204, headers);
      response.end();
    }
  }

  private sendValue(result: Result, headers: OutgoingHttpHeaders): void {
    const { response } = this;
    // A cache may keep it, but has to ask each time whether it is still so.
    headers["Cache-Control"] = "no-cache";
    if (result.deadlineMs >= 0) headers["Gamut-TTL"] = `${Math.max(0, result.deadlineMs - Date.now())}ms`;
    const { ifNoneMatch } = this.conditions;
    if (ifNoneMatch !== null && holds(ifNoneMatch, result.version)) {
      response.writeHead(304, headers);
      response.end();
      return;
    }
    headers["Content-Type"] = "application/octet-stream";
    // What clients have stored is never a page or a script of this origin.
    headers["X-Content-Type-Options"] = "nosniff";
    headers["Content-Length"] = result.value.length;
    response.writeHead(200, headers);
    response.end(result.value);
  }

  private refuse(problem: Problem): void {
    this.end();
    if (!this.response.destroyed) sendProblem(this.response, problem);
  }

  /** The client is gone, or the answer is there. */
  end(): void {
    if (this.session === null) return;
    if (this.pending !== null && this.response.destroyed) this.session.cancel(this.pending);
    this.session.close();
    this.session = null;
    this.pending = null;
  }
}

const OTHER = "the key is absent or at another version than If-Match demands: read it again";
const PRESENT = "the key is there already";

function notHeld(detail: string): Problem {
  return new Problem("precondition_failed", detail);
}

function parseTtl(text: string, isIncrement: boolean): Ttl | Problem {
  // An increment keeps the deadline of a key that is there in any case.
  if (text === "keep" && !isIncrement) return KEEP_TTL;
  const ms = parseDuration(text);
  if (ms === null) {
    const keep = isIncrement ? "" : ", or keep";
    return new Problem(
      "bad_request",
      `a time to live is written as ${DURATION_FORMS}${keep}; found ${JSON.stringify(text.slice(0, 40))}`,
    );
  }
  return { deadlineMs: ms, flags: CommandFlag.deadlineRelative, text: `${ms}ms` };
}
