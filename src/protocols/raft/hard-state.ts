import { ByteReader, ByteWriter, CodecError } from "../../core/bytes.js";
import type { Incarnation, NodeId } from "../../core/machine.js";

const HARD_STATE_VERSION = 1;

/** What a replica must never forget of itself (Raft paper, figure 2), and of the lives that its peers have had. */
export class HardState {
  term = 0;
  /** Voted for in `term`; 0 for nobody. */
  vote: NodeId = 0;
  incarnation: Incarnation = 0;
  recovering = false;
  /** Entries through here were cut from the log: a state that has applied less has lost them. */
  compactedIndex = 0;
  /** Newest incarnation seen of each peer. It only rises: what an older one still says is dropped. */
  readonly known = new Map<NodeId, Incarnation>();

  encode(): Uint8Array {
    const writer = new ByteWriter(64);
    writer.u8(HARD_STATE_VERSION);
    writer.u53(this.term);
    writer.u16(this.vote);
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
    if (version !== HARD_STATE_VERSION) throw new CodecError(`raft hard state version ${version}; this build reads 1`);
    const state = new HardState();
    state.term = reader.u53();
    state.vote = reader.u16();
    state.incarnation = reader.u53();
    state.recovering = reader.u8() === 1;
    state.compactedIndex = reader.u53();
    const count = reader.u16();
    for (let i = 0; i < count; i += 1) {
      const node = reader.u16();
      state.known.set(node, reader.u53());
    }
    return state;
  }
}
