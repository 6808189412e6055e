/** What TypeScript would have refused, and JavaScript lets through. */
import { expect, test } from "vitest";
import { connect, type Failure, type Gamut, ok, text } from "./index.js";

/** An object of which the compiler says nothing. */
const untyped = (options: object): Record<string, never> => options as Record<string, never>;

/** Nobody listens there: nothing gets as far. */
function client(): Gamut<string> {
  return connect("127.0.0.1:1", { values: text, timeoutMs: 60_000 });
}

test("connect throws for an option that there is not, and names it", () => {
  expect(() => connect("127.0.0.1:1", untyped({ timeout: 5 }))).toThrow(
    new TypeError(
      'connect has no option "timeout"; it has keyspace, values, level, timeoutMs, maxInFlight, maxInFlightBytes, ' +
        "silenceMs, connectMs, backoffMs, backoffMsMax",
    ),
  );
  expect(() => connect("127.0.0.1:1", 5 as never)).toThrow("the options of connect are 5; they must be an object");
  expect(() => connect("127.0.0.1:1", null as never)).toThrow(TypeError);
});

test("a call with an option that there is not does nothing, and says so at once", async () => {
  const gamut = client();
  const calls = [
    ["timeout", gamut.get("k", untyped({ timeout: 5 }))],
    ["expireIn", gamut.get("k", untyped({ expireIn: 5 }))],
    ["expiresIn", gamut.set("k", "v", untyped({ expiresIn: 5 }))],
    ["Level", gamut.getMany(["k"], untyped({ Level: "sequential" }))],
    ["expireIn", gamut.delete("k", untyped({ expireIn: 5 }))],
    ["by", gamut.sum("k", 1, untyped({ by: 5 }))],
    [
      "ttl",
      gamut
        .atomic()
        .set("k", "v", untyped({ ttl: 5 }))
        .commit(),
    ],
    [
      "limit",
      gamut
        .atomic()
        .set("k", "v")
        .commit(untyped({ limit: 5 })),
    ],
  ] as const;
  for (const [name, call] of calls) {
    const outcome = await call;
    expect(outcome).toMatchObject({ kind: "error", code: "bad_request", definite: true });
    expect((outcome as { message: string }).message).toContain(`has no option "${name}"; it has `);
  }
  const outcome = await gamut.set("k", "v", 5 as never);
  expect((outcome as { message: string }).message).toContain("the options of this call are 5");
  expect(() => gamut.list({ prefix: "" }, untyped({ max: 5 }))).toThrow(TypeError);
  const backwards = untyped({ reverse: "yes" });
  expect(() => gamut.list({ prefix: "" }, backwards)).toThrow("bad_request: reverse is yes; it must be true or false");
  gamut.close();
});

test("a level that there is not is refused where it is named", async () => {
  const level = "liniarizable" as "linearizable";
  const problem = /^bad_request: there is no level liniarizable; there are linearizable, sequential, /;
  expect(() => connect("127.0.0.1:1", { level })).toThrow(problem);
  const gamut = client();
  expect(() => gamut.at(level)).toThrow(problem);
  expect(() => gamut.changes({ prefix: "" }, { level })).toThrow(problem);
  expect(await gamut.get("k", { level })).toMatchObject({
    code: "bad_request",
    message: expect.stringMatching(/^there is no level/),
  });
  gamut.close();
});

test("bounds and keys of a wrong form are named", async () => {
  const gamut = client();
  for (const call of ["list", "changes"] as const) {
    const bounded = (selector: unknown) => () => void gamut[call](selector as { prefix: string });
    expect(bounded({ prefx: "a" })).toThrow(new TypeError(`${call} has no bound "prefx"; it has prefix, start, end`));
    expect(bounded("a")).toThrow(`the bounds of ${call} are a; they must be an object, as { prefix: "user:" }`);
    expect(bounded(undefined)).toThrow(TypeError);
    expect(bounded({ start: "a" })).toThrow(`bad_request: ${call} needs a prefix, or a start and an end`);
    expect(bounded({ start: "a", end: ["b"] })).toThrow(`the bounds of ${call} must be of one form`);
  }
  const keys = "a" as unknown as string[];
  expect(() => gamut.watch(keys)).toThrow("bad_request: watch takes an array of keys, as watch(");
  expect(await gamut.getMany(keys)).toMatchObject({
    code: "bad_request",
    message: expect.stringMatching(/^getMany takes an array of keys/),
  });
  gamut.close();
});

test("the message of an outcome is without its code, that of what is thrown begins with it, once", async () => {
  const gamut = client();
  const outcomes = [
    await gamut.get(5 as never),
    await gamut.get("k".repeat(2_049)),
    await gamut.get("k", { timeoutMs: 0 }),
    await gamut.get("k", { signal: AbortSignal.abort() }),
    await gamut.sum("k", 0.5),
    await gamut.set("k", 5 as never),
    await gamut.atomic().check({ key: "k", versionstamp: "x" }).commit(),
  ];
  for (const outcome of outcomes) {
    const { code, definite, message } = outcome as Failure;
    expect(message).not.toContain(code);
    const thrown = { code, definite, message: `${code}: ${message}`, reason: message };
    expect(() => ok(outcome)).toThrow(expect.objectContaining(thrown));
  }
  const listed = gamut.list({ prefix: "" }, { timeoutMs: 0 }).next();
  await expect(listed).rejects.toThrow(/^bad_request: timeoutMs is 0/);
  gamut.close();
});
