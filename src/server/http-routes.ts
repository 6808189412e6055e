/** All of the HTTP wire but the keys themselves: batches, lists, keyspaces, status, health, metrics, the OpenAPI document. */
import type { IncomingMessage, ServerResponse } from "node:http";
import Fastify, { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import { serializerCompiler } from "fastify-type-provider-zod";
import type { z } from "zod";
import type { Session } from "../kv/backend.js";
import type { Command } from "../kv/command.js";
import { KvError } from "../kv/errors.js";
import { DEFAULT_LEVELS } from "../kv/grants.js";
import { LEVEL_NAMES, levelByName } from "../kv/level.js";
import { COMMAND_LIMITS, checkCommand } from "../kv/limits.js";
import type { Receipt } from "../kv/receipt.js";
import type { Request } from "../kv/request.js";
import { type Result, ResultKind } from "../kv/result.js";
import { checkWatch } from "../kv/watch.js";
import { batchCommand, operationResults } from "./http-batch.js";
import { openApiDocument } from "./http-openapi.js";
import { methodProblem, PROBLEM_TYPE, Problem, problemOf, sendProblem } from "./http-problem.js";
import { unreadiness } from "./http-readiness.js";
import { KeyRange } from "./http-scan.js";
import * as schemas from "./http-schemas.js";
import type { HttpService } from "./http-service.js";
import { openSession, TOKEN_FIELD, tokenOf } from "./http-session.js";
import { parseQuery } from "./http-target.js";
import { BadInput, validatorCompiler } from "./http-validation.js";
import { HttpWatch, watchOptions } from "./http-watch.js";
import type { ServerLimits } from "./limits.js";
import type { Metrics } from "./metrics.js";
import { Wire } from "./sniff.js";

const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

type Handler = (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>;

interface Route {
  readonly schema?: object;
  readonly preValidation?: (request: FastifyRequest) => Promise<void>;
  /** Nobody can be told beforehand what its answer would be: there is no HEAD. */
  readonly isEndless?: boolean;
  readonly handler: Handler;
}

interface Answer {
  readonly result: Result;
  readonly receipt: Receipt | null;
}

export class HttpRoutes {
  private readonly app: FastifyInstance;
  private readonly document: string;

  constructor(
    private readonly service: HttpService,
    private readonly metrics: Metrics,
  ) {
    this.document = JSON.stringify(openApiDocument(service.backend.status().version));
    this.app = Fastify({
      bodyLimit: service.limits.httpBodyBytesMax,
      routerOptions: {
        querystringParser: (text) => Object.fromEntries(parseQuery(text) ?? []),
        maxParamLength: service.limits.firstLineBytesMax,
        onBadUrl: (_path, request, response) => this.answerBadPath(request, response),
      },
      frameworkErrors: (error, _request, reply) => {
        this.sendProblem(reply, failure(error, service.limits));
      },
    });
    this.app.removeContentTypeParser("text/plain");
    this.app.setValidatorCompiler(validatorCompiler);
    this.app.setSerializerCompiler(serializerCompiler);
    this.app.setErrorHandler((error: FastifyError | Problem, _request, reply) =>
      this.sendProblem(reply, failure(error, service.limits)),
    );
    this.app.setNotFoundHandler((request, reply) => this.sendProblem(reply, unknownRoute(request.url)));
    this.addRoutes();
  }

  /** Before the first request. */
  async ready(): Promise<void> {
    await this.app.ready();
  }

  serve(request: IncomingMessage, response: ServerResponse): void {
    if (request.headers["gamut-ttl"] !== undefined) {
      const advice = "Gamut-TTL goes with PUT and increment of a key alone; an operation of a batch has its own ttl";
      sendProblem(response, new Problem("bad_request", advice));
      return;
    }
    this.app.routing(request, response);
  }

  private addRoutes(): void {
    this.route("/v1/keyspaces/:keyspace/batch", {
      POST: {
        schema: {
          params: schemas.keyspaceParamsSchema,
          querystring: schemas.batchQuerySchema,
          body: schemas.batchRequestSchema,
          response: { 200: schemas.batchResponseSchema },
        },
        preValidation: refuseLongBatch,
        handler: (request, reply) => this.batch(request, reply),
      },
    });
    this.route("/v1/keyspaces/:keyspace/keys", {
      GET: {
        schema: {
          params: schemas.keyspaceParamsSchema,
          querystring: schemas.keysQuerySchema,
          response: { 200: schemas.keysResponseSchema },
        },
        handler: (request, reply) => this.listKeys(request, reply),
      },
    });
    this.route("/v1/keyspaces/:keyspace/watch", {
      GET: {
        schema: { params: schemas.keyspaceParamsSchema, querystring: schemas.watchQuerySchema },
        isEndless: true,
        handler: (request, reply) => this.watch(request, reply),
      },
    });
    this.route("/v1/keyspaces", {
      GET: {
        schema: { response: { 200: schemas.keyspacesSchema } },
        handler: async () => ({ keyspaces: this.service.backend.status().keyspaces }),
      },
    });
    this.route("/v1/keyspaces/:keyspace", {
      GET: {
        schema: { params: schemas.keyspaceParamsSchema, response: { 200: schemas.keyspaceSchema } },
        handler: async (request) => this.keyspace(keyspaceOf(request)),
      },
      PUT: {
        schema: {
          params: schemas.keyspaceParamsSchema,
          body: schemas.createKeyspaceSchema,
          response: { 201: schemas.createdSchema },
        },
        handler: (request, reply) => this.createKeyspace(request, reply),
      },
      DELETE: {
        schema: { params: schemas.keyspaceParamsSchema },
        handler: (request, reply) => this.dropKeyspace(request, reply),
      },
    });
    this.route("/v1/status", {
      GET: {
        schema: { response: { 200: schemas.statusSchema } },
        handler: async () => this.service.backend.status(),
      },
    });
    this.addOperations();
  }

  /** What monitors and tools ask. */
  private addOperations(): void {
    this.route("/healthz", {
      GET: { schema: { response: { 200: schemas.healthSchema } }, handler: async () => ({ status: "ok" }) },
    });
    this.route("/readyz", {
      GET: { schema: { response: { 200: schemas.readySchema } }, handler: async () => this.readiness() },
    });
    this.route("/metrics", {
      GET: { handler: async (_request, reply) => reply.type(this.metrics.contentType).send(await this.metrics.text()) },
    });
    this.route("/openapi.json", {
      GET: { handler: async (_request, reply) => reply.type("application/json").send(this.document) },
    });
  }

  /** With an answer to all other methods. */
  private route(url: string, methods: Readonly<Record<string, Route>>): void {
    const allowed: string[] = [];
    for (const [method, { isEndless = false, ...route }] of Object.entries(methods)) {
      this.app.route({ method, url, exposeHeadRoute: !isEndless, ...route });
      allowed.push(method);
      if (method === "GET" && !isEndless) allowed.push("HEAD");
    }
    const others = METHODS.filter((method) => !allowed.includes(method));
    this.app.route({
      method: others,
      url,
      handler: async (request) => {
        throw methodProblem(request.method, allowed);
      },
    });
  }

  private async batch(request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
    const body = request.body as schemas.BatchRequest;
    const answer = await this.ask(request, reply, batchCommand(body));
    if (answer.result.kind === ResultKind.notDone) {
      throw new Problem("conflict", "a key of checks is at another version; nothing was done: read again and retry");
    }
    const { version, items } = answer.result;
    return {
      ...(version > 0 && { version }),
      results: operationResults(body, items!, Date.now()),
      ...receiptField(answer),
    };
  }

  private async listKeys(request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
    const range = KeyRange.parse(request.query as schemas.KeysQuery);
    if (range instanceof Problem) throw range;
    if (range.isEmpty) return { keys: [], cursor: null };
    const answer = await this.ask(request, reply, range.command());
    return { ...range.page(answer.result, Date.now()), ...receiptField(answer) };
  }

  /** The watch answers by itself, for as long as there is somebody to hear it. */
  private async watch(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const query = request.query as schemas.WatchQuery;
    const options = watchOptions(query, request.headers["last-event-id"] as string | undefined);
    const error = checkWatch(options);
    if (error !== null) throw problemOf(error);
    const session = this.openSession(request);
    reply.hijack();
    new HttpWatch(this.service, request.raw, reply.raw, session, query, options).begin();
    return reply;
  }

  private keyspace(name: string): object {
    const found = this.service.backend.status().keyspaces.find((keyspace) => keyspace.name === name);
    if (found === undefined) throw new Problem("keyspace_unknown", `this node knows no keyspace of the name ${name}`);
    return found;
  }

  private async createKeyspace(request: FastifyRequest, reply: FastifyReply): Promise<object> {
    const body = request.body as z.infer<typeof schemas.createKeyspaceSchema>;
    const protocol = body?.protocol ?? "raft";
    const level = body?.level === undefined ? DEFAULT_LEVELS[protocol] : levelByName(body.level)!;
    const name = keyspaceOf(request);
    await this.administer((done) => this.service.backend.createKeyspace(name, protocol, level, done));
    reply.status(201);
    return { name, protocol, defaultLevel: LEVEL_NAMES[level] };
  }

  private async dropKeyspace(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    await this.administer((done) => this.service.backend.dropKeyspace(keyspaceOf(request), done));
    return reply.status(204).send();
  }

  private administer(action: (done: (error: KvError | null) => void) => void): Promise<void> {
    return new Promise((resolve, reject) => action((error) => (error === null ? resolve() : reject(problemOf(error)))));
  }

  private readiness(): object {
    const reasons = unreadiness(this.service.backend.status(), this.service.draining);
    if (reasons.length > 0) throw new Problem("not_ready", reasons.join("; "), {}, { reasons });
    return { status: "ready" };
  }

  /** Rejects with a problem for what is an error; the session's token is among the response's fields in any case. */
  private async ask(request: FastifyRequest, reply: FastifyReply, command: Command): Promise<Answer> {
    const error = checkCommand(command);
    if (error !== null) throw problemOf(error);
    const session = this.openSession(request);
    try {
      const answer = await this.submit(session, command, reply.raw);
      reply.header(TOKEN_FIELD, tokenOf(session));
      if (answer.result.kind === ResultKind.error) throw problemOf(answer.result.error!);
      return answer;
    } finally {
      session.close();
    }
  }

  /** At the level, and after the token, that the request names. The caller closes it. */
  private openSession(request: FastifyRequest): Session {
    const { level, explain } = request.query as { level?: string; explain?: string };
    const session = openSession(this.service.backend, {
      keyspace: keyspaceOf(request),
      level,
      token: request.headers["gamut-token"] as string | undefined,
      explains: explain !== undefined,
    });
    if (session instanceof Problem) throw session;
    return session;
  }

  private submit(session: Session, command: Command, response: ServerResponse): Promise<Answer> {
    const { stats } = this.service;
    const startedMs = performance.now();
    stats.commands += 1;
    return new Promise((resolve, reject) => {
      const gone = (): void => {
        session.cancel(pending);
        reject(new KvError("cancelled"));
      };
      const sink = {
        reply: (answered: Request, result: Result): void => {
          response.off("close", gone);
          stats.requests.answered(Wire.http, command.op, result, performance.now() - startedMs);
          resolve({ result, receipt: answered.receipt });
        },
      };
      response.on("close", gone);
      const pending = session.submit(command, sink, 0);
    });
  }

  private sendProblem(reply: FastifyReply, problem: Problem): FastifyReply {
    // As bytes: the schemas of the responses are for what goes well.
    const bytes = Buffer.from(JSON.stringify(problem.body));
    return reply.code(problem.status).headers(problem.fields()).type(PROBLEM_TYPE).send(bytes);
  }

  private answerBadPath(request: IncomingMessage, response: ServerResponse): void {
    const problem = unknownRoute(request.url ?? "");
    response.writeHead(problem.status, problem.fields());
    response.end(JSON.stringify(problem.body));
  }
}

/** Before the schema's check: that looks at all elements first, and a million wrong ones would keep the node for seconds. */
async function refuseLongBatch(request: FastifyRequest): Promise<void> {
  const { checks, operations } = (request.body ?? {}) as { checks?: unknown; operations?: unknown };
  const { keysMax, childrenMax } = COMMAND_LIMITS;
  if (Array.isArray(operations) && operations.length > childrenMax) {
    throw new Problem("batch_too_large", `the batch has ${operations.length} operations, ${childrenMax} are allowed`);
  }
  if (Array.isArray(checks) && checks.length > keysMax) {
    throw new Problem("batch_too_large", `the batch has ${checks.length} checks, ${keysMax} are allowed`);
  }
}

/** One char a byte, as everywhere: another char would be cut, and name another keyspace. */
function keyspaceOf(request: FastifyRequest): string {
  return Buffer.from((request.params as { keyspace: string }).keyspace).toString("latin1");
}

function receiptField({ receipt }: Answer): object {
  if (receipt === null) return {};
  return { receipt: { ...receipt, asked: LEVEL_NAMES[receipt.asked], given: LEVEL_NAMES[receipt.given] } };
}

function unknownRoute(url: string): Problem {
  const path = url.slice(0, 80);
  const hint = path.includes("/keys/")
    ? "; within a key a slash is written as %2F, and a key has no part but /increment"
    : "; see /openapi.json for what there is";
  return new Problem("route_unknown", `there is nothing at ${path}${hint}`);
}

const NO_JSON: ReadonlySet<string> = new Set(["FST_ERR_CTP_EMPTY_JSON_BODY", "FST_ERR_CTP_INVALID_JSON_BODY"]);

/** What fastify and its parsers throw, as a problem. */
function failure(error: FastifyError | Problem | KvError, { httpBodyBytesMax }: ServerLimits): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof KvError) return problemOf(error);
  if (error instanceof BadInput) return error.problem;
  if (error.statusCode === 413) {
    return new Problem(
      "body_too_large",
      `the body has more than ${httpBodyBytesMax} bytes: send it in several requests`,
    );
  }
  if (error.statusCode === 415) {
    const way = "a body here is JSON, sent with Content-Type: application/json";
    return new Problem("unsupported_media_type", `the body's Content-Type is another one, or none: ${way}`);
  }
  if (NO_JSON.has(error.code)) {
    const why = error.code === "FST_ERR_CTP_EMPTY_JSON_BODY" ? "it is empty" : error.message;
    return new Problem("bad_request", `the body cannot be read as JSON, which its Content-Type says it is: ${why}`);
  }
  if (error.statusCode !== undefined && error.statusCode < 500) return new Problem("bad_request", error.message);
  return new Problem("internal", error.message);
}
