/** What TypeScript would have refused, and JavaScript lets through. */
import { expect, test } from "vitest";
import { connect, type Gamut, text } from "./index.js";

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
  gamut.close();
});
