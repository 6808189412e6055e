/** The harness itself: its wires do what they are told, and its judges find what is wrong. */
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { checkLinearizable } from "../../src/check/index.js";
import { Journal } from "./journal.js";
import { Ledger } from "./ledger.js";
import { Links } from "./proxy.js";
import { sleep, until } from "./wait.js";

describe("a link", () => {
  let server: Server;
  let links: Links;
  let socket: Socket;
  let heard = "";
  let answered = "";

  beforeEach(async () => {
    heard = answered = "";
    server = createServer((peer) => {
      peer.on("error", () => {});
      peer.on("data", (chunk: Buffer) => {
        heard += chunk.toString();
        peer.write(chunk);
      });
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    const { port } = server.address() as AddressInfo;
    links = await Links.open(
      new Map([
        [1, port],
        [2, port],
      ]),
    );
    socket = dial();
  });

  afterEach(async () => {
    socket.destroy();
    await links.close();
    await new Promise((done) => server.close(done));
  });

  function dial(): Socket {
    const dialed = connect({ host: "127.0.0.1", port: links.port(1, 2) });
    dialed.on("error", () => {});
    dialed.on("data", (chunk: Buffer) => {
      answered += chunk.toString();
    });
    return dialed;
  }

  async function say(text: string): Promise<void> {
    socket.write(text);
    await until("the answer", 2_000, () => answered.endsWith(text));
  }

  it("drops one way while the other flows, and resets what has lost bytes when it heals", async () => {
    await say("before");
    links.setOneWay(2, 1, "dropped");
    socket.write("after");
    await until("the way there flows", 2_000, () => heard === "beforeafter");
    await sleep(50);
    expect(answered).toBe("before");
    links.heal();
    await until("the reset", 2_000, () => socket.destroyed);
    socket = dial();
    await say("anew");
  });

  it("stalls, and delivers in order when it heals", async () => {
    await say("a");
    links.set(1, 2, "stalled");
    for (const text of ["b", "c", "d"]) socket.write(text);
    await sleep(50);
    expect(heard).toBe("a");
    links.heal();
    await until("all arrive", 2_000, () => answered === "abcd");
  });

  it("delays", async () => {
    await say("a");
    links.delay(1, 2, 60);
    const began = performance.now();
    await say("b");
    expect(performance.now() - began).toBeGreaterThan(100);
  });

  it("resets what there is, and what is dialed", async () => {
    await say("a");
    links.isolate(1, "reset");
    await until("the reset", 2_000, () => socket.destroyed);
    socket = dial();
    await until("another reset", 2_000, () => socket.destroyed);
  });
});

describe("the ledger", () => {
  const ledger = new Ledger();
  ledger.written.set("a", "done");
  ledger.written.set("b", "refused");
  ledger.written.set("c", "unknown");
  for (const outcome of ["done", "done", "unknown", "refused"] as const) ledger.counted("n", outcome);

  it("accepts what must be there, with or without what may be", () => {
    expect(
      ledger.problems(
        new Map([
          ["a", "a"],
          ["b", null],
          ["c", "c"],
          ["n", "3"],
        ]),
      ),
    ).toEqual([]);
    expect(
      ledger.problems(
        new Map([
          ["a", "a"],
          ["b", null],
          ["c", null],
          ["n", "2"],
        ]),
      ),
    ).toEqual([]);
  });

  it("names what is lost, what should not be there, and what was counted wrong", () => {
    const problems = ledger.problems(
      new Map([
        ["a", null],
        ["b", "b"],
        ["c", "x"],
        ["n", "4"],
      ]),
    );
    expect(problems).toEqual([
      "a was acknowledged, and is lost",
      "b was refused, and is there",
      "c holds x, which nobody has written there",
      "n is 4 after 2 acknowledged increments and 1 of unknown outcome",
    ]);
  });
});

describe("the journal", () => {
  it("makes a history in which a stale read is found, and a client of unknown outcome goes on as another", () => {
    const journal = new Journal();
    const [writer, reader] = [journal.voice(), journal.voice()];
    const write = (value: string, outcome: "done" | "unknown"): void => {
      journal.invoke(writer, "write", "k", value);
      journal.complete(writer, outcome, null, true);
    };
    const read = (value: string): void => {
      journal.invoke(reader, "read", "k", null);
      journal.complete(reader, "done", value, false);
    };
    write("v1", "done");
    write("v2", "unknown");
    write("v3", "done");
    read("v3");
    expect(checkLinearizable(journal.recorder.operations()).kind).toBe("valid");
    read("v1");
    expect(checkLinearizable(journal.recorder.operations()).kind).toBe("invalid");
    expect(journal.acknowledged).toBe(2);
  });
});
