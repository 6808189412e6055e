import { ByteReader, ByteWriter, CodecError } from "../../core/bytes.js";
import type { Incarnation, NodeId } from "../../core/machine.js";

const HARD_STATE_VERSION = 1;

/** What a replica must never forget of itself, and of the lives that its peers have had. */
export class HardState {
  incarnation: Incarnation = 0;
  recovering = false;
  /** Records through here were cut from the log: a state that has applied less has lost them. */
  compactedIndex = 0;
  /** Newest incarnation heard of, of each peer: what an older one still says is dropped. */
  readonly known = new Map<NodeId, Incarnation>();

  encode(): Uint8Array {
    const writer = new ByteWriter(64);
    writer.u8(HARD_STATE_VERSION);
    writer.u53(this.incarnation);
    writer.u8(this.recovering ? 1 : 0);
    writer.u53(this.compactedIndex);
    writer.u16(this.known.size);
    for (const [node, incarnation] of this.known) {
      writer.u16(node);
      writer.u53(incarnation);
    }
    return writer.copy();
  }

  static decode(bytes: Uint8Array): HardState {
    const reader = new ByteReader(bytes);
    const version = reader.u8();
    if (version !== HARD_STATE_VERSION) {
      throw new CodecError(`gossip hard state version ${version}; this build reads ${HARD_STATE_VERSION}`);
    }
    const state = new HardState();
    state.incarnation = reader.u53();
    state.recovering = reader.u8() === 1;
    state.compactedIndex = reader.u53();
    for (let left = reader.u16(); left > 0; left -= 1) state.known.set(reader.u16(), reader.u53());
    return state;
  }
}
