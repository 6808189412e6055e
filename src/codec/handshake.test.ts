import { describe, expect, it } from "vitest";
import { ByteWriter, CodecError } from "../core/bytes.js";
import {
  ControlKind,
  commonVersion,
  type Expectation,
  HANDSHAKE_PAYLOAD_BYTES_MAX,
  Hello,
  judgeHello,
  PEER_VERSION_MAX,
  PEER_VERSION_MIN,
  Refusal,
  RefusalCode,
  readControl,
  settleDuplicate,
  writeHello,
  writeKeepalive,
  writeRefusal,
} from "./handshake.js";

const HELLO = new Hello(1, 1, "orders", "c0ffee", 2, 2 ** 47 + 5, 2 ** 48 - 1, 1, 7, 3);

function bytesOf(write: (writer: ByteWriter) => void): Uint8Array {
  const writer = new ByteWriter();
  write(writer);
  return writer.copy();
}

function hello(changes: Partial<Hello>): Hello {
  const all = { ...HELLO, ...changes };
  return new Hello(
    all.versionMin,
    all.versionMax,
    all.clusterName,
    all.clusterId,
    all.node,
    all.incarnation,
    all.boot,
    all.target,
    all.dial,
    all.seen,
  );
}

const OURS: Expectation = {
  versionMin: 1,
  versionMax: 1,
  clusterName: "orders",
  clusterId: "c0ffee",
  node: 1,
  dialed: 0,
};

describe("control frames", () => {
  it("carry a Hello", () => {
    const bytes = bytesOf((writer) => writeHello(writer, HELLO));
    expect(readControl(bytes)).toEqual(HELLO);
    expect(bytes.length).toBeLessThan(HANDSHAKE_PAYLOAD_BYTES_MAX);
  });

  it("fit the room of a stranger even with the longest names", () => {
    const bytes = bytesOf((writer) =>
      writeHello(writer, hello({ clusterName: "n".repeat(128), clusterId: "i".repeat(128) })),
    );
    expect(bytes.length).toBeLessThan(HANDSHAKE_PAYLOAD_BYTES_MAX);
    expect(readControl(bytes)).toBeInstanceOf(Hello);
  });

  it("carry a Refusal, on one line and of limited length", () => {
    const sent = new Refusal(RefusalCode.clusterName, `a\nb\u001b[2J${"x".repeat(1000)}`);
    const bytes = bytesOf((writer) => writeRefusal(writer, sent));
    const read = readControl(bytes) as Refusal;
    expect(read.code).toBe(RefusalCode.clusterName);
    expect(read.reason).toMatch(/^a\?b\?\[2Jx+$/);
    expect(bytes.length).toBeLessThan(HANDSHAKE_PAYLOAD_BYTES_MAX);
  });

  it("of another kind are passed over: a keepalive, or what a later version may add", () => {
    expect(readControl(bytesOf(writeKeepalive))).toBeNull();
    expect(readControl(Uint8Array.of(200, 1, 2))).toBeNull();
  });

  it("cut anywhere are refused by a CodecError", () => {
    for (const bytes of [
      bytesOf((writer) => writeHello(writer, HELLO)),
      bytesOf((writer) => writeRefusal(writer, new Refusal(RefusalCode.version, "too old"))),
    ]) {
      for (let end = 0; end < bytes.length; end += 1) {
        expect(() => readControl(bytes.subarray(0, end))).toThrow(CodecError);
      }
    }
  });

  it("may be longer than this version knows", () => {
    const bytes = bytesOf((writer) => {
      writeHello(writer, hello({ versionMax: 9 }));
      writer.u32(123456);
    });
    expect(readControl(bytes)).toEqual(hello({ versionMax: 9 }));
  });

  it("without the magic number are refused", () => {
    for (const kind of [ControlKind.hello, ControlKind.refusal]) {
      expect(() => readControl(Uint8Array.of(kind, 71, 69, 84, 32, 0, 0, 0, 0))).toThrow("magic");
    }
  });

  it("from a version without a common one become a Refusal by name, whatever follows", () => {
    const bytes = bytesOf((writer) => {
      writer.u8(ControlKind.hello);
      writer.u32(0x50544d47);
      writer.u16(5);
      writer.u16(7);
    });
    const refusal = readControl(bytes) as Refusal;
    expect(refusal.code).toBe(RefusalCode.version);
    expect(refusal.reason).toBe("it speaks peer protocol 5 to 7, this node 1 to 1: upgrade this node");
  });

  it("with impossible fields are refused: an empty range, node 0, a name that is too long, an integer too large", () => {
    expect(() => readControl(bytesOf((writer) => writeHello(writer, hello({ versionMin: 2 }))))).toThrow(CodecError);
    expect(() => readControl(bytesOf((writer) => writeHello(writer, hello({ node: 0 }))))).toThrow("no node");
    expect(() => readControl(bytesOf((writer) => writeHello(writer, hello({ clusterName: "n".repeat(129) }))))).toThrow(
      "too long",
    );
    const bytes = bytesOf((writer) => writeHello(writer, HELLO));
    // The incarnation's top byte: magic, kind, versions (9), two names (2 + 6 each), node (2), seven lower bytes.
    bytes[9 + 8 + 8 + 2 + 7] = 0xff;
    expect(() => readControl(bytes)).toThrow("2^53");
  });

  it("never throw anything but CodecError on random bytes", () => {
    let state = 99;
    const random = () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state >>> 9;
    };
    for (let round = 0; round < 20_000; round += 1) {
      const bytes = Uint8Array.from({ length: random() % 80 }, () => random() & 0xff);
      if (round % 2 === 0 && bytes.length > 9) bytes.set([1 + (random() % 2), 0x47, 0x4d, 0x54, 0x50, 1, 0, 1, 0]);
      try {
        readControl(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(CodecError);
      }
    }
  });
});

describe("commonVersion", () => {
  it("is the highest in both ranges, or 0: against every pair of small ranges", () => {
    for (let a = 1; a <= 4; a += 1)
      for (let b = a; b <= 4; b += 1)
        for (let c = 1; c <= 4; c += 1)
          for (let d = c; d <= 4; d += 1) {
            let expected = 0;
            for (let v = 1; v <= 4; v += 1) if (v >= a && v <= b && v >= c && v <= d) expected = v;
            expect(commonVersion(a, b, c, d)).toBe(expected);
          }
    expect(commonVersion(PEER_VERSION_MIN, PEER_VERSION_MAX, PEER_VERSION_MIN, PEER_VERSION_MAX)).toBe(
      PEER_VERSION_MAX,
    );
  });
});

describe("judgeHello", () => {
  it("lets the right node in, known cluster id or not, dialed or dialing", () => {
    expect(judgeHello(OURS, HELLO)).toBeNull();
    expect(judgeHello({ ...OURS, dialed: 2 }, HELLO)).toBeNull();
    expect(judgeHello({ ...OURS, clusterId: "" }, HELLO)).toBeNull();
    expect(judgeHello(OURS, hello({ clusterId: "" }))).toBeNull();
  });

  it("refuses the rest, each with its code", () => {
    expect(judgeHello(OURS, hello({ clusterName: "other" }))?.code).toBe(RefusalCode.clusterName);
    expect(judgeHello(OURS, hello({ clusterId: "beef" }))?.code).toBe(RefusalCode.clusterId);
    expect(judgeHello(OURS, hello({ node: 1, target: 1 }))?.code).toBe(RefusalCode.ownNode);
    expect(judgeHello({ ...OURS, dialed: 3 }, HELLO)?.code).toBe(RefusalCode.wrongNode);
    expect(judgeHello(OURS, hello({ target: 3 }))?.code).toBe(RefusalCode.wrongNode);
    expect(judgeHello({ ...OURS, versionMin: 2, versionMax: 3 }, HELLO)?.reason).toContain("upgrade it");
  });
});

describe("settleDuplicate", () => {
  const mine = (dial: number, seen = 0) => ({ dialedBySelf: true, dial, seen });
  const theirs = (dial: number, seen = 0) => ({ dialedBySelf: false, dial, seen });

  it("keeps the lower node's dial when both dialed at once, in whatever order and on both sides", () => {
    // Node 1 and node 2 each see two connections: 1's dial and 2's. All four views must end with 1's.
    expect(settleDuplicate(1, 2, mine(1), theirs(1))).toBe(false);
    expect(settleDuplicate(1, 2, theirs(1), mine(1))).toBe(true);
    expect(settleDuplicate(2, 1, theirs(1), mine(1))).toBe(false);
    expect(settleDuplicate(2, 1, mine(1), theirs(1))).toBe(true);
  });

  it("takes the later of two dials of one side", () => {
    expect(settleDuplicate(1, 2, theirs(3), theirs(4))).toBe(true);
    expect(settleDuplicate(1, 2, theirs(4), theirs(3))).toBe(false);
    expect(settleDuplicate(2, 1, mine(3), mine(4))).toBe(true);
  });

  it("takes their dial when they had ours and lost it", () => {
    expect(settleDuplicate(1, 2, mine(5), theirs(1, 5))).toBe(true);
    expect(settleDuplicate(1, 2, mine(5), theirs(1, 4))).toBe(false);
  });
});
