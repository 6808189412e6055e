import { describe, expect, test } from "vitest";
import { ByteReader, ByteWriter, crc32 } from "../core/bytes.js";
import { Random } from "../core/random.js";
import { KvError } from "./errors.js";
import { Seen } from "./seen.js";
import { decodeToken, encodeToken, Token, tokenFromText, tokenToText } from "./token.js";

const CLUSTER = "0123456789abcdef0123456789abcdef";

function randomToken(random: Random): Token {
  const token = new Token(CLUSTER);
  for (let i = random.below(6); i > 0; i -= 1) {
    token.raise(random.below(4), random.below(3), random.below(10), random.u48());
  }
  return token;
}

function decoded(bytes: Uint8Array): Token {
  const token = decodeToken(bytes, CLUSTER);
  if (token instanceof KvError) throw new Error(token.message);
  return token;
}

function code(answer: unknown): string {
  return answer instanceof KvError ? answer.code : "accepted";
}

test("comes back as it was, as bytes and as text", () => {
  const random = new Random(20);
  for (let i = 0; i < 2_000; i += 1) {
    const token = randomToken(random);
    const bytes = encodeToken(token);
    expect(decoded(bytes).list()).toEqual(token.list());
    expect(tokenFromText(tokenToText(bytes))).toEqual(bytes);
    expect(tokenFromText(tokenToText(bytes).toUpperCase())).toEqual(bytes);
  }
});

test("takes at most 200 bytes for a keyspace", () => {
  const token = new Token("c".repeat(64));
  token.raise(2 ** 53 - 1, 2 ** 32 - 1, 2 ** 53 - 1, 2 ** 53 - 1);
  expect(encodeToken(token).length).toBeLessThanOrEqual(200);
  token.raise(1, 1, 1, 1);
  expect(encodeToken(token).length).toBeLessThanOrEqual(200);
});

test("a demand never falls, in whatever order it is raised and merged", () => {
  const random = new Random(21);
  for (let i = 0; i < 2_000; i += 1) {
    const [a, b, c] = [randomToken(random), randomToken(random), randomToken(random)];
    const highest = new Map<string, number>();
    for (const { keyspace, group, position } of [a, b, c].flatMap((token) => token.list())) {
      const id = `${keyspace}/${group}`;
      highest.set(id, Math.max(highest.get(id) ?? 0, position));
    }
    const one = decoded(encodeToken(a));
    expect([one.merge(b), one.merge(c), one.merge(a)]).toEqual([null, null, null]);
    const other = decoded(encodeToken(c));
    other.merge(b);
    other.merge(a);
    expect(encodeToken(other)).toEqual(encodeToken(one));
    expect(one.list()).toHaveLength(highest.size);
    for (const [id, position] of highest) {
      const [keyspace, group] = id.split("/").map(Number);
      expect(one.find(keyspace, group)?.position).toBe(position);
    }
    expect(one.find(9, 9)).toBe(null);
  }
});

test("the greater position counts, then the greater epoch", () => {
  const token = new Token(CLUSTER);
  token.raise(1, 1, 5, 100);
  token.raise(1, 1, 7, 90);
  expect(token.find(1, 1)).toMatchObject({ epoch: 5, position: 100 });
  token.raise(1, 1, 6, 100);
  expect(token.find(1, 1)).toMatchObject({ epoch: 6, position: 100 });
});

test("another cluster's is told apart from a damaged one", () => {
  const token = new Token("elsewhere");
  token.raise(1, 1, 1, 1);
  const answer = decodeToken(encodeToken(token), CLUSTER);
  expect(code(answer)).toBe("wrong_cluster");
  expect((answer as KvError).message).toContain("elsewhere");
});

test("every single flipped bit and every cut is a bad token", () => {
  const token = new Token(CLUSTER);
  token.raise(3, 1, 7, 12_345);
  token.raise(4, 2, 8, 99);
  const bytes = encodeToken(token);
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    const flipped = bytes.slice();
    flipped[bit >> 3] ^= 1 << (bit & 7);
    expect(code(decodeToken(flipped, CLUSTER))).toBe("bad_token");
  }
  for (let length = 0; length < bytes.length; length += 1) {
    expect(code(decodeToken(bytes.subarray(0, length), CLUSTER))).toBe("bad_token");
  }
});

/** A body with the right checksum: what somebody could make by hand. */
function forged(fill: (writer: ByteWriter) => void): Uint8Array {
  const writer = new ByteWriter();
  writer.u8(0x47);
  writer.u8(0x54);
  fill(writer);
  writer.u32(crc32(writer.written()));
  return writer.copy();
}

test("what was seen without an order travels with the rest, in at most 200 bytes at five nodes", () => {
  const token = new Token(CLUSTER);
  const seen = new Seen();
  for (let node = 1; node <= 5; node += 1) seen.raise(node, 2 ** 47 + node, 2 ** 50 + node);
  seen.raiseClock(1_800_000_000_000, 4_000_000_000);
  token.seen.push({ keyspace: 7, group: 7, seen });
  const bytes = encodeToken(token);
  expect(bytes.length).toBeLessThanOrEqual(200);
  const read = decodeToken(bytes, CLUSTER) as Token;
  expect(read.seen).toEqual(token.seen);
  expect(read.list()).toEqual([]);
  const later = new Token(CLUSTER);
  later.seen.push({ keyspace: 7, group: 7, seen: new Seen() });
  later.seen[0].seen.raise(1, 2 ** 47 + 1, 2 ** 51);
  expect([later.merge(token), later.seen[0].seen.sequenceOf(1, 2 ** 47 + 1), later.seen[0].seen.ms]).toEqual([
    null,
    2 ** 51,
    1_800_000_000_000,
  ]);
  token.raise(1, 2, 3, 4);
  const both = decodeToken(encodeToken(token), CLUSTER) as Token;
  expect([both.seen, both.list()]).toEqual([token.seen, token.list()]);
  for (let cut = 0; cut < bytes.length; cut += 1) {
    expect(code(decodeToken(bytes.slice(0, cut), CLUSTER))).toBe("bad_token");
  }
});

test("a forged token is refused, not fallen over", () => {
  const random = new Random(22);
  for (let i = 0; i < 10_000; i += 1) {
    const bytes = forged((writer) => {
      writer.u8(random.pick([1, 2]));
      writer.raw(Uint8Array.from({ length: random.below(70) }, () => random.pick([0, 0, 1, 2, 255])));
    });
    const token = decodeToken(bytes, CLUSTER);
    // Now and then what comes out is the token of a session that has seen nothing.
    if (token instanceof Token) expect(token.list()).toEqual([]);
    else expect(["bad_token", "wrong_cluster"]).toContain(token.code);
  }
  const twice = forged((writer) => {
    writer.u8(1);
    writer.latin1(CLUSTER);
    writer.u16(2);
    for (let i = 0; i < 2; i += 1) {
      writer.u53(1);
      writer.u32(1);
      writer.u53(1);
      writer.u53(1);
    }
  });
  expect((decodeToken(twice, CLUSTER) as KvError).message).toContain("not in order");
  const newer = forged((writer) => writer.u8(3));
  expect((decodeToken(newer, CLUSTER) as KvError).message).toContain("version 3");
  expect(code(decodeToken(new Uint8Array(100_000), CLUSTER))).toBe("bad_token");
});

test("tokens of a session may name so many groups and no more", () => {
  const token = new Token(CLUSTER);
  const other = new Token(CLUSTER);
  for (let i = 0; i < 600; i += 1) {
    token.raise(1, i, 1, 1);
    other.raise(2, i, 1, 1);
  }
  expect(code(token.merge(other))).toBe("bad_token");
  expect(token.list()).toHaveLength(600);
  expect(decoded(encodeToken(token)).list()).toHaveLength(600);
});

test("text that is no hex is a bad token", () => {
  for (const text of ["a", "0g", "zz", "0 ", "\u00e9\u00e9", "@@", "``", "0".repeat(200_000)]) {
    expect(code(tokenFromText(text)), text.slice(0, 9)).toBe("bad_token");
  }
  expect(new ByteReader(tokenFromText("00ffAb") as Uint8Array).bytes).toEqual(Uint8Array.of(0, 255, 0xab));
});

describe("a node that does not know its cluster yet", () => {
  test("accepts no token for its own, and says that it may later", () => {
    const token = new Token("c1");
    token.raise(1, 1, 1, 5);
    expect(decodeToken(encodeToken(token), "")).toMatchObject({ code: "unavailable" });
  });

  test("hands out tokens that others accept, since they demand nothing", () => {
    const token = decodeToken(encodeToken(new Token("")), "c1");
    expect(token).toBeInstanceOf(Token);
    expect((token as Token).clusterId).toBe("c1");
  });
});
