import { ByteWriter, crc32 } from "../../core/bytes.js";
import type { DiskError } from "../ports.js";
import { EventKind, RECORD_MAGIC, RECORD_VERSION } from "./format.js";

const FLUSH_BYTES = 256 * 1024;
const MARK_EVERY_TURNS = 64;

/** A running hash over what leaves a node; the same code runs when recording and when replaying. */
export class OutputHash {
  private readonly scratch = new ByteWriter(256);
  value = 0;
  count = 0;

  /** One output: what it is, small numbers or names that belong to it, and its bytes. */
  add(what: string, detail: string, bytes: Uint8Array | null): void {
    this.scratch.reset();
    this.scratch.latin1(what);
    this.scratch.latin1(detail.slice(0, 4_096));
    this.value = crc32(this.scratch.written(), this.value);
    if (bytes !== null) this.value = crc32(bytes, this.value);
    this.count += 1;
  }
}

/** Writes the events of a recording, in the order in which they happen. */
export class Recorder {
  readonly hash = new OutputHash();
  readonly writer = new ByteWriter(FLUSH_BYTES);
  private turns = 0;

  constructor(
    private readonly sink: (bytes: Uint8Array) => void,
    optionsJson: Uint8Array,
  ) {
    this.writer.u32(RECORD_MAGIC);
    this.writer.u16(RECORD_VERSION);
    this.writer.blob(optionsJson);
  }

  /** Begins an event; its fields are written to `writer` next. */
  event(kind: EventKind): ByteWriter {
    if (this.writer.length >= FLUSH_BYTES) this.flush();
    this.writer.u8(kind);
    return this.writer;
  }

  turnEnded(): void {
    this.event(EventKind.turnEnd);
    this.turns += 1;
    if (this.turns % MARK_EVERY_TURNS === 0) this.mark();
  }

  mark(): void {
    const writer = this.event(EventKind.mark);
    writer.u32(this.hash.value);
    writer.u53(this.hash.count);
  }

  error(error: DiskError | null): void {
    this.writer.latin1(error === null ? "" : error.code);
    this.writer.latin1(error === null ? "" : error.message.slice(0, 1_000));
  }

  flush(): void {
    if (this.writer.length === 0) return;
    this.sink(this.writer.copy());
    this.writer.reset();
  }
}
