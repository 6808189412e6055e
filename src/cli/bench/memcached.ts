// Memcached's text protocol.
import type { Address } from "../address.js";
import type { Connection, Driver, ReplySink } from "./driver.js";
import { FAILED, MISS, OK } from "./driver.js";
import { LineConnection } from "./line-connection.js";
import { makeTemplate, type Template } from "./ordered-connection.js";
import { openWire } from "./wire.js";
import { GET, keyTemplate, SET } from "./workload.js";

export class MemcachedDriver implements Driver {
  readonly refill = "batch";
  readonly #templates: readonly Template[];
  readonly #pipeline: number;

  constructor(value: Uint8Array, pipeline: number) {
    const set = Buffer.from(`set ${keyTemplate(SET)} 0 0 ${value.length}\r\n`);
    const templates: Template[] = [];
    templates[GET] = makeTemplate(GET, Buffer.from(`get ${keyTemplate(GET)}\r\n`));
    templates[SET] = makeTemplate(SET, Buffer.concat([set, value]), Buffer.from("\r\n"));
    this.#templates = templates;
    this.#pipeline = pipeline;
  }

  async connect(address: Address, sink: ReplySink): Promise<Connection> {
    const connection = new MemcachedConnection(this.#templates, this.#pipeline, sink);
    connection.wire = await openWire(address, connection);
    return connection;
  }
}

class MemcachedConnection extends LineConnection {
  #found = false;

  protected line(text: string): number {
    if (!this.isAwaiting) {
      this.giveUp(`the server sent "${text}", which nobody asked for`);
      return -1;
    }
    if (text.startsWith("VALUE ")) {
      this.#found = true;
      // The data end with a line break of their own.
      return Number(text.slice(text.lastIndexOf(" ") + 1)) + 2;
    }
    if (text === "STORED") this.complete(OK, "");
    else if (text === "END") this.complete(this.#found ? OK : MISS, "");
    else this.complete(FAILED, text);
    this.#found = false;
    return 0;
  }

  protected skipped(): void {}
}
