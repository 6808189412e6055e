import { describe, expect, test } from "vitest";
import { Random } from "../core/random.js";
import { parseKeyTarget, parseQuery, percentDecode } from "./http-target.js";

describe("percent-encoding", () => {
  test("agrees with a plain reading of any text", () => {
    const random = new Random(7);
    const parts = ["%", "%4", "%41", "%ff", "%FF", "%00", "%zz", "a", "+", "\xe4", "%%", "%2F"];
    let whole = 0;
    for (let round = 0; round < 20_000; round += 1) {
      let text = "";
      for (let i = random.below(8); i > 0; i -= 1) text += parts[random.below(parts.length)];
      const isRight = /^(?:[^%]|%[0-9a-fA-F]{2})*$/.test(text);
      const expected = text.replace(/%(..)/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
      expect([text, percentDecode(text)]).toEqual([text, isRight ? expected : null]);
      if (isRight) whole += 1;
    }
    expect(whole).toBeGreaterThan(3_000);
  });
});

describe("the target of a key", () => {
  test.each([
    ["/v1/keyspaces/default/keys/a", ["default", "a", false, ""]],
    ["/v1/keyspaces/default/keys/", ["default", "", false, ""]],
    ["/v1/keyspaces/d%20/keys/a%2Fb?x=1/2?3", ["d%20", "a%2Fb", false, "x=1/2?3"]],
    ["/v1/keyspaces/default/keys/increment", ["default", "increment", false, ""]],
    ["/v1/keyspaces/default/keys/n/increment?by=2", ["default", "n", true, "by=2"]],
    ["/v1/keyspaces/default/keys//increment", ["default", "", true, ""]],
    ["/v1/keyspaces//keys/a", ["", "a", false, ""]],
  ] as const)("%s", (url, [keyspace, key, isIncrement, query]) => {
    expect(parseKeyTarget(url)).toEqual({ keyspace, key, isIncrement, query });
  });

  test.each([
    "/v1/keyspaces/default/keys",
    "/v1/keyspaces/default/keys?prefix=/keys/a",
    "/v1/keyspaces/default/batch",
    "/v1/keyspaces/default/keys/a/b",
    "/v1/keyspaces/default/keys/a/increment/",
    "/v1/keyspaces/a?b/keys/c",
    "/v2/keyspaces/default/keys/a",
    "/",
  ])("%s is none", (url) => expect(parseKeyTarget(url)).toBeNull());
});

test("parameters: names alone, pluses, bytes; no parameter twice", () => {
  expect([...parseQuery("a=1&b&c=&d=%ff+%2B&&e=f=g")!]).toEqual([
    ["a", "1"],
    ["b", ""],
    ["c", ""],
    ["d", "\xff +"],
    ["e", "f=g"],
  ]);
  expect(parseQuery("")!.size).toBe(0);
  for (const wrong of ["a=%", "%f=1", "a=1&a=1", "a&a"]) expect([wrong, parseQuery(wrong)]).toEqual([wrong, null]);
});
