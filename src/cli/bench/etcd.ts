// etcd's gRPC over an HTTP/2 connection of our own: one that only counts what comes back, so that the generator's cost
// stays small beside the server's. Each operation is a stream; a server's answers may come in any order.

import type { Address } from "../address.js";
import type { Connection, Driver, ReplySink } from "./driver.js";
import { FAILED, MISS, OK } from "./driver.js";
import { putBody, RANGE_HIT_BYTES_MIN, type RequestBody, rangeBody } from "./etcd-requests.js";
import { ReplyHeaders, RequestHeaders } from "./hpack.js";
import * as h2 from "./http2-frames.js";
import { openWire, type Wire } from "./wire.js";
import { GET, type OperationKind, SET, writeKeyNumber } from "./workload.js";

/** What we let the server send without asking; topped up when half is used. */
const RECEIVE_WINDOW_BYTES = 1 << 30;

export class EtcdDriver implements Driver {
  readonly refill = "stream";
  readonly #bodies: readonly RequestBody[];
  readonly #pipeline: number;

  constructor(value: Uint8Array, pipeline: number, serializableReads: boolean) {
    const bodies: RequestBody[] = [];
    bodies[GET] = rangeBody(serializableReads);
    bodies[SET] = putBody(SET, value);
    this.#bodies = bodies;
    this.#pipeline = pipeline;
  }

  async connect(address: Address, sink: ReplySink): Promise<Connection> {
    const authority = `${address.host}:${address.port}`;
    const connection = new EtcdConnection(this.#bodies, this.#pipeline, authority, sink);
    connection.wire = await openWire(address, connection);
    connection.greet();
    return connection;
  }
}

/** HEADERS and DATA of one kind of request; stream ids and key are patched in. */
interface Request {
  readonly bytes: Buffer;
  readonly dataAt: number;
  readonly keyAt: number;
  /** The header encoder's insertions after this block, or -1 when the block itself inserts and so serves only once. */
  readonly insertions: number;
}

class EtcdConnection implements Connection {
  wire!: Wire;
  readonly #sink: ReplySink;
  readonly #bodies: readonly RequestBody[];
  readonly #bodyBytesMax: number;
  readonly #requests: Request[] = [];
  readonly #requestHeaders: RequestHeaders;
  readonly #replyHeaders = new ReplyHeaders();

  // Streams in flight: each has a slot, found by its id.
  readonly #slots = new Map<number, number>();
  readonly #freeSlots: number[] = [];
  readonly #startedUs: Float64Array;
  readonly #kinds: Uint8Array;
  readonly #replyBytes: Float64Array;
  #nextStream = 1;

  #streamsMax: number;
  #sendWindow = h2.WINDOW_BYTES_DEFAULT;
  #receivedBytes = 0;
  /** A frame that a chunk cut off, from its start. */
  #pending = Buffer.allocUnsafeSlow(0);
  #pendingBytes = 0;
  /** Why the connection is being given up, found while reading; empty while all is well. */
  #fault = "";

  constructor(bodies: readonly RequestBody[], pipeline: number, authority: string, sink: ReplySink) {
    this.#bodies = bodies;
    this.#bodyBytesMax = Math.max(bodies[GET]!.bytes.length, bodies[SET]!.bytes.length);
    this.#requestHeaders = new RequestHeaders(authority);
    this.#sink = sink;
    this.#streamsMax = pipeline;
    this.#startedUs = new Float64Array(pipeline);
    this.#kinds = new Uint8Array(pipeline);
    this.#replyBytes = new Float64Array(pipeline);
    for (let slot = pipeline - 1; slot >= 0; slot -= 1) this.#freeSlots.push(slot);
  }

  greet(): void {
    this.wire.append(h2.PREFACE);
    this.wire.append(
      h2.settings([
        [h2.SETTINGS_ENABLE_PUSH, 0],
        [h2.SETTINGS_INITIAL_WINDOW_SIZE, RECEIVE_WINDOW_BYTES],
      ]),
    );
    this.wire.append(h2.windowUpdate(0, RECEIVE_WINDOW_BYTES - h2.WINDOW_BYTES_DEFAULT));
    this.wire.flush();
  }

  ready(): boolean {
    return this.#slots.size < this.#streamsMax && this.#sendWindow >= this.#bodyBytesMax;
  }

  send(kind: OperationKind, key: number, startedUs: number): void {
    let request = this.#requests[kind];
    if (request === undefined || request.insertions !== this.#requestHeaders.insertions) {
      request = this.#encodeRequest(kind);
      this.#requests[kind] = request;
    }
    const stream = this.#nextStream;
    this.#nextStream += 2;
    const slot = this.#freeSlots.pop()!;
    this.#slots.set(stream, slot);
    this.#startedUs[slot] = startedUs;
    this.#kinds[slot] = kind;
    this.#replyBytes[slot] = 0;

    const wire = this.wire;
    const at = wire.end;
    wire.append(request.bytes);
    writeStream(wire.out, at, stream);
    writeStream(wire.out, at + request.dataAt, stream);
    writeKeyNumber(wire.out, at + request.keyAt, key);
    this.#sendWindow -= this.#bodies[kind]!.bytes.length;
  }

  flush(): void {
    this.wire.flush();
  }

  close(): void {
    this.wire.close();
  }

  lost(reason: string): void {
    this.#sink.lost(reason, this.#slots.size);
  }

  data(bytes: Buffer, count: number): void {
    this.#sink.received();
    if (this.#pendingBytes === 0) this.#keep(bytes, this.#readFrames(bytes, count), count);
    else {
      this.#keep(bytes, 0, count);
      const end = this.#pendingBytes;
      const read = this.#readFrames(this.#pending, end);
      this.#pending.copyWithin(0, read, end);
      this.#pendingBytes = end - read;
    }
    if (this.#fault !== "") {
      this.close();
      this.lost(this.#fault);
      return;
    }
    this.#sink.settled();
    // A turn that sent no request may still owe the server acknowledgements.
    this.wire.flush();
  }

  /** Keeps the bytes from `from` on until the rest of their frame is here. */
  #keep(bytes: Buffer, from: number, count: number): void {
    const length = this.#pendingBytes + count - from;
    if (length > this.#pending.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(length, this.#pending.length * 2));
      this.#pending.copy(larger, 0, 0, this.#pendingBytes);
      this.#pending = larger;
    }
    bytes.copy(this.#pending, this.#pendingBytes, from, count);
    this.#pendingBytes = length;
  }

  /** Reads all whole frames; returns where the first incomplete one begins. */
  #readFrames(bytes: Buffer, count: number): number {
    let at = 0;
    while (count - at >= h2.FRAME_HEADER_BYTES && this.#fault === "") {
      const length = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!;
      if (length > h2.FRAME_PAYLOAD_BYTES_MAX) {
        this.#fault = `the server sent a frame of ${length} bytes: it does not seem to speak HTTP/2`;
        break;
      }
      const from = at + h2.FRAME_HEADER_BYTES;
      if (from + length > count) break;
      this.#readFrame(bytes, at, from, from + length);
      at = from + length;
    }
    return at;
  }

  #readFrame(bytes: Buffer, at: number, from: number, to: number): void {
    const flags = bytes[at + 4]!;
    const stream = bytes.readUInt32BE(at + 5) & 0x7fff_ffff;
    switch (bytes[at + 3]) {
      case h2.DATA:
        this.#readData(stream, to - from, flags);
        break;
      case h2.HEADERS:
        this.#readHeaders(bytes, stream, flags, from, to);
        break;
      case h2.PING:
        // etcd measures the round trip by a ping with nearly every reply: the answer leaves with the next request.
        if ((flags & h2.ACK) === 0) this.wire.append(h2.frame(h2.PING, h2.ACK, 0, bytes.subarray(from, to)));
        break;
      case h2.WINDOW_UPDATE:
        if (stream === 0 && to - from === 4) this.#sendWindow += bytes.readUInt32BE(from) & 0x7fff_ffff;
        break;
      case h2.SETTINGS:
        if ((flags & h2.ACK) === 0) this.#readSettings(bytes, from, to);
        break;
      case h2.RST_STREAM:
        this.#complete(stream, "the server reset the stream");
        break;
      case h2.GOAWAY:
        this.#fault = `the server said GOAWAY: ${bytes.toString("latin1", Math.min(from + 8, to), to) || "no reason given"}`;
        break;
      case h2.CONTINUATION:
        this.#fault = "the server sent headers of more than one frame, which this driver does not read";
        break;
    }
  }

  #readData(stream: number, length: number, flags: number): void {
    const slot = this.#slots.get(stream);
    if (slot !== undefined) this.#replyBytes[slot]! += length;
    this.#receivedBytes += length;
    if (this.#receivedBytes >= RECEIVE_WINDOW_BYTES / 2) {
      this.wire.append(h2.windowUpdate(0, this.#receivedBytes));
      this.#receivedBytes = 0;
    }
    if ((flags & h2.END_STREAM) !== 0) this.#complete(stream, "the reply ended without a grpc-status");
  }

  #readHeaders(bytes: Buffer, stream: number, flags: number, from: number, to: number): void {
    if ((flags & h2.END_HEADERS) === 0) {
      this.#fault = "the server sent headers of more than one frame, which this driver does not read";
      return;
    }
    const padding = (flags & h2.PADDED) !== 0 ? bytes[from]! : 0;
    const skip = ((flags & h2.PADDED) !== 0 ? 1 : 0) + ((flags & h2.PRIORITY) !== 0 ? 5 : 0);
    const headers = this.#replyHeaders;
    try {
      headers.decode(bytes, from + skip, to - padding);
    } catch (error) {
      this.#fault = `the server sent headers that cannot be read: ${(error as Error).message}`;
      return;
    }
    if ((flags & h2.END_STREAM) === 0) return;
    if (headers.grpcStatus === "0") this.#complete(stream, "");
    else if (headers.grpcStatus === "") {
      this.#complete(stream, `the reply has no grpc-status (HTTP status ${headers.httpStatus || "unknown"})`);
    } else this.#complete(stream, `grpc-status ${headers.grpcStatus}: ${headers.grpcMessage}`);
  }

  #readSettings(bytes: Buffer, from: number, to: number): void {
    for (let at = from; at + 6 <= to; at += 6) {
      const value = bytes.readUInt32BE(at + 2);
      switch (bytes.readUInt16BE(at)) {
        case h2.SETTINGS_MAX_CONCURRENT_STREAMS:
          this.#streamsMax = Math.min(this.#startedUs.length, value);
          break;
        case h2.SETTINGS_INITIAL_WINDOW_SIZE:
          if (value < this.#bodyBytesMax) this.#fault = `the server takes at most ${value} bytes a stream: send less`;
          break;
        case h2.SETTINGS_HEADER_TABLE_SIZE:
          if (value < 4096) this.#fault = `the server keeps a header table of ${value} bytes, below the usual 4096`;
          break;
      }
    }
    this.wire.append(h2.frame(h2.SETTINGS, h2.ACK, 0, new Uint8Array(0)));
  }

  #complete(stream: number, failure: string): void {
    const slot = this.#slots.get(stream);
    if (slot === undefined) return;
    this.#slots.delete(stream);
    this.#freeSlots.push(slot);
    const miss = this.#kinds[slot] === GET && this.#replyBytes[slot]! < RANGE_HIT_BYTES_MIN;
    this.#sink.completed(this.#startedUs[slot]!, failure !== "" ? FAILED : miss ? MISS : OK, failure);
  }

  #encodeRequest(kind: OperationKind): Request {
    const { path, bytes, keyAt } = this.#bodies[kind]!;
    const before = this.#requestHeaders.insertions;
    const headers = h2.frame(h2.HEADERS, h2.END_HEADERS, 0, this.#requestHeaders.encode(path));
    const after = this.#requestHeaders.insertions;
    return {
      bytes: Buffer.concat([headers, h2.frame(h2.DATA, h2.END_STREAM, 0, bytes)]),
      dataAt: headers.length,
      keyAt: headers.length + h2.FRAME_HEADER_BYTES + keyAt,
      insertions: before === after ? after : -1,
    };
  }
}

function writeStream(buffer: Uint8Array, frameAt: number, stream: number): void {
  buffer[frameAt + 5] = stream >>> 24;
  buffer[frameAt + 6] = stream >>> 16;
  buffer[frameAt + 7] = stream >>> 8;
  buffer[frameAt + 8] = stream;
}
