import { expect, test } from "vitest";
import { ByteWriter, CodecError, latin1Encode } from "../core/bytes.js";
import { Random } from "../core/random.js";
import { Command, Op, setCommand } from "../kv/command.js";
import { KvError } from "../kv/errors.js";
import { Level } from "../kv/level.js";
import { errorResult, integerResult, type Result } from "../kv/result.js";
import { type AnswerHead, type Call, decodeAnswer, decodeCall, encodeAnswer, encodeCall } from "./call.js";

const ID = { client: "0123456789abcdef", sequence: 7, acknowledgedThrough: 6, openedMs: 123_456_789 };
const CALL: Call = {
  command: setCommand("key", latin1Encode("value")),
  keyspace: "default",
  life: 3,
  level: Level.linearizable,
  timeoutMs: 2_000,
  id: ID,
  token: Uint8Array.of(1, 2, 3),
  explain: true,
};
const RECEIPT = {
  asked: Level.linearizable,
  given: Level.linearizable,
  protocol: "raft",
  node: 2,
  leader: 1,
  epoch: 4,
  position: 99,
  durableOn: [1, 2],
  evidence: "log",
};

function encoded(call: Partial<Call> = {}): Uint8Array {
  const writer = new ByteWriter(16);
  encodeCall({ ...CALL, ...call }, writer);
  return writer.copy();
}

const GOSSIP_RECEIPT = {
  ...RECEIPT,
  ...{ protocol: "gossip", leader: 0, epoch: 0, position: 0 },
  clock: { ms: 1_795_277_718_683, logical: 7 },
  staleness: { missingWrites: 2 ** 40, reachablePeers: 1, peers: 2 },
};
const HEAD: AnswerHead = { leader: 3, life: 5, isExecuted: true, token: Uint8Array.of(9), receipt: RECEIPT };
const BARE_HEAD: AnswerHead = { leader: 0, life: 0, isExecuted: false, token: null, receipt: null };

function answer(head: AnswerHead, result: Result): Uint8Array {
  const writer = new ByteWriter(16);
  encodeAnswer(head, result, writer);
  return writer.copy();
}

function refusal(bytes: Uint8Array): string {
  const call = decodeCall(bytes);
  return call instanceof KvError ? `${call.code}: ${call.message}` : "accepted";
}

test("a call comes back as it was", () => {
  expect(decodeCall(encoded())).toEqual(CALL);
  const bare = { level: null, id: null, token: null, explain: false, timeoutMs: 0, command: new Command(Op.get, "k") };
  expect(decodeCall(encoded(bare))).toEqual({ ...CALL, ...bare });
});

test("a receipt tells where durability is less than a sync", () => {
  const receipt = { ...RECEIPT, durability: "os" } as const;
  expect(decodeAnswer(answer({ ...HEAD, receipt }, integerResult(5n))).receipt).toEqual(receipt);
});

test("an answer comes back as it was", () => {
  const result = integerResult(5n);
  expect(decodeAnswer(answer(HEAD, result))).toEqual({ ...HEAD, result, error: null });
  for (const receipt of [GOSSIP_RECEIPT, { ...RECEIPT, clock: GOSSIP_RECEIPT.clock }]) {
    expect(decodeAnswer(answer({ ...HEAD, receipt }, result))).toEqual({ ...HEAD, receipt, result, error: null });
  }
  const error = new KvError("overloaded", "zu viel: 漢字");
  expect(decodeAnswer(answer(BARE_HEAD, errorResult(error)))).toEqual({
    ...BARE_HEAD,
    result: null,
    error: { code: "overloaded", definite: true, message: "zu viel: 漢字" },
  });
});

test("an error that this build does not know keeps what it says of itself", () => {
  const bytes = answer(BARE_HEAD, errorResult(new KvError("overloaded", "m")));
  const text = Buffer.from(bytes).toString("latin1").replace("overloaded", "overlooked");
  expect(decodeAnswer(latin1Encode(text)).error).toEqual({ code: "overlooked", definite: true, message: "m" });
});

test("what a client may not ask is refused by name", () => {
  const bytes = encoded();
  const changed = (at: number, byte: number): Uint8Array => Uint8Array.from(bytes, (was, i) => (i === at ? byte : was));
  expect(refusal(changed(0, 0))).toContain("does not begin as a call does");
  expect(refusal(changed(2, 9))).toContain("version 9 is not known");
  expect(refusal(changed(3, 8))).toContain("flags");
  expect(refusal(changed(4, 7))).toContain("there is no level 7");
  expect(refusal(bytes.subarray(0, 20))).toContain("ends too early");
  expect(refusal(Uint8Array.from([...bytes, 0]))).toContain("goes on after its command");
  expect(refusal(encoded({ keyspace: "k".repeat(300) }))).toContain("name is too long");
  expect(refusal(encoded({ id: { ...ID, sequence: 0, acknowledgedThrough: 0 } }))).toContain("begin at 1");
  expect(refusal(encoded({ id: { ...ID, acknowledgedThrough: 7 } }))).toContain("its own result");
  expect(refusal(encoded({ id: { ...ID, openedMs: 0 } }))).toContain("bears no time");
  expect(refusal(encoded({ command: new Command(Op.get, "k") }))).toContain("a read has no request id");
  expect(refusal(encoded({ command: new Command(Op.advance) }))).toContain("replicated time");
  expect(refusal(encoded({ command: new Command(Op.progress), id: null }))).toContain("not asked in a call");
  expect(refusal(encoded({ command: setCommand("k".repeat(3_000), new Uint8Array(0)) }))).toContain("key_too_long");
  const transaction = new Command(Op.transaction);
  transaction.children = [new Command(Op.get, "k")];
  expect(refusal(encoded({ command: transaction }))).toContain("no set, delete or increment");
});

test("random and mutated bytes are a refusal or a whole call, never a throw", () => {
  const random = new Random(5);
  const outcomes = { accepted: 0, refused: 0 };
  const template = encoded();
  for (let i = 0; i < 60_000; i += 1) {
    let bytes = Uint8Array.from(template);
    for (let flips = 1 + random.below(4); flips > 0; flips -= 1) bytes[random.below(bytes.length)] = random.below(256);
    if (random.chance(0.3)) bytes = bytes.slice(0, random.below(bytes.length));
    if (random.chance(0.2)) bytes = Uint8Array.from({ length: random.below(60) }, () => random.below(256));
    const call = decodeCall(bytes);
    if (call instanceof KvError) {
      expect(call.definite).toBe(true);
      outcomes.refused += 1;
      continue;
    }
    outcomes.accepted += 1;
    expect(decodeCall(encoded(call))).toEqual(call);
  }
  expect(outcomes.accepted).toBeGreaterThan(1_000);
  expect(outcomes.refused).toBeGreaterThan(1_000);
});

test("mutated answers are a codec error or an answer", () => {
  const random = new Random(6);
  const templates = [
    answer(HEAD, integerResult(5n)),
    answer({ ...HEAD, receipt: GOSSIP_RECEIPT }, integerResult(5n)),
    answer(BARE_HEAD, errorResult(new KvError("unknown"))),
  ];
  let read = 0;
  for (let i = 0; i < 40_000; i += 1) {
    const bytes = Uint8Array.from(random.pick(templates));
    for (let flips = 1 + random.below(3); flips > 0; flips -= 1) bytes[random.below(bytes.length)] = random.below(256);
    try {
      const { result, error } = decodeAnswer(bytes);
      expect((result === null) !== (error === null)).toBe(true);
      read += 1;
    } catch (error) {
      expect(error).toBeInstanceOf(CodecError);
    }
  }
  expect(read).toBeGreaterThan(1_000);
});
