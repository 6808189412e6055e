// HTTP/1.1: keys as resources, kept-alive connections.
import type { Address } from "../address.js";
import type { Connection, Driver, ReplySink } from "./driver.js";
import { FAILED, MISS, OK } from "./driver.js";
import { LineConnection } from "./line-connection.js";
import { makeTemplate, type Template } from "./ordered-connection.js";
import { openWire } from "./wire.js";
import { GET, keyTemplate, SET } from "./workload.js";

const NO_CONTENT = 204;
const NOT_FOUND = 404;

export class HttpDriver implements Driver {
  readonly refill = "batch";
  readonly #value: Uint8Array;
  readonly #pipeline: number;
  readonly #keyspace: string;

  constructor(value: Uint8Array, pipeline: number, keyspace = "") {
    this.#value = value;
    this.#pipeline = pipeline;
    this.#keyspace = keyspace === "" ? "default" : keyspace;
  }

  async connect(address: Address, sink: ReplySink): Promise<Connection> {
    const connection = new HttpConnection(this.#templates(`${address.host}:${address.port}`), this.#pipeline, sink);
    connection.wire = await openWire(address, connection);
    return connection;
  }

  #templates(host: string): Template[] {
    const line = (method: string, kind: typeof GET | typeof SET): string =>
      `${method} /v1/keyspaces/${this.#keyspace}/keys/${keyTemplate(kind)} HTTP/1.1\r\nHost: ${host}\r\n`;
    const put = Buffer.from(`${line("PUT", SET)}Content-Length: ${this.#value.length}\r\n\r\n`);
    const templates: Template[] = [];
    templates[GET] = makeTemplate(GET, Buffer.from(`${line("GET", GET)}\r\n`));
    templates[SET] = makeTemplate(SET, Buffer.concat([put, this.#value]));
    return templates;
  }
}

class HttpConnection extends LineConnection {
  /** 0: a status line is next. */
  #status = 0;
  #length = 0;

  protected line(text: string): number {
    if (this.#status === 0) return this.#statusLine(text);
    if (text !== "") {
      const colon = text.indexOf(":");
      if (text.slice(0, colon).toLowerCase() === "content-length") this.#length = Number(text.slice(colon + 1));
      return 0;
    }
    if (this.#status === NO_CONTENT || this.#length === 0) this.#end();
    return this.#length;
  }

  #statusLine(text: string): number {
    const status = /^HTTP\/1\.1 (\d{3})/.exec(text);
    if (status === null || !this.isAwaiting) {
      this.giveUp(`the server sent "${text}"`);
      return -1;
    }
    this.#status = Number(status[1]);
    this.#length = 0;
    return 0;
  }

  protected skipped(): void {
    this.#end();
  }

  #end(): void {
    const status = this.#status;
    this.#status = 0;
    this.#length = 0;
    if (status === NOT_FOUND) this.complete(MISS, "");
    else if (status >= 200 && status < 300) this.complete(OK, "");
    else this.complete(FAILED, `status ${status}`);
  }
}
