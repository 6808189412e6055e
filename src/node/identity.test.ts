import { expect, test } from "vitest";
import { ByteWriter, CodecError, crc32 } from "../core/bytes.js";
import { Identity, IdentityVersionUnknown } from "./identity.js";

const IDENTITY = new Identity(2, [1, 2, 3], 77, true, false, "", "abc", new Map([[1, 5]]));

test("comes back as it was", () => {
  expect(Identity.decode(IDENTITY.encode())).toEqual(IDENTITY);
});

test("with a note of what is unsynced it is of a version that older builds refuse; without, of the one that they read", () => {
  const noted = IDENTITY.with({ unsyncedBoot: "0b1e6d0c-0000-4000-8000-000000000000" });
  expect(Identity.decode(noted.encode())).toEqual(noted);
  expect([noted.encode()[4], noted.with({ unsyncedBoot: "" }).encode()]).toEqual([3, IDENTITY.encode()]);
});

test("a file of version 2, as builds without durability os wrote it, is read", () => {
  const bytes = Uint8Array.from(
    [0x47, 0x41, 0x4d, 0x44, 2, 0, 2, 0, 3, 0, 1, 0, 2, 0, 3, 0, 77, 0, 0, 0, 0, 0, 0, 0, 1].concat([
      0, 0, 3, 0, 0x61, 0x62, 0x63, 1, 0, 1, 0, 5, 0, 0, 0, 0, 0, 0, 0,
    ]),
  );
  const writer = new ByteWriter(64);
  writer.raw(bytes);
  writer.u32(crc32(bytes));
  expect(Identity.decode(writer.copy())).toEqual(IDENTITY);
  expect(IDENTITY.encode()).toEqual(writer.copy());
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
