import { afterEach, expect, test } from "vitest";
import { type Call, type CallAnswer, decodeAnswer, encodeCall } from "../codec/call.js";
import { ByteWriter, latin1Encode } from "../core/bytes.js";
import { Random } from "../core/random.js";
import { Command, deleteCommand, getCommand, incrementCommand, Op, setCommand } from "../kv/command.js";
import { KvError } from "../kv/errors.js";
import { Level } from "../kv/level.js";
import type { Request } from "../kv/request.js";
import { closeOpen, serve } from "./testing/serve.js";

afterEach(closeOpen);

const PLAIN = { keyspace: "default", life: 0, level: null, timeoutMs: 0, id: null, token: null, explain: false };
const ID = { client: "0123456789abcdef", sequence: 1, acknowledgedThrough: 0, openedMs: 1 };

function bytesOf(call: Partial<Call> & Pick<Call, "command">): string {
  const writer = new ByteWriter(64);
  encodeCall({ ...PLAIN, ...call }, writer);
  return Buffer.from(writer.written()).toString("latin1");
}

function asRequest(...calls: string[][]): string {
  return calls
    .map((args) => `*${args.length}\r\n${args.map((arg) => `$${arg.length}\r\n${arg}\r\n`).join("")}`)
    .join("");
}

function read(reply: string): CallAnswer {
  expect(reply).toMatch(/^\$\d+\r\n/);
  return decodeAnswer(latin1Encode(reply.slice(reply.indexOf("\n") + 1, -2)));
}

test("a call is answered with result, token and leader", async () => {
  const { client, backend } = await serve();
  const raw = await client();
  const command = setCommand("k", latin1Encode("v\r\n\0"));
  raw.sendBytes(asRequest(["GAMUT", "CALL", bytesOf({ command, id: ID })]));
  raw.sendBytes(
    asRequest(["gamut", "call", bytesOf({ command: getCommand("k"), explain: true, token: Uint8Array.of(7, 8, 9) })]),
  );
  const [written, found] = (await raw.replies(2)).map(read);
  expect(written).toMatchObject({ leader: 1, receipt: null, error: null, result: { version: 1 } });
  expect(found).toMatchObject({ token: Uint8Array.of(7, 8, 9), receipt: { evidence: "local" } });
  expect(Buffer.from(found.result!.value).toString("latin1")).toBe("v\r\n\0");
  expect(backend.openSessions).toBe(1);
});

test("id, level, keyspace and time limit reach the backend, and nothing of the connection's", async () => {
  const { client, backend } = await serve();
  backend.addKeyspace("other");
  const seen: [Request, string][] = [];
  backend.onExecute = (request, keyspace) => seen.push([request, keyspace]);
  const raw = await client();
  await raw.ask(["SELECT", "other"], ["GAMUT", "LEVEL", "eventual"]);
  raw.sendBytes(
    asRequest(
      ["GAMUT", "CALL", bytesOf({ command: incrementCommand("n", 2n), id: ID, level: Level.sequential })],
      ["GAMUT", "CALL", bytesOf({ command: deleteCommand(["n"]), keyspace: "other" })],
    ),
  );
  await raw.replies(2);
  expect(seen.map(([{ id, level }, keyspace]) => ({ id, level, keyspace }))).toEqual([
    { id: ID, level: Level.sequential, keyspace: "default" },
    { id: null, level: Level.linearizable, keyspace: "other" },
  ]);
});

test("calls do not wait for one another nor for other commands, and are answered in order", async () => {
  const { client, backend } = await serve();
  backend.held = true;
  const raw = await client();
  raw.sendBytes(asRequest(["SET", "a", "1"], ["GAMUT", "CALL", bytesOf({ command: getCommand("a") })]));
  raw.sendBytes(asRequest(["GAMUT", "CALL", bytesOf({ command: new Command(Op.count) })]));
  while (backend.queuedMost < 3) await new Promise((done) => setTimeout(done, 1));
  backend.release();
  const [set, got, counted] = await raw.replies(3);
  expect(set).toBe("+OK\r\n");
  expect(read(got).result!.version).toBe(1);
  expect(read(counted).result!.integer).toBe(1n);
});

test("an answer says whether the command was executed: what the store came to, and not what kept it from that", async () => {
  const { client, backend } = await serve();
  const raw = await client();
  const id = (sequence: number): Call["id"] => ({ ...ID, sequence });
  backend.failures.set(Op.append, new KvError("overloaded"));
  const append = new Command(Op.append, "text");
  raw.sendBytes(
    asRequest(
      ["GAMUT", "CALL", bytesOf({ command: setCommand("text", latin1Encode("x")), id: id(1) })],
      ["GAMUT", "CALL", bytesOf({ command: incrementCommand("text", 1n), id: id(2) })],
      ["GAMUT", "CALL", bytesOf({ command: append, id: id(3) })],
      ["GAMUT", "CALL", "rubbish"],
    ),
  );
  const answers = (await raw.replies(4)).map(read);
  expect(answers.map(({ isExecuted, error }) => [isExecuted, error?.code])).toEqual([
    [true, undefined],
    [true, "not_an_integer"],
    [false, "overloaded"],
    [false, "bad_request"],
  ]);
});

test("a call may come in parts", async () => {
  const { client } = await serve();
  const raw = await client();
  const whole = bytesOf({ command: setCommand("k", new Uint8Array(1_000).fill(65)) });
  raw.sendBytes(asRequest(["GAMUT", "CALL", whole.slice(0, 10), "", whole.slice(10, 500), whole.slice(500)]));
  expect(read((await raw.replies(1))[0]).result!.version).toBe(1);
});

test("refusals are answers: a bad call, a bad token, a store's error", async () => {
  const { client } = await serve();
  const raw = await client();
  raw.sendBytes(
    asRequest(
      ["GAMUT", "CALL", "rubbish"],
      ["GAMUT", "CALL", bytesOf({ command: getCommand("k"), token: Uint8Array.of(1) })],
      ["GAMUT", "CALL", bytesOf({ command: getCommand("k"), keyspace: "nope" })],
    ),
  );
  const codes = (await raw.replies(3)).map((reply) => read(reply).error!);
  expect(codes.map(({ code, definite }) => [code, definite])).toEqual([
    ["bad_request", true],
    ["bad_token", true],
    ["keyspace_unknown", true],
  ]);
  expect(await raw.ask(["GAMUT", "CALL"])).toEqual(["-ERR wrong number of arguments for 'gamut|call' command\r\n"]);
});

test("an answer that is too long is an error, and a write's is unknown: it was done", async () => {
  const { client } = await serve();
  const raw = await client();
  const big = new Uint8Array(1_048_576).fill(66);
  const command = new Command(Op.getMany);
  command.keys = new Array<string>(40).fill("big");
  const atomic = new Command(Op.atomic);
  atomic.children = Array.from({ length: 40 }, () => getCommand("big"));
  raw.sendBytes(
    asRequest(
      [
        "GAMUT",
        "CALL",
        bytesOf({ command: setCommand("big", big) }).slice(0, 1_000_000),
        bytesOf({ command: setCommand("big", big) }).slice(1_000_000),
      ],
      ["GAMUT", "CALL", bytesOf({ command })],
      ["GAMUT", "CALL", bytesOf({ command: atomic })],
    ),
  );
  const [, many, written] = (await raw.replies(3)).map(read);
  expect(many.error).toMatchObject({ code: "batch_too_large", definite: true });
  expect(written).toMatchObject({ isExecuted: true, error: { code: "unknown", definite: false } });
});

test("hostile calls never end the connection, and each is answered", async () => {
  const { client, backend } = await serve();
  const raw = await client();
  const random = new Random(7);
  const templates = [
    bytesOf({ command: setCommand("k", latin1Encode("v")), id: ID, token: Uint8Array.of(1, 2, 250) }),
    bytesOf({ command: getCommand("k"), explain: true, level: Level.linearizable }),
    bytesOf({ command: deleteCommand(["k", "l"]), timeoutMs: 5 }),
  ].map(latin1Encode);
  let answered = 0;
  for (let round = 0; round < 60; round += 1) {
    const calls = Array.from({ length: 50 }, () => {
      let bytes = Uint8Array.from(random.pick(templates));
      for (let flips = 1 + random.below(3); flips > 0; flips -= 1)
        bytes[random.below(bytes.length)] = random.below(256);
      if (random.chance(0.2)) bytes = bytes.slice(0, random.below(bytes.length));
      return ["GAMUT", "CALL", Buffer.from(bytes).toString("latin1")];
    });
    raw.sendBytes(Buffer.from(asRequest(...calls), "latin1"));
    for (const reply of await raw.replies(calls.length)) {
      read(reply);
      answered += 1;
    }
  }
  expect(answered).toBe(3_000);
  expect(await raw.ask(["PING"])).toEqual(["+PONG\r\n"]);
  expect(backend.openSessions).toBe(1);
});
