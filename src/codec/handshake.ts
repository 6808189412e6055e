/**
 * What two nodes tell each other before any frame of a protocol passes: control frames on the peer link.
 *
 * The dialer sends its {@link Hello}; the other side answers with its own, or with a {@link Refusal} and closes. The
 * dialer judges the answer in the same way. A Hello on an open link means that the sender's identity has changed.
 *
 * Magic and version range stand first and never move: any version can refuse any other by name. What a later version
 * appends to a body is ignored by an earlier one.
 */
import { ByteReader, type ByteWriter, CodecError } from "../core/bytes.js";
import type { Incarnation, NodeId } from "../core/machine.js";

/** The peer protocol that this build speaks. */
export const PEER_VERSION_MIN = 1;
export const PEER_VERSION_MAX = 1;

/** "GMTP", little-endian. */
const MAGIC = 0x50544d47;
/** Handshakes are small: before one has passed, a stranger gets no more room than this. */
export const HANDSHAKE_PAYLOAD_BYTES_MAX = 1024;
const NAME_CHARS_MAX = 128;
const REFUSAL_CHARS_MAX = 400;

export const ControlKind = {
  hello: 1,
  refusal: 2,
  /** Nothing to say, but alive. */
  keepalive: 3,
} as const;

export const RefusalCode = {
  /** No version in common. */
  version: 1,
  clusterName: 2,
  clusterId: 3,
  /** The dialer wanted another node. */
  wrongNode: 4,
  /** The dialer calls itself by this node's own id. */
  ownNode: 5,
  /** The dialer is not among the members that this node knows. */
  unknownNode: 6,
  /** Both dialed at once, and the other connection stays. Nothing is wrong. */
  duplicate: 7,
} as const;
export type RefusalCode = (typeof RefusalCode)[keyof typeof RefusalCode];

export class Hello {
  constructor(
    readonly versionMin: number,
    readonly versionMax: number,
    /** The cluster's name in the configuration; printable ASCII. */
    readonly clusterName: string,
    /** The cluster's own id, "" as long as the node has not learnt it. */
    readonly clusterId: string,
    readonly node: NodeId,
    readonly incarnation: Incarnation,
    /** Drawn at each start of the process: tells a reconnection from a restart. */
    readonly boot: number,
    /** The node that the dialer means to reach; in an answer, the dialer. */
    readonly target: NodeId,
    /** Number of this dial among the dialer's since its boot, from 1; an answer repeats it. */
    readonly dial: number,
    /** The highest dial of the other side that the sender has accepted, 0 for none (see settleDuplicate). */
    readonly seen: number,
  ) {}
}

export class Refusal {
  constructor(
    readonly code: RefusalCode,
    /** One sentence for a person, from the view of who refuses. */
    readonly reason: string,
  ) {}
}

/** What a Hello is held against. */
export interface Expectation {
  readonly versionMin: number;
  readonly versionMax: number;
  readonly clusterName: string;
  readonly clusterId: string;
  readonly node: NodeId;
  /** The node that was dialed, or 0 when the other side dialed. */
  readonly dialed: NodeId;
}

export function writeHello(writer: ByteWriter, hello: Hello): void {
  writer.u8(ControlKind.hello);
  writer.u32(MAGIC);
  writer.u16(hello.versionMin);
  writer.u16(hello.versionMax);
  writer.latin1(hello.clusterName);
  writer.latin1(hello.clusterId);
  writer.u16(hello.node);
  writer.u53(hello.incarnation);
  writer.u53(hello.boot);
  writer.u16(hello.target);
  writer.u32(hello.dial);
  writer.u32(hello.seen);
}

export function writeRefusal(writer: ByteWriter, refusal: Refusal): void {
  writer.u8(ControlKind.refusal);
  writer.u32(MAGIC);
  writer.u8(refusal.code);
  writer.latin1(printable(refusal.reason).slice(0, REFUSAL_CHARS_MAX));
}

export function writeKeepalive(writer: ByteWriter): void {
  writer.u8(ControlKind.keepalive);
}

/**
 * One control frame's payload: null for a keepalive or a kind that a later version may have. A Hello whose versions
 * have none in common with ours comes back as the Refusal to send: the rest of it may have any layout.
 *
 * @throws CodecError when the bytes are no control frame of Gamut.
 */
export function readControl(payload: Uint8Array): Hello | Refusal | null {
  const reader = new ByteReader(payload);
  const kind = reader.u8();
  if (kind === ControlKind.hello) return readHello(reader);
  if (kind === ControlKind.refusal) return readRefusal(reader);
  return null;
}

function readHello(reader: ByteReader): Hello | Refusal {
  expectMagic(reader);
  const versionMin = reader.u16();
  const versionMax = reader.u16();
  if (versionMin > versionMax) throw new CodecError("handshake: the version range is empty");
  if (commonVersion(PEER_VERSION_MIN, PEER_VERSION_MAX, versionMin, versionMax) === 0) {
    return versionRefusal(versionMin, versionMax, PEER_VERSION_MIN, PEER_VERSION_MAX);
  }
  const hello = new Hello(
    versionMin,
    versionMax,
    readName(reader),
    readName(reader),
    reader.u16(),
    reader.u53(),
    reader.u53(),
    reader.u16(),
    reader.u32(),
    reader.u32(),
  );
  if (hello.node === 0) throw new CodecError("handshake: 0 is no node");
  return hello;
}

function readRefusal(reader: ByteReader): Refusal {
  expectMagic(reader);
  const code = reader.u8() as RefusalCode;
  return new Refusal(code, printable(reader.latin1()).slice(0, REFUSAL_CHARS_MAX));
}

function expectMagic(reader: ByteReader): void {
  if (reader.u32() !== MAGIC) throw new CodecError("handshake: the magic number is missing");
}

function readName(reader: ByteReader): string {
  const name = reader.latin1();
  if (name.length > NAME_CHARS_MAX) throw new CodecError("handshake: a name is too long");
  return printable(name);
}

/** A peer's text goes to the log: nothing in it may move the cursor or start a new line. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, "?");
}

/** The highest version in both ranges, 0 when there is none. */
export function commonVersion(minA: number, maxA: number, minB: number, maxB: number): number {
  const highest = Math.min(maxA, maxB);
  return highest >= Math.max(minA, minB) ? highest : 0;
}

function versionRefusal(theirMin: number, theirMax: number, ourMin: number, ourMax: number): Refusal {
  const advice = theirMax < ourMin ? "upgrade it" : "upgrade this node";
  return new Refusal(
    RefusalCode.version,
    `it speaks peer protocol ${theirMin} to ${theirMax}, this node ${ourMin} to ${ourMax}: ${advice}`,
  );
}

/** Null when the other side may stay, else why not. Both sides ask this of each other's Hello. */
export function judgeHello(ours: Expectation, theirs: Hello): Refusal | null {
  if (commonVersion(ours.versionMin, ours.versionMax, theirs.versionMin, theirs.versionMax) === 0) {
    return versionRefusal(theirs.versionMin, theirs.versionMax, ours.versionMin, ours.versionMax);
  }
  if (theirs.clusterName !== ours.clusterName) {
    return new Refusal(
      RefusalCode.clusterName,
      `it belongs to cluster "${theirs.clusterName}", this node to "${ours.clusterName}": check "cluster" and "members" in both configurations`,
    );
  }
  if (theirs.clusterId !== "" && ours.clusterId !== "" && theirs.clusterId !== ours.clusterId) {
    return new Refusal(
      RefusalCode.clusterId,
      `its data belongs to cluster id ${theirs.clusterId}, this node's to ${ours.clusterId}: two clusters share the name "${ours.clusterName}"; check "members" and "dataDir"`,
    );
  }
  return judgeNode(ours, theirs);
}

function judgeNode(ours: Expectation, theirs: Hello): Refusal | null {
  if (theirs.node === ours.node) {
    return new Refusal(
      RefusalCode.ownNode,
      `it calls itself node ${theirs.node}, as this node does: two members have one id, or a member's address leads back here`,
    );
  }
  if (ours.dialed !== 0 && theirs.node !== ours.dialed) {
    return new Refusal(
      RefusalCode.wrongNode,
      `node ${ours.dialed} was dialed, but node ${theirs.node} answered: check the addresses in "members"`,
    );
  }
  if (theirs.target !== ours.node) {
    return new Refusal(
      RefusalCode.wrongNode,
      `it wants node ${theirs.target}, but this is node ${ours.node}: check the addresses in its "members"`,
    );
  }
  return null;
}

/**
 * A second connection to the same start of the same peer has passed the handshake: does it take the first one's place?
 * Both sides answer alike without asking each other.
 *
 * 1. Two dials of one side: the later one; a side dials only when it has no connection.
 * 2. They dialed after having had (and lost) our dial, which we have not noticed yet: their Hello has seen our dial.
 * 3. Else both dialed at once: the dial of the node with the lower id stays.
 */
export function settleDuplicate(
  self: NodeId,
  peer: NodeId,
  current: { readonly dialedBySelf: boolean; readonly dial: number },
  added: { readonly dialedBySelf: boolean; readonly dial: number; readonly seen: number },
): boolean {
  if (current.dialedBySelf === added.dialedBySelf) return added.dial > current.dial;
  if (added.dialedBySelf) return self < peer;
  if (added.seen >= current.dial) return true;
  return peer < self;
}
