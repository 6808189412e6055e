import type { Socket } from "node:net";
import type { ReplyBuffer } from "../codec/reply-buffer.js";
import { StalledReader } from "./stalled-reader.js";
import type { ServerStats } from "./stats.js";

const WRITERS_KEPT = 64;
const WRITER_BYTES_KEPT = 262_144;

/** Buffers for replies: a connection has one only while it has something to write. */
export class WriterPool<Writer extends ReplyBuffer> {
  private readonly free: Writer[] = [];

  constructor(private readonly make: () => Writer) {}

  take(): Writer {
    return this.free.pop() ?? this.make();
  }

  /** Only when nobody reads its bytes any more. */
  give(writer: Writer): void {
    writer.length = 0;
    if (this.free.length < WRITERS_KEPT && writer.bytes.length <= WRITER_BYTES_KEPT) this.free.push(writer);
  }
}

/** The replies of one connection on their way out: what a turn has collected leaves with one write. */
export class Output<Writer extends ReplyBuffer> {
  private writer: Writer | null = null;
  readonly reader: StalledReader;

  constructor(
    private readonly socket: Socket,
    private readonly writers: WriterPool<Writer>,
    private readonly stats: ServerStats,
  ) {
    this.reader = new StalledReader(socket);
  }

  /** Collected, or given to the socket but not yet taken by the kernel. */
  get bytes(): number {
    return this.socket.writableLength + (this.writer === null ? 0 : this.writer.length);
  }

  /** Where the next reply in line is written. */
  current(): Writer {
    if (this.writer === null) this.writer = this.fresh();
    return this.writer;
  }

  /** For a reply that has to wait for others. Goes back to the pool. */
  fresh(): Writer {
    return this.writers.take();
  }

  isCurrent(writer: Writer): boolean {
    return writer === this.writer;
  }

  /**
   * Node hands the bytes to the kernel during `write` when it can. If nothing is left waiting, nobody will look at the
   * buffer again; else it is the socket's now.
   */
  flush(): void {
    const { writer } = this;
    if (writer === null) return;
    this.writer = null;
    if (writer.length > 0) {
      this.stats.outputBytes += writer.length;
      this.socket.write(writer.written());
    }
    if (this.socket.writableLength === 0) this.writers.give(writer);
  }

  drop(): void {
    if (this.writer !== null) this.writers.give(this.writer);
    this.writer = null;
  }
}
