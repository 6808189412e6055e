import { expect, test } from "vitest";
import { ByteWriter, CodecError, crc32 } from "../core/bytes.js";
import { Identity, IdentityVersionUnknown } from "./identity.js";

const IDENTITY = new Identity(2, [1, 2, 3], 77, true, false, "", "abc", new Map([[1, 5]]));

test("comes back as it was", () => {
  expect(Identity.decode(IDENTITY.encode())).toEqual(IDENTITY);
});

test("any flipped bit is damage, and never taken for another version", () => {
  const bytes = IDENTITY.encode();
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    const flipped = bytes.slice();
    flipped[bit >> 3] ^= 1 << (bit & 7);
    expect(() => Identity.decode(flipped)).toThrow(CodecError);
  }
});

test("a newer version with a right checksum is no damage", () => {
  const bytes = IDENTITY.encode();
  bytes[4] = 9;
  const writer = new ByteWriter(4);
  writer.u32(crc32(bytes.subarray(0, bytes.length - 4)));
  bytes.set(writer.written(), bytes.length - 4);
  expect(() => Identity.decode(bytes)).toThrow(IdentityVersionUnknown);
});
