import { afterEach, describe, expect, test } from "vitest";
import { Op } from "../kv/command.js";
import { KvError } from "../kv/errors.js";
import { encodePosition } from "../kv/watch.js";
import type { ServerLimits } from "./limits.js";
import { EventStream, type StreamEvent } from "./testing/event-stream.js";
import { HttpClient } from "./testing/http-client.js";
import type { RawClient } from "./testing/raw-client.js";
import { closeOpen, open, type Served, serve } from "./testing/serve.js";

afterEach(closeOpen);

const WATCH = "/v1/keyspaces/default/watch";
const POSITION = /^4757[0-9a-f]+$/;

interface Started extends Served {
  readonly http: HttpClient;
  readonly writer: RawClient;
  readonly watch: (query?: string, headers?: Record<string, string>) => Promise<EventStream>;
}

async function start(limits: Partial<ServerLimits> = {}): Promise<Started> {
  const served = await serve(limits);
  const http = await HttpClient.connect(served.listener.port);
  const watch = async (query = "", headers: Record<string, string> = {}) => {
    const stream = await EventStream.open(http, `${WATCH}${query}`, headers);
    open.push(stream);
    return stream;
  };
  return { ...served, http, writer: await served.client(), watch };
}

/** In a line: kind, P for a position, and the data's values. */
function shown({ kind, id, data }: StreamEvent): string {
  const mark = id === undefined ? "-" : POSITION.test(id) ? "P" : id;
  return [kind, mark, ...Object.values(data)].join(" ");
}

async function heard(stream: EventStream, count: number): Promise<string[]> {
  return (await stream.next(count)).map(shown);
}

test("what is put, deleted and expires comes as events, from now on", async () => {
  const { watch, writer, backend } = await start();
  await writer.ask(["SET", "a", "before"]);
  const stream = await watch("?prefix=a&values&explain");
  expect(stream.status).toBe(200);
  expect(stream.headers).toMatchObject({ "content-type": "text/event-stream", "cache-control": "no-store" });
  expect(stream.headers["gamut-token"]).toBe("0102fa");
  expect(stream.headers["gamut-receipt"]).toContain("linearizable");
  expect(await heard(stream, 1)).toEqual(["begin P"]);
  expect(stream.blocks[0]).toBe("retry: 1000");
  await writer.ask(["SET", "a1", "\xc3\xa4"], ["SET", "b", "unheard"], ["MSET", "a2", "2", "a3", "3"], ["DEL", "a1"]);
  expect(await heard(stream, 4)).toEqual(["put P a1 2 ä", "put P a2 4 2", "put P a3 4 3", "delete P a1 5"]);
  await writer.ask(["SET", "a4", "soon", "PX", "20"]);
  expect(await heard(stream, 1)).toEqual(["put P a4 6 soon"]);
  const deadline = Date.now() + 10_000;
  while (stream.events.length === 0 && Date.now() < deadline) await writer.ask(["GET", "x"]);
  expect(await heard(stream, 1)).toEqual(["expire P a4 7"]);
  expect(backend.openSessions).toBe(1);
});

test("a snapshot comes first, with no position before its end", async () => {
  const { watch, writer } = await start();
  await writer.ask(["MSET", "k", "1", "k2", "2"]);
  const stream = await watch("?key=k&snapshot");
  expect(await heard(stream, 3)).toEqual(["snapshot-begin snapshot", "record - k 1 1", "snapshot-end P"]);
  await writer.ask(["SET", "k2", "b"], ["SET", "k", "c"]);
  expect(await heard(stream, 1)).toEqual(["put P k 3"]);
});

test("keys and values are any bytes", async () => {
  const { watch, writer } = await start();
  await writer.ask(["SET", "a\xff", "\xfe\n\n"]);
  const stream = await watch("?prefix=a%FF&snapshot&values");
  const [, record] = await stream.next(3);
  expect(record.data).toEqual({ keyBase64: "Yf8=", version: 1, valueBase64: "/goK" });
  await writer.ask(["SET", "a\xff\n", "two\n\nlines\ndata: 1"]);
  const [put] = await stream.next(1);
  expect(put.data).toMatchObject({ keyBase64: "Yf8K", value: "two\n\nlines\ndata: 1" });
  const all = await watch("?snapshot=true&encoding=base64");
  expect((await all.next(3))[2].data).toEqual({
    keyBase64: "Yf8K",
    version: 2,
    valueBase64: "dHdvCgpsaW5lcwpkYXRhOiAx",
  });
});

describe("who comes back", () => {
  test("goes on after the last event, by the field or by from", async () => {
    const { watch, writer } = await start();
    const first = await watch("?prefix=a");
    await writer.ask(["SET", "a1", "1"], ["SET", "b", "2"], ["SET", "a2", "3"]);
    const [, put] = await first.next(3);
    first.close();
    for (const [query, headers] of [
      [`?from=${put.id}`, {}],
      ["", { "Last-Event-ID": put.id! }],
      // As EventSource does, which has but one address.
      [`?from=${first.lastEventId}`, { "Last-Event-ID": put.id! }],
      ["?snapshot", { "Last-Event-ID": put.id! }],
      [`?snapshot&from=${put.id}`, {}],
    ] as const) {
      const stream = await watch(query, headers);
      expect(await heard(stream, 3)).toEqual(["begin P", "put P b 2", "put P a2 3"]);
    }
    expect(await heard(await watch("", { "Last-Event-ID": first.lastEventId }), 1)).toEqual(["begin P"]);
  });

  test("in the middle of a snapshot gets it anew", async () => {
    const { watch, writer } = await start();
    await writer.ask(["SET", "k", "v"]);
    const stream = await watch("?snapshot", { "Last-Event-ID": "snapshot" });
    expect(await heard(stream, 3)).toEqual(["snapshot-begin snapshot", "record - k 1 v", "snapshot-end P"]);
  });

  test("too late is refused, or begins anew if a snapshot was asked for", async () => {
    const { watch, writer, backend, http } = await start();
    const first = await watch();
    const [{ id }] = await first.next(1);
    first.close();
    await writer.ask(["SET", "k", "v"]);
    const { watches } = backend.keyspaces.get("default")!;
    watches.restart();
    const refused = await http.send("GET", `${WATCH}?from=${id}`);
    expect(refused.json).toMatchObject({ status: 410, code: "compacted", definite: true });
    expect(await heard(await watch(`?from=${refused.json.oldest}`), 1)).toEqual(["begin P"]);
    const again = await watch("?snapshot", { "Last-Event-ID": id! });
    const byFrom = await watch(`?snapshot&from=${id}`);
    for (const stream of [again, byFrom]) {
      expect(await heard(stream, 3)).toEqual(["snapshot-begin snapshot", "record - k 1 v", "snapshot-end P"]);
    }
  });
});

test("what is wrong is a problem", async () => {
  const { http, backend } = await start();
  const code = async (query: string, headers = {}): Promise<string> => {
    const { json, status } = await http.send("GET", `${WATCH}${query}`, { headers });
    expect(status).toBeGreaterThanOrEqual(400);
    return json.code;
  };
  for (const query of ["?prefix=a&key=b", "?explain=maybe", "?from=", "?snapshot=no", "?soon", "?level=x", "?key=%f"]) {
    expect([query, await code(query)]).toEqual([query, "bad_request"]);
  }
  expect(await code("?from=0011")).toBe("bad_token");
  expect(await code("", { "Last-Event-ID": "later" })).toBe("bad_token");
  expect(await code("", { "Gamut-Token": "x" })).toBe("bad_token");
  for (const name of ["prefix", "key"]) expect(await code(`?${name}=${"k".repeat(2_049)}`)).toBe("key_too_long");
  const place = { group: 1, version: 1, ordinal: 1 };
  expect(await code(`?from=${encodePosition("another", place)}`)).toBe("wrong_cluster");
  expect(await code(`?from=${encodePosition("memory", { ...place, group: 2 })}`)).toBe("keyspace_gone");
  for (const method of ["HEAD", "POST"]) {
    const refused = await http.send(method, WATCH);
    expect([refused.status, refused.headers.allow]).toEqual([405, "GET"]);
  }
  backend.keyspaces.delete("default");
  expect(await code("")).toBe("keyspace_unknown");
  expect(await code("", { Accept: "text/event-stream" })).toBe("keyspace_unknown");
  expect(backend.openSessions).toBe(0);
});

test("what passes is told to EventSource in a stream, for it would not come again otherwise", async () => {
  const { http, watch, backend } = await start();
  backend.failures.set(Op.time, new KvError("unavailable"));
  expect((await http.send("GET", WATCH)).json).toMatchObject({ status: 503, code: "unavailable" });
  const stream = await watch("", { Accept: "text/event-stream" });
  expect(stream.status).toBe(200);
  const [end] = await stream.next(1);
  expect([end.kind, end.id, end.data.code]).toEqual(["end", undefined, "unavailable"]);
  await stream.untilEnd();
  expect(stream.blocks[0]).toBe("retry: 1000");
});

test("silence is filled with comments", async () => {
  const { watch } = await start({ watchSilenceMsMax: 1 });
  const stream = await watch();
  await stream.next(1);
  await expect
    .poll(() => stream.blocks.filter((block) => block === ":").length, { timeout: 10_000 })
    .toBeGreaterThan(1);
});

test("a reader that takes nothing costs no more than its output, and is told what it has missed", async () => {
  const { watch, writer, backend } = await start({ outputBytesMax: 65_536 });
  const stream = await watch("?values");
  await stream.next(1);
  stream.incoming.pause();
  const value = "x".repeat(1_000_000);
  const written = 64;
  for (let i = 0; i < written; i += 1) await writer.ask(["SET", `k${i}`, value]);
  expect(backend.keyspaces.get("default")!.history.valueWatchers).toBe(0);
  stream.incoming.resume();
  await stream.untilEnd();
  const end = stream.events.pop()!;
  // What it has heard before that is without a gap.
  expect(stream.events.map(({ data }) => data.key)).toEqual(stream.events.map((_, i) => `k${i}`));
  expect(stream.events.length).toBeLessThan(written);
  expect(end).toMatchObject({ kind: "end", id: undefined, data: { code: "compacted", oldest: expect.any(String) } });
  expect(shown((await (await watch(`?from=${end.data.oldest}`)).next(2))[1])).toMatch(/^put P k\d+ /);
});

test("the watch ends when the client goes, and when it hangs up", async () => {
  const { watch, backend, client } = await start();
  const { history } = backend.keyspaces.get("default")!;
  const first = await watch("?values");
  const second = await watch("?values");
  expect(history.valueWatchers).toBe(2);
  first.close();
  await expect.poll(() => history.valueWatchers).toBe(1);
  second.outgoing.socket!.end();
  await expect.poll(() => history.valueWatchers).toBe(0);
  backend.held = true;
  const early = await client();
  early.sendBytes(`GET ${WATCH} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  await expect.poll(() => backend.openSessions).toBe(1);
  early.close();
  await expect.poll(() => backend.openSessions).toBe(0);
  expect(backend.cancelled.length).toBe(1);
  backend.release();
});

test("a node that stops says so, and the stream is whole", async () => {
  const { watch, listener, backend } = await start();
  const stream = await watch();
  await stream.next(1);
  await listener.close();
  expect(await stream.next(1)).toMatchObject([{ kind: "end", id: undefined, data: { code: "stopping", status: 503 } }]);
  await stream.untilEnd();
  expect(stream.incoming.complete).toBe(true);
  expect(backend.keyspaces.get("default")!.history.valueWatchers).toBe(0);
});
