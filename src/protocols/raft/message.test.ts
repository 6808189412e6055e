import { describe, expect, test } from "vitest";
import { ByteReader, ByteWriter, CodecError } from "../../core/bytes.js";
import { Random } from "../../core/random.js";
import { SectionWriter } from "../../kv/batch.js";
import { getCommand } from "../../kv/command.js";
import { Entry } from "./entry-log.js";
import { MessageFlag, MessageKind, RaftMessage, raftCodec } from "./message.js";

const KINDS = Object.values(MessageKind);
const FLAGS = Object.values(MessageFlag);

function randomBytes(random: Random, most: number): Uint8Array {
  return Uint8Array.from({ length: random.below(most + 1) }, () => random.below(256));
}

function randomNumber(random: Random): number {
  return random.pick([0, 1, random.below(256), random.u32(), random.u48(), Number.MAX_SAFE_INTEGER]);
}

function randomMessage(random: Random): RaftMessage {
  const message = new RaftMessage(random.pick(KINDS), randomNumber(random), randomNumber(random));
  for (const flag of FLAGS) if (random.chance(0.3)) message.flags |= flag;
  message.index = randomNumber(random);
  message.logTerm = randomNumber(random);
  message.commit = randomNumber(random);
  message.round = randomNumber(random);
  if (random.chance(0.3)) message.numbers = Array.from({ length: 1 + random.below(6) }, () => randomNumber(random));
  if (random.chance(0.3)) message.client = String.fromCharCode(...Array.from({ length: 16 }, () => random.below(256)));
  if (message.kind === MessageKind.forward) message.payload = randomSections(random);
  else if (random.chance(0.3)) message.payload = randomBytes(random, 40);
  if (random.chance(0.5)) addEntries(message, random);
  return message;
}

function randomSections(random: Random): Uint8Array {
  const writer = new SectionWriter();
  const sections: number[] = [];
  for (let i = 0; i < random.below(3); i += 1) {
    writer.begin("0123456789abcdef", 1 + random.below(100), random.below(100), 0);
    writer.add(getCommand("k"));
    sections.push(...writer.finish());
  }
  return Uint8Array.from(sections);
}

/** They follow the message's index, and their terms rise from its previous term to its own. */
function addEntries(message: RaftMessage, random: Random): void {
  message.index = random.u48();
  message.logTerm = random.below(1_000);
  message.term = message.logTerm + random.below(1_000);
  let term = message.logTerm;
  message.entries = Array.from({ length: 1 + random.below(4) }, (_, i) => {
    term += random.below(message.term - term + 1);
    return new Entry(term, message.index + 1 + i, randomBytes(random, 30));
  });
}

function encode(message: RaftMessage): Uint8Array {
  const writer = new ByteWriter(64);
  raftCodec.encode(message, writer);
  return writer.copy();
}

describe("a message on the wire", () => {
  test("comes back as it was, and owns its bytes", () => {
    const random = new Random(21);
    for (let i = 0; i < 20_000; i += 1) {
      const message = randomMessage(random);
      const bytes = encode(message);
      const reader = new ByteReader(bytes);
      const decoded = raftCodec.decode(reader);
      bytes.fill(0xee);
      expect(decoded).toEqual(message);
      expect(reader.remaining).toBe(0);
    }
  });

  test("cut off anywhere is a codec error", () => {
    const random = new Random(22);
    for (let i = 0; i < 300; i += 1) {
      const bytes = encode(randomMessage(random));
      for (let length = 0; length < bytes.length; length += 1) {
        expect(() => raftCodec.decode(new ByteReader(bytes.subarray(0, length)))).toThrow(CodecError);
      }
    }
  });

  test("with bytes changed is a codec error or another message, and nothing else", () => {
    const random = new Random(23);
    let errors = 0;
    let messages = 0;
    for (let i = 0; i < 50_000; i += 1) {
      const bytes = encode(randomMessage(random));
      for (let j = 0; j <= random.below(3); j += 1) bytes[random.below(bytes.length)] = random.below(256);
      try {
        const decoded = raftCodec.decode(new ByteReader(bytes));
        messages += 1;
        expect(raftCodec.decode(new ByteReader(encode(decoded)))).toEqual(decoded);
      } catch (error) {
        expect(error).toBeInstanceOf(CodecError);
        errors += 1;
      }
    }
    expect(errors).toBeGreaterThan(1_000);
    expect(messages).toBeGreaterThan(1_000);
  });

  test.each([
    ["a gap before the first", [new Entry(3, 7, new Uint8Array(0))]],
    ["a gap", [new Entry(3, 6, new Uint8Array(0)), new Entry(3, 8, new Uint8Array(0))]],
    ["an entry older than the one before", [new Entry(3, 6, new Uint8Array(0)), new Entry(2, 7, new Uint8Array(0))]],
    ["an entry older than the previous one", [new Entry(1, 6, new Uint8Array(0))]],
    ["an entry newer than the leader", [new Entry(5, 6, new Uint8Array(0))]],
  ])("with entries out of order is a codec error: %s", (_name, entries) => {
    const message = new RaftMessage(MessageKind.append, 4, 1);
    message.index = 5;
    message.logTerm = 2;
    message.entries = entries;
    expect(() => raftCodec.decode(new ByteReader(encode(message)))).toThrow(CodecError);
  });

  test("says which version or kind is not known", () => {
    const bytes = encode(new RaftMessage(MessageKind.vote, 1, 1));
    bytes[0] = 9;
    expect(() => raftCodec.decode(new ByteReader(bytes))).toThrow("raft message version 9; this build reads 1");
    bytes[0] = 1;
    bytes[1] = KINDS.length + 1;
    expect(() => raftCodec.decode(new ByteReader(bytes))).toThrow(`raft message of unknown kind ${KINDS.length + 1}`);
    bytes[1] = 0;
    expect(() => raftCodec.decode(new ByteReader(bytes))).toThrow("raft message of unknown kind 0");
  });
});
