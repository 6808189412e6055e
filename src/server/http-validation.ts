/** What a schema finds wrong with a request, in sentences: what is wrong, where, and what to do. */
import type { FastifySchemaCompiler } from "fastify";
import type { z } from "zod";
import { Problem } from "./http-problem.js";

const PROBLEMS_MAX = 5;
/** Of what a client has sent, so much is said back. */
const SHOWN_CHARS_MAX = 80;

const TYPE_NAMES: Readonly<Record<string, string>> = {
  string: "text",
  number: "a number",
  int: "a whole number",
  object: "an object",
  array: "a list",
  boolean: "true or false",
};

/** Fastify takes an error for what it is; the error handler finds the problem in it. */
export class BadInput extends Error {
  constructor(readonly problem: Problem) {
    super(problem.body.detail);
  }
}

/** As fastify wants it: checks one part of a request, and gives what the schema makes of it. */
export const validatorCompiler: FastifySchemaCompiler<z.ZodType> =
  ({ schema, httpPart = "body" }) =>
  (data) => {
    const parsed = schema.safeParse(data, { error: sentence });
    if (parsed.success) return { value: parsed.data };
    const problems = parsed.error.issues.slice(0, PROBLEMS_MAX);
    const more = parsed.error.issues.length - problems.length;
    const told = problems.map(({ path, message }) => `${place(httpPart, path)} ${message}`);
    if (more > 0) told.push(`and ${more} more`);
    return { error: new BadInput(new Problem("bad_request", `${told.join("; ")}; nothing was done`)) };
  };

/** `body/operations/0/ttl`, or `parameter limit`. */
function place(httpPart: string, path: readonly PropertyKey[]): string {
  if (httpPart !== "querystring") return [httpPart, ...path].join("/");
  return path.length === 0 ? "the query" : `parameter ${path.join("/")}`;
}

/** What stands behind the place. Where a schema has words of its own, those are taken. */
function sentence(issue: z.core.$ZodRawIssue): string {
  switch (issue.code) {
    case "invalid_type":
      return `${found(issue.input)}; it must be ${TYPE_NAMES[issue.expected] ?? issue.expected}`;
    case "too_small":
      return `must ${bound(issue.origin, "at least", Number(issue.minimum))}`;
    case "too_big":
      return `must ${bound(issue.origin, "at most", Number(issue.maximum))}`;
    case "invalid_value":
      return `${found(issue.input)}; it must be ${oneOf(issue.values)}`;
    case "invalid_union":
      return `${found(pick(issue.input, issue.discriminator))}; it must be ${oneOf((issue.options ?? []) as unknown[])}`;
    case "invalid_format":
      return `must be ${issue.format}`;
    case "unrecognized_keys":
      return `has ${issue.keys.slice(0, PROBLEMS_MAX).map(quoted).join(", ")}, which there is not here; there are ${names(issue.inst)}`;
    default:
      return "is not what can be taken here: see /openapi.json";
  }
}

function found(value: unknown): string {
  if (value === undefined) return "is missing";
  if (value === null) return "is null";
  if (Number.isNaN(value)) return "is no number";
  if (Array.isArray(value)) return "is a list";
  return typeof value === "object" ? "is an object" : `is ${quoted(value)}`;
}

function quoted(value: unknown): string {
  return String(JSON.stringify(value)).slice(0, SHOWN_CHARS_MAX);
}

function bound(origin: string, which: string, limit: number): string {
  if (origin === "array") return `have ${which} ${limit} element${limit === 1 ? "" : "s"}`;
  return origin === "string" ? `have ${which} ${limit} chars` : `be ${which} ${limit}`;
}

function oneOf(values: readonly unknown[]): string {
  const words = values.map(quoted);
  return words.length === 1 ? words[0] : `one of ${words.join(", ")}`;
}

function pick(value: unknown, name: string | undefined): unknown {
  return name === undefined ? value : (value as Record<string, unknown> | null)?.[name];
}

/** Of the object that the schema describes. */
function names(schema: unknown): string {
  return Object.keys((schema as Partial<z.ZodObject>).shape ?? {}).join(", ");
}
