// The socket under a driver: reads into one shared buffer, writes from one that is reused, and no stream objects.
import { connect, type Socket } from "node:net";
import type { Address } from "../address.js";

const READ_BUFFER_BYTES = 1 << 16;
const WRITE_BUFFER_BYTES = 1 << 12;
const CONNECT_LIMIT_MS = 5_000;

// Node fills it and calls back in one go before it reads another socket, so all connections share one.
const readBuffer = Buffer.allocUnsafeSlow(READ_BUFFER_BYTES);

export interface WireEvents {
  /** `bytes` is valid from 0 to `count` and only during the call. */
  data(bytes: Buffer, count: number): void;
  /** Called once, when the other side closed or the socket failed; not after `close`. */
  lost(reason: string): void;
}

export class Wire {
  /** Bytes to be written: append at `end` after `reserve`. */
  out: Buffer = Buffer.allocUnsafeSlow(WRITE_BUFFER_BYTES);
  end = 0;
  #socket: Socket;
  #closed = false;
  /** The view of the last write: requests are mostly of one length, so that a view is rarely made. */
  #view: Buffer = this.out.subarray(0, 0);

  constructor(socket: Socket, events: WireEvents) {
    this.#socket = socket;
    socket.setNoDelay(true);
    const lost = (reason: string) => {
      if (this.#closed) return;
      this.close();
      events.lost(reason);
    };
    socket.on("error", (error) => lost(error.message));
    socket.on("close", () => lost("the server closed the connection"));
  }

  /** Makes room for `count` more bytes. */
  reserve(count: number): void {
    if (this.end + count <= this.out.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.out.length * 2, this.end + count));
    this.out.copy(larger, 0, 0, this.end);
    this.out = larger;
    this.#view = larger.subarray(0, 0);
  }

  append(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.out.set(bytes, this.end);
    this.end += bytes.length;
  }

  flush(): void {
    if (this.end === 0 || this.#closed) return;
    if (this.#view.length !== this.end) this.#view = this.out.subarray(0, this.end);
    this.#socket.write(this.#view);
    this.end = 0;
    if (this.#socket.writableLength > 0) {
      // The kernel did not take everything: the socket still holds this buffer, so it must not be overwritten.
      this.out = Buffer.allocUnsafeSlow(this.out.length);
      this.#view = this.out.subarray(0, 0);
    }
  }

  close(): void {
    this.#closed = true;
    this.#socket.destroy();
  }
}

/** Connects; rejects with the address and the reason. */
export function openWire(address: Address, events: WireEvents): Promise<Wire> {
  const where = `${address.host}:${address.port}`;
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: address.host,
      port: address.port,
      onread: {
        buffer: readBuffer,
        callback: (count) => {
          events.data(readBuffer, count);
          return true;
        },
      },
    });
    const refuse = (reason: string) => {
      socket.destroy();
      reject(new Error(`cannot connect to ${where}: ${reason}; is the server running there?`));
    };
    const onError = (error: Error) => refuse(error.message);
    socket.setTimeout(CONNECT_LIMIT_MS, () => refuse(`no answer within ${CONNECT_LIMIT_MS} ms`));
    socket.once("error", onError);
    socket.once("connect", () => {
      socket.setTimeout(0);
      socket.removeAllListeners("timeout");
      socket.off("error", onError);
      resolve(new Wire(socket, events));
    });
  });
}
