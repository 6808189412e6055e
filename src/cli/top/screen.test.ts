import { expect, it } from "vitest";
import { clipLine } from "./screen.js";

it("a line is cut at the edge, and its colours take no room", () => {
  expect(clipLine("abc", 3)).toBe("abc");
  expect(clipLine("abcd", 3)).toBe("abc");
  expect(clipLine("a\x1b[31mbc\x1b[39m", 3)).toBe("a\x1b[31mbc\x1b[39m");
  expect(clipLine("a\x1b[31mbcd\x1b[39m", 2)).toBe("a\x1b[31mb\x1b[0m");
});
