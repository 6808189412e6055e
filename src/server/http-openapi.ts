/** The OpenAPI 3.1 document: paths by hand, bodies and parameters from the schemas that the routes check by. */
import { z } from "zod";
import { DURATION_FORMS } from "../kv/duration.js";
import { COMMAND_LIMITS } from "../kv/limits.js";
import * as schemas from "./http-schemas.js";

const SCHEMAS = {
  BatchRequest: [schemas.batchRequestSchema, "input"],
  BatchResponse: [schemas.batchResponseSchema, "output"],
  KeysResponse: [schemas.keysResponseSchema, "output"],
  CreateKeyspace: [schemas.createKeyspaceSchema, "input"],
  Created: [schemas.createdSchema, "output"],
  Keyspace: [schemas.keyspaceSchema, "output"],
  Keyspaces: [schemas.keyspacesSchema, "output"],
  Status: [schemas.statusSchema, "output"],
  Health: [schemas.healthSchema, "output"],
  Ready: [schemas.readySchema, "output"],
  Watched: [schemas.watchedSchema, "output"],
  Problem: [schemas.problemSchema, "output"],
} as const;

type SchemaName = keyof typeof SCHEMAS;

function jsonSchema(schema: z.ZodType, io: "input" | "output"): object {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { target: "draft-2020-12", io });
  return rest;
}

function json(name: SchemaName): object {
  return { "application/json": { schema: { $ref: `#/components/schemas/${name}` } } };
}

const BYTES = { "application/octet-stream": { schema: {} } };
const TOKEN_HEADER = {
  "Gamut-Token": {
    description: "What this session has seen: send it with the next request",
    schema: { type: "string" },
  },
};
const ETAG_HEADER = { ETag: { description: "The record's version in quotes", schema: { type: "string" } } };
const TTL_HEADER = { "Gamut-TTL": { description: "What the record has left, as 29871ms", schema: { type: "string" } } };
const RECEIPT_HEADER = {
  "Gamut-Receipt": { description: "With ?explain: evidence of the level given", schema: { type: "string" } },
};
const DONE_HEADERS = { ...TOKEN_HEADER, ...RECEIPT_HEADER };
const KEY_HEADERS = { ...ETAG_HEADER, ...DONE_HEADERS };

const PROBLEMS = {
  default: {
    description: "A problem (RFC 9457). Unless it is definite, nobody knows whether the request has taken effect.",
    headers: { "Gamut-Token": { ...TOKEN_HEADER["Gamut-Token"], required: false } },
    content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } },
  },
};

function parameter(name: string, place: "path" | "header" | "query", description: string, schema: object): object {
  return { name, in: place, required: place === "path", description, schema };
}

const STRING = { type: "string" };
const KEYSPACE = parameter("keyspace", "path", "Name of the keyspace; the first one is default", STRING);
const KEY = parameter("key", "path", `Bytes, percent-encoded, at most ${COMMAND_LIMITS.keyBytesMax}`, STRING);
const TOKEN = parameter("Gamut-Token", "header", "See at least what the bearer of this token has seen", STRING);
const LEVEL = parameter("level", "query", "Consistency level", jsonSchema(schemas.levelSchema, "input"));
const EXPLAIN = parameter(
  "explain",
  "query",
  "Answer with the receipt",
  jsonSchema(schemas.sessionQuery.explain, "input"),
);
const IF_MATCH = parameter("If-Match", "header", "* or a version in quotes", STRING);
const IF_NONE_MATCH = parameter("If-None-Match", "header", "* or (GET, HEAD) versions in quotes", STRING);
const TTL = parameter("ttl", "query", `${DURATION_FORMS}; PUT: keep, too. Gamut-TTL is the same`, STRING);
const TTL_FIELD = parameter("Gamut-TTL", "header", "As ?ttl=", STRING);
const LAST_EVENT_ID = parameter("Last-Event-ID", "header", "Id of the last event that was heard", STRING);
const SESSION = [LEVEL, EXPLAIN, TOKEN];

/** The parameters that a query schema describes. */
function queryParameters(schema: z.ZodType): object[] {
  const { properties = {} } = jsonSchema(schema, "input") as { properties?: Record<string, { description?: string }> };
  return Object.entries(properties).map(([name, each]) => parameter(name, "query", each.description ?? "", each));
}

const KEY_RESOURCE = {
  get: {
    operationId: "getKey",
    parameters: [...SESSION, IF_MATCH, IF_NONE_MATCH],
    responses: {
      200: { description: "The value", headers: { ...KEY_HEADERS, ...TTL_HEADER }, content: BYTES },
      304: { description: "It is still at a version of If-None-Match", headers: { ...KEY_HEADERS, ...TTL_HEADER } },
      ...PROBLEMS,
    },
  },
  head: {
    operationId: "headKey",
    parameters: [...SESSION, IF_MATCH, IF_NONE_MATCH],
    responses: {
      200: { description: "There is such a key", headers: { ...KEY_HEADERS, ...TTL_HEADER } },
      304: { description: "It is still at a version of If-None-Match", headers: { ...KEY_HEADERS, ...TTL_HEADER } },
      ...PROBLEMS,
    },
  },
  put: {
    operationId: "putKey",
    parameters: [...SESSION, IF_MATCH, IF_NONE_MATCH, TTL, TTL_FIELD],
    requestBody: { required: true, content: { "*/*": { schema: {} } } },
    responses: { 204: { description: "Written", headers: { ...KEY_HEADERS, ...TTL_HEADER } }, ...PROBLEMS },
  },
  delete: {
    operationId: "deleteKey",
    parameters: [...SESSION, IF_MATCH],
    responses: { 204: { description: "Deleted", headers: DONE_HEADERS }, ...PROBLEMS },
  },
};

const INCREMENT = {
  post: {
    operationId: "incrementKey",
    parameters: [
      parameter("by", "query", "A signed 64-bit integer; 1 without it", STRING),
      ...[...SESSION, IF_MATCH, IF_NONE_MATCH, TTL, TTL_FIELD],
    ],
    responses: {
      200: {
        description: "The new value, as a GET answers it: the digits of a signed 64-bit integer",
        headers: KEY_HEADERS,
        content: { "text/plain": { schema: { type: "string", pattern: "^-?[0-9]+$" } } },
      },
      ...PROBLEMS,
    },
  },
};

const WATCH = {
  operationId: "watch",
  parameters: [...queryParameters(schemas.watchQuerySchema), LAST_EVENT_ID, TOKEN],
  responses: {
    200: {
      description:
        "Events for as long as both sides like. Data of record, put, delete and expire: Watched; of end: Problem; else {}",
      headers: DONE_HEADERS,
      content: { "text/event-stream": { schema: STRING } },
    },
    ...PROBLEMS,
  },
};

function answered(operationId: string, description: string, name: SchemaName, status = 200): object {
  return { operationId, responses: { [status]: { description, content: json(name) }, ...PROBLEMS } };
}

function paths(): object {
  return {
    "/v1/keyspaces/{keyspace}/keys/{key}": { parameters: [KEYSPACE, KEY], ...KEY_RESOURCE },
    "/v1/keyspaces/{keyspace}/keys/{key}/increment": { parameters: [KEYSPACE, KEY], ...INCREMENT },
    "/v1/keyspaces/{keyspace}/keys": {
      parameters: [KEYSPACE],
      get: {
        ...answered("listKeys", "A page of keys in byte order", "KeysResponse"),
        parameters: [...queryParameters(schemas.keysQuerySchema), TOKEN],
      },
    },
    "/v1/keyspaces/{keyspace}/batch": {
      parameters: [KEYSPACE],
      post: {
        ...answered("batch", "All were done as one; what became of each", "BatchResponse"),
        parameters: [...queryParameters(schemas.batchQuerySchema), TOKEN],
        requestBody: { required: true, content: json("BatchRequest") },
      },
    },
    "/v1/keyspaces/{keyspace}/watch": { parameters: [KEYSPACE], get: WATCH },
    "/v1/keyspaces": { get: answered("listKeyspaces", "The keyspaces as this node knows them", "Keyspaces") },
    "/v1/keyspaces/{keyspace}": {
      parameters: [KEYSPACE],
      get: answered("getKeyspace", "The keyspace as this node knows it", "Keyspace"),
      put: {
        ...answered("createKeyspace", "Made", "Created", 201),
        requestBody: { required: false, content: json("CreateKeyspace") },
      },
      delete: { operationId: "dropKeyspace", responses: { 204: { description: "Dropped" }, ...PROBLEMS } },
    },
    "/v1/status": { get: answered("status", "The cluster as this node knows it", "Status") },
    "/healthz": { get: answered("health", "The process lives", "Health") },
    "/readyz": { get: answered("ready", "This node can serve all its keyspaces", "Ready") },
    "/metrics": {
      get: {
        operationId: "metrics",
        responses: {
          200: { description: "Prometheus' text format", content: { "text/plain": { schema: STRING } } },
          ...PROBLEMS,
        },
      },
    },
    "/openapi.json": {
      get: {
        operationId: "openapi",
        responses: {
          200: { description: "This document", content: { "application/json": { schema: {} } } },
          ...PROBLEMS,
        },
      },
    },
  };
}

export function openApiDocument(version: string): object {
  const components: Record<string, object> = {};
  for (const [name, [schema, io]] of Object.entries(SCHEMAS)) components[name] = jsonSchema(schema, io);
  return {
    openapi: "3.1.0",
    info: {
      title: "Gamut",
      version,
      description: "A replicated key-value store whose clients choose their consistency per request.",
    },
    servers: [{ url: "/" }],
    paths: paths(),
    components: { schemas: components },
  };
}
