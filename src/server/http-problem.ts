/** Every error of the HTTP wire as a problem (RFC 9457, application/problem+json), by one table. */
import type { OutgoingHttpHeaders, ServerResponse } from "node:http";
import { ERRORS, type ErrorCode, type KvError } from "../kv/errors.js";
import { Compacted } from "../kv/watch.js";

/**
 * The status of Gamut's errors. 504 for what is not definite, and for nothing else; 503 and 429 only for what is definite
 * and may well succeed when asked again, so that a client may retry those blindly.
 */
const STORE_STATUS: Readonly<Record<ErrorCode, number>> = {
  unknown: 504,
  session_expired: 504,
  overloaded: 429,
  unavailable: 503,
  recovering: 503,
  disk_full: 507,
  stopping: 503,
  cancelled: 503,
  keyspace_unknown: 404,
  keyspace_gone: 410,
  keyspace_exists: 409,
  wrong_cluster: 409,
  history_lost: 409,
  compacted: 410,
  bad_token: 400,
  cross_group: 400,
  level_unsupported: 400,
  operation_unsupported: 400,
  clock_ahead: 503,
  key_too_long: 413,
  value_too_large: 413,
  batch_too_large: 413,
  bad_request: 400,
  not_an_integer: 409,
  not_a_decimal: 409,
  overflow: 409,
  conflict: 409,
};

/** What only this wire knows. */
const WIRE_PROBLEMS = {
  absent: { status: 404, title: "there is no such key" },
  precondition_failed: { status: 412, title: "the precondition does not hold; nothing was done" },
  route_unknown: { status: 404, title: "there is nothing at this path" },
  method_not_allowed: { status: 405, title: "this method is not possible here" },
  request_timeout: { status: 408, title: "the request did not arrive whole in time" },
  body_too_large: { status: 413, title: "the body is larger than allowed" },
  uri_too_long: { status: 414, title: "the request target is longer than allowed" },
  unsupported_media_type: { status: 415, title: "the body's type is not understood here" },
  host_refused: { status: 421, title: "this node is not known under that host name" },
  cross_site: { status: 403, title: "pages of other sites may not write here" },
  headers_too_large: { status: 431, title: "the header section is larger than allowed" },
  not_http: { status: 400, title: "this is no well-formed HTTP/1.1 request" },
  not_ready: { status: 503, title: "this node cannot serve now" },
  internal: { status: 500, title: "this node has failed to answer; the outcome is not known" },
} as const;

export type ProblemCode = ErrorCode | keyof typeof WIRE_PROBLEMS;

export const PROBLEM_TYPE = "application/problem+json";

/** The body of a problem. `definite`: what was asked has not taken effect and never will. */
export interface ProblemBody {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: ProblemCode;
  readonly definite: boolean;
  readonly reasons?: readonly string[];
  /** Of `compacted`: the oldest position of a watch from which this node could go on. */
  readonly oldest?: string;
}

/** `detail` says what is wrong, where, and what to do. */
export class Problem {
  readonly body: ProblemBody;

  constructor(
    code: ProblemCode,
    detail: string,
    readonly headers: OutgoingHttpHeaders = {},
    more: Pick<ProblemBody, "reasons" | "oldest"> = {},
  ) {
    const isStores = Object.hasOwn(ERRORS, code);
    const wire = WIRE_PROBLEMS[code as keyof typeof WIRE_PROBLEMS];
    this.body = {
      type: `urn:gamut:problem:${code}`,
      title: isStores ? ERRORS[code as ErrorCode].summary : wire.title,
      status: isStores ? STORE_STATUS[code as ErrorCode] : wire.status,
      detail,
      code,
      definite: isStores ? ERRORS[code as ErrorCode].definite : code !== "internal",
      ...more,
    };
  }

  get status(): number {
    return this.body.status;
  }

  /** All header fields of a response that consists of this problem. */
  fields(): OutgoingHttpHeaders {
    const retry = this.status === 429 || this.status === 503 ? { "Retry-After": "1" } : {};
    return { "Content-Type": PROBLEM_TYPE, "Cache-Control": "no-store", ...retry, ...this.headers };
  }
}

export function problemOf(error: KvError): Problem {
  return new Problem(error.code, error.message, {}, error instanceof Compacted ? { oldest: error.oldest } : {});
}

export function methodProblem(method: string, allowed: readonly string[]): Problem {
  const detail = `${method} is not possible here; ${allowed.join(", ")} ${allowed.length === 1 ? "is" : "are"}`;
  return new Problem("method_not_allowed", detail, { Allow: allowed.join(", ") });
}

/** `headers`: further fields, the session's token for one. */
export function sendProblem(response: ServerResponse, problem: Problem, headers: OutgoingHttpHeaders = {}): void {
  const bytes = Buffer.from(JSON.stringify(problem.body));
  response.writeHead(problem.status, { ...headers, ...problem.fields(), "Content-Length": bytes.length });
  response.end(bytes);
}

/** A whole response for a connection on which nothing more is understood: it ends with it. */
export function lastWords(problem: Problem): string {
  const body = JSON.stringify(problem.body);
  const lines = [`HTTP/1.1 ${problem.status} ${problem.body.code}`];
  for (const [name, value] of Object.entries(problem.fields())) lines.push(`${name}: ${value}`);
  lines.push(`Content-Length: ${Buffer.byteLength(body)}`, "Connection: close");
  return `${lines.join("\r\n")}\r\n\r\n${body}`;
}
