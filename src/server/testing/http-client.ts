/** An HTTP client for tests: every response is checked against the OpenAPI document that the node itself serves. */
import { type Agent, type IncomingHttpHeaders, type OutgoingHttpHeaders, request } from "node:http";
import { z } from "zod";

type Json = Record<string, unknown>;

interface Operation {
  readonly responses: Record<string, { headers?: Json; content?: Record<string, { schema: Json }> }>;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: a test says what it expects of it
  readonly json: any;
}

/** Sends the path as it stands: nothing is encoded, decoded or shortened. */
export function send(
  port: number,
  method: string,
  path: string,
  options: { headers?: OutgoingHttpHeaders; body?: Uint8Array | string; agent?: Agent } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { headers = {}, agent } = options;
    const outgoing = request({ host: "127.0.0.1", port, method, path, headers, agent }, (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
      incoming.on("error", reject);
      incoming.on("end", () => {
        const body = Buffer.concat(chunks);
        const text = body.toString();
        const isJson = (incoming.headers["content-type"] ?? "").includes("json") && body.length > 0;
        resolve({
          status: incoming.statusCode!,
          headers: incoming.headers,
          body,
          text,
          json: isJson ? JSON.parse(text) : undefined,
        });
      });
    });
    outgoing.on("error", reject);
    outgoing.end(options.body);
  });
}

export class HttpClient {
  private readonly schemas = new Map<string, z.ZodType>();

  private constructor(
    readonly port: number,
    // biome-ignore lint/suspicious/noExplicitAny: as above
    readonly document: any,
  ) {}

  static async connect(port: number): Promise<HttpClient> {
    return new HttpClient(port, (await send(port, "GET", "/openapi.json")).json);
  }

  async send(
    method: string,
    path: string,
    options: { headers?: OutgoingHttpHeaders; body?: Uint8Array | string } = {},
  ): Promise<Answer> {
    const answer = await send(this.port, method, path, options);
    this.check(method, path, answer);
    return answer;
  }

  sendJson(method: string, path: string, body: unknown, headers: OutgoingHttpHeaders = {}): Promise<Answer> {
    const options = { headers: { "Content-Type": "application/json", ...headers }, body: JSON.stringify(body) };
    return this.send(method, path, options);
  }

  /** @throws Error if the document does not allow this answer */
  private check(method: string, path: string, { status, headers, body, json }: Answer): void {
    const operation = this.operation(method, path);
    // Of what the document does not know only problems are told.
    const described = operation?.responses[status] ?? this.document.paths["/healthz"].get.responses.default;
    if (operation !== null && operation.responses[status] === undefined && status < 400) {
      throw new Error(`${method} ${path}: the document knows no status ${status}`);
    }
    if (operation === null && status < 400) throw new Error(`${method} ${path} is not in the document`);
    if (status < 400) {
      for (const name of Object.keys(headers).filter((each) => each.startsWith("gamut-") || each === "etag")) {
        const known = Object.keys(described.headers ?? {}).map((each) => each.toLowerCase());
        // What carries JSON tells of its token in any case.
        if (name !== "gamut-token" && !known.includes(name))
          throw new Error(`${method} ${path}: ${name} is not described`);
      }
    }
    if (body.length === 0) return;
    const type = (headers["content-type"] ?? "").split(";")[0];
    const schema = described.content?.[type]?.schema;
    if (schema === undefined) throw new Error(`${method} ${path}: ${status} with ${type} is not in the document`);
    if (json === undefined) return;
    const parsed = this.schemaOf(schema).safeParse(json);
    if (!parsed.success)
      throw new Error(`${method} ${path}: ${status} does not fit:\n${z.prettifyError(parsed.error)}`);
  }

  /** The data of an event of a watch. @throws Error if the document does not allow it */
  checkEvent(kind: string, data: unknown): void {
    const { components } = this.document;
    const isChange = ["record", "put", "delete", "expire"].includes(kind);
    const name = isChange ? "Watched" : kind === "end" ? "Problem" : null;
    if (name === null && JSON.stringify(data) !== "{}") throw new Error(`${kind} has data that are not described`);
    if (name !== null) z.fromJSONSchema({ ...components.schemas[name], additionalProperties: false }).parse(data);
  }

  private operation(method: string, path: string): Operation | null {
    const plain = path.split("?")[0];
    const templates = Object.keys(this.document.paths).sort((a, b) => a.split("{").length - b.split("{").length);
    const template = templates.find((each) => new RegExp(`^${each.replace(/\{\w+\}/g, "[^/]*")}$`).test(plain));
    if (template === undefined) return null;
    const item = this.document.paths[template];
    // What can be got can be asked about.
    return item[method.toLowerCase()] ?? (method === "HEAD" ? item.get : null) ?? null;
  }

  private schemaOf(schema: Json): z.ZodType {
    const name = JSON.stringify(schema);
    const known = this.schemas.get(name);
    if (known !== undefined) return known;
    const ref = schema.$ref as string | undefined;
    const resolved = ref === undefined ? schema : this.document.components.schemas[ref.split("/").pop()!];
    const made = z.fromJSONSchema(resolved);
    this.schemas.set(name, made);
    return made;
  }
}
