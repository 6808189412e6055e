import { ByteReader, ByteWriter, CodecError, crc32 } from "../core/bytes.js";
import type { Incarnation, NodeId } from "../core/machine.js";

export const IDENTITY_FILE = "identity";

const MAGIC = 0x444d4147; // "GAMD"
const VERSION = 2;
/** As 2, with {@link Identity.unsyncedBoot}. Written only where there is one: a build that knows no `os` must not go on from it. */
const VERSION_UNSYNCED = 3;

/** A newer build wrote the file. It is not damaged: do not throw anything away. */
export class IdentityVersionUnknown extends Error {
  override readonly name = "IdentityVersionUnknown";
}

export type IdentityChanges = Partial<
  Pick<Identity, "incarnation" | "formed" | "recovering" | "damage" | "clusterId" | "founders" | "unsyncedBoot">
>;

/** Who this node is, in a small file of its own that is replaced whole. */
export class Identity {
  constructor(
    readonly node: NodeId,
    /** Of the cluster, this one included, ascending: quorums are counted among them, so they must not change unnoticed. */
    readonly members: readonly NodeId[],
    readonly incarnation: Incarnation,
    /** Whether this node has ever been part of the cluster; a node that has not may have nothing to forget. */
    readonly formed: boolean,
    /** This life stands in for one that was lost: groups start as recovering. */
    readonly recovering: boolean,
    /** Damage was met while running: the data must be set aside at the next start. */
    readonly damage: string,
    /** "" until the catalog has told. */
    readonly clusterId: string,
    /** The lives of the other members that were known to be new when this node became part of the cluster. */
    readonly founders: ReadonlyMap<NodeId, Incarnation> = new Map(),
    /** The boot of the machine in which this node may have promised what was not synced; "": all is synced. */
    readonly unsyncedBoot: string = "",
  ) {}

  with(changes: IdentityChanges): Identity {
    return new Identity(
      this.node,
      this.members,
      changes.incarnation ?? this.incarnation,
      changes.formed ?? this.formed,
      changes.recovering ?? this.recovering,
      changes.damage ?? this.damage,
      changes.clusterId ?? this.clusterId,
      changes.founders ?? this.founders,
      changes.unsyncedBoot ?? this.unsyncedBoot,
    );
  }

  encode(): Uint8Array {
    const writer = new ByteWriter(256);
    writer.u32(MAGIC);
    writer.u16(this.unsyncedBoot === "" ? VERSION : VERSION_UNSYNCED);
    writer.u16(this.node);
    writer.u16(this.members.length);
    for (const member of this.members) writer.u16(member);
    writer.u53(this.incarnation);
    writer.u8((this.formed ? 1 : 0) | (this.recovering ? 2 : 0));
    writer.latin1(this.damage.slice(0, 1_000));
    writer.latin1(this.clusterId);
    writer.u16(this.founders.size);
    for (const [node, incarnation] of this.founders) {
      writer.u16(node);
      writer.u53(incarnation);
    }
    if (this.unsyncedBoot !== "") writer.latin1(this.unsyncedBoot);
    writer.u32(crc32(writer.written()));
    return writer.copy();
  }

  /** Throws {@link CodecError} with what is wrong. */
  static decode(bytes: Uint8Array): Identity {
    if (bytes.length < 8) throw new CodecError(`the identity file has ${bytes.length} bytes`);
    const body = bytes.subarray(0, bytes.length - 4);
    const reader = new ByteReader(bytes);
    if (reader.u32() !== MAGIC) throw new CodecError("the identity file does not begin as one");
    // First of all: nothing that damaged bytes say is to be believed, least of all that they are of another version.
    if (new ByteReader(bytes.subarray(bytes.length - 4)).u32() !== crc32(body)) {
      throw new CodecError("the identity file's checksum is wrong");
    }
    const version = reader.u16();
    if (version !== VERSION && version !== VERSION_UNSYNCED)
      throw new IdentityVersionUnknown(
        `the identity file has version ${version}; this build reads ${VERSION} and ${VERSION_UNSYNCED}`,
      );
    const node = reader.u16();
    const members: NodeId[] = [];
    for (let left = reader.u16(); left > 0; left -= 1) members.push(reader.u16());
    const incarnation = reader.u53();
    const flags = reader.u8();
    const damage = reader.latin1();
    const clusterId = reader.latin1();
    const founders = new Map<NodeId, Incarnation>();
    const count = reader.u16();
    for (let i = 0; i < count; i += 1) {
      const founder = reader.u16();
      founders.set(founder, reader.u53());
    }
    const unsyncedBoot = version === VERSION_UNSYNCED ? reader.latin1() : "";
    const formed = (flags & 1) !== 0;
    const recovering = (flags & 2) !== 0;
    return new Identity(node, members, incarnation, formed, recovering, damage, clusterId, founders, unsyncedBoot);
  }
}
