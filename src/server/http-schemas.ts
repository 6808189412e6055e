/** The JSON bodies of the HTTP wire: what is accepted, what is answered, and what the OpenAPI document says, in one place. */
import { z } from "zod";
import { DURATION_FORMS, parseDuration } from "../kv/duration.js";
import { PROTOCOLS, unknownLevel } from "../kv/grants.js";
import { parseInt64 } from "../kv/integer-text.js";
import { LEVEL_NAMES } from "../kv/level.js";
import { COMMAND_LIMITS, SCAN_KEYS_MAX } from "../kv/limits.js";

const LEVELS = Object.values(LEVEL_NAMES) as [string, ...string[]];
/** What a value's bytes are at most as base64. */
const BASE64_CHARS_MAX = Math.ceil(COMMAND_LIMITS.valueBytesMax / 3) * 4;
/** A half of a surrogate pair has no UTF-8: it would be stored as something else. */
const LONE_SURROGATE = /\p{Surrogate}/u;

const text = z.string().refine((value) => !LONE_SURROGATE.test(value), "holds half of a surrogate pair");
const base64 = z.base64({ error: "must be base64, with its padding" }).max(BASE64_CHARS_MAX);
const version = z
  .int()
  .min(1)
  .describe("Version of the record: unique in its keyspace for ever. The ETag is this in quotes.");
const NO_DURATION = `must be a duration in quotes: ${DURATION_FORMS}`;
const duration = z
  .string(NO_DURATION)
  .refine((value) => parseDuration(value) !== null, NO_DURATION)
  .describe(`A duration: ${DURATION_FORMS}`);
const ttlMs = z.int().min(0).describe("Milliseconds that the record has left, by this node's clock; none: it stays");

const NO_INT64 = "must be a signed 64-bit integer: a number where that is exact, else its digits in quotes";
const int64 = z
  .union([z.int(), z.string()], NO_INT64)
  .refine((value) => parseInt64(Buffer.from(String(value))) !== null, NO_INT64)
  .describe("A signed 64-bit integer: a number where that is exact, else its digits as a string");

const keyFields = { key: text.optional(), keyBase64: base64.optional() };
const valueFields = { value: text.optional(), valueBase64: base64.optional() };

function hasKey({ key, keyBase64 }: { key?: string | undefined; keyBase64?: string | undefined }): boolean {
  return (key === undefined) !== (keyBase64 === undefined);
}

const ONE_KEY = "needs key (text) or keyBase64, one of them";

export const levelSchema = z
  .enum(LEVELS, {
    error: ({ input }) => (typeof input === "string" ? `is wrong: ${unknownLevel(input, "")}` : undefined),
  })
  .describe("Absent: the keyspace's default");

const getOperation = z.strictObject({ op: z.literal("get"), ...keyFields }).refine(hasKey, ONE_KEY);
const setOperation = z
  .strictObject({ op: z.literal("set"), ...keyFields, ...valueFields, ttl: duration.optional() })
  .refine(hasKey, ONE_KEY)
  .refine(
    ({ value, valueBase64 }) => (value === undefined) !== (valueBase64 === undefined),
    "needs value (text) or valueBase64, one of them",
  );
const deleteOperation = z.strictObject({ op: z.literal("delete"), ...keyFields }).refine(hasKey, ONE_KEY);
const incrementOperation = z
  .strictObject({ op: z.literal("increment"), ...keyFields, by: int64.optional() })
  .refine(hasKey, ONE_KEY);

export const operationSchema = z.discriminatedUnion("op", [
  getOperation,
  setOperation,
  deleteOperation,
  incrementOperation,
]);

export const batchRequestSchema = z.strictObject({
  checks: z
    .array(
      z
        .strictObject({
          ...keyFields,
          version: z.int().min(0).describe("The version that the key must be at; 0: it must be absent"),
        })
        .refine(hasKey, ONE_KEY),
    )
    .max(COMMAND_LIMITS.keysMax)
    .optional(),
  operations: z.array(operationSchema).min(1).max(COMMAND_LIMITS.childrenMax),
  encoding: z.enum(["auto", "base64"]).optional().describe("base64: values come back as base64 in any case"),
});

const errorResult = z.object({ code: z.string(), detail: z.string(), definite: z.boolean() });

/** One of these a operation, in their order. Which fields there are depends on the operation. */
const operationResult = z.object({
  found: z.boolean().optional().describe("get: whether there is such a key"),
  ...valueFields,
  version: version.optional(),
  ttlMs: ttlMs.optional(),
  deleted: z.boolean().optional().describe("delete: whether there was something to delete"),
  integer: z.string().optional().describe("increment: the new value, a signed 64-bit integer"),
  error: errorResult.optional().describe("This operation alone was not done; the others were"),
});

const receipt = z
  .object({
    asked: z.enum(LEVELS),
    given: z.enum(LEVELS),
    protocol: z.string(),
    node: z.int(),
    leader: z.int(),
    epoch: z.int(),
    position: z.int(),
    durableOn: z.array(z.int()),
    durability: z
      .literal("os")
      .optional()
      .describe("Not synced yet where it is durable, but with the operating system"),
    evidence: z.string(),
    clock: z
      .object({ ms: z.number(), logical: z.int() })
      .optional()
      .describe("gossip: the write's hybrid time, or the read's; leader, epoch and position are 0 there"),
    staleness: z
      .object({ missingWrites: z.int(), reachablePeers: z.int(), peers: z.int() })
      .optional()
      .describe("gossip: writes known to exist and missing on the node, and how many of its peers it hears from"),
  })
  .describe("Evidence of the level that was given");

export const batchResponseSchema = z.object({
  version: version.optional().describe("Version of the last write"),
  results: z.array(operationResult),
  receipt: receipt.optional(),
});

export const keysResponseSchema = z.object({
  keys: z.array(z.object({ ...keyFields, version, ttlMs: ttlMs.optional() })),
  cursor: z.string().nullable().describe("Asks for the next page; null: there is none"),
  receipt: receipt.optional(),
});

/** Of a parameter that is there or not: `?explain`, or `?explain=true`. */
const flag = z.enum(["", "true"]);

export const sessionQuery = {
  level: levelSchema.optional(),
  explain: flag.optional().describe("Answer with the receipt"),
};

export const batchQuerySchema = z.strictObject(sessionQuery);

/** Keys are bytes, percent-encoded; the limits are those of Op.scan. */
export const keysQuerySchema = z.strictObject({
  ...sessionQuery,
  prefix: z.string().optional().describe("Only keys that begin with these bytes"),
  start: z.string().optional().describe("Only keys from here on, itself included"),
  end: z.string().optional().describe("Only keys below this one"),
  limit: z.coerce.number().int().min(1).max(SCAN_KEYS_MAX).default(100).describe("Keys of one page"),
  reverse: flag.optional().describe("From the last key of the range to the first"),
  cursor: z.string().optional().describe("From the page before; the other parameters must be the same again"),
  encoding: z.enum(["auto", "base64"]).optional().describe("base64: keys come back as base64 in any case"),
});

/** As GAMUT WATCH; `key` is its EXACT. */
export const watchQuerySchema = z
  .strictObject({
    ...sessionQuery,
    prefix: z.string().optional().describe("Only keys that begin with these bytes"),
    key: z.string().optional().describe("Only this key; not with prefix"),
    from: z
      .string()
      .min(1)
      .optional()
      .describe(
        "Go on after this position, an event's id; Last-Event-ID goes before it. With snapshot: where possible",
      ),
    snapshot: flag
      .optional()
      .describe("First the records that are there. With a position: only if it cannot be gone on from"),
    values: flag.optional().describe("Tell the values of what is put, too; a snapshot's are always told"),
    encoding: z.enum(["auto", "base64"]).optional().describe("base64: keys and values come as base64 in any case"),
  })
  .refine(({ prefix, key }) => prefix === undefined || key === undefined, "takes prefix or key, not both");

/** Data of record, put, delete and expire. */
export const watchedSchema = z.object({
  ...keyFields,
  version,
  ...valueFields,
});

export const keyspaceParamsSchema = z.strictObject({ keyspace: z.string().min(1) });
export const createKeyspaceSchema = z
  .strictObject({ protocol: z.enum(PROTOCOLS).optional(), level: levelSchema.optional() })
  .nullish();

const keyspaceStatus = z.looseObject({
  name: z.string(),
  protocol: z.string(),
  defaultLevel: z.enum(LEVELS),
  role: z.string(),
  leader: z.int().describe("0: none is known"),
  epoch: z.int(),
  commitPosition: z.int(),
  appliedPosition: z.int(),
  checkpointPosition: z.int(),
  keys: z.int().nullable(),
  recovering: z.boolean(),
  replicas: z.array(z.int()),
});

export const keyspaceSchema = keyspaceStatus;
export const keyspacesSchema = z.object({ keyspaces: z.array(keyspaceStatus) });
export const createdSchema = z.object({ name: z.string(), protocol: z.enum(PROTOCOLS), defaultLevel: z.enum(LEVELS) });

export const statusSchema = z.looseObject({
  node: z.int(),
  clusterId: z.string(),
  version: z.string(),
  members: z.array(
    z.looseObject({ node: z.int(), peerAddress: z.string(), clientAddress: z.string(), connected: z.boolean() }),
  ),
  keyspaces: z.array(keyspaceStatus),
});

export const healthSchema = z.object({ status: z.literal("ok") });
export const readySchema = z.object({ status: z.literal("ready") });

export const problemSchema = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.string(),
  definite: z.boolean().describe("true: it has not taken effect and never will; false: nobody knows"),
  reasons: z.array(z.string()).optional(),
  oldest: z.string().optional().describe("compacted: the oldest position from which this node could go on"),
});

export type BatchRequest = z.infer<typeof batchRequestSchema>;
export type Operation = z.infer<typeof operationSchema>;
export type OperationResult = z.infer<typeof operationResult>;
export type ReceiptJson = z.infer<typeof receipt>;
export type WatchQuery = z.infer<typeof watchQuerySchema>;
export type KeysQuery = z.infer<typeof keysQuerySchema>;
