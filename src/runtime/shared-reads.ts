/**
 * Sockets that read into one buffer. By itself Node.js allocates 64 KiB for every read and cuts them to what came, which
 * costs more than parsing a small request does: the pages, the garbage collector's account of them, a stream's buffering.
 */
import { connect, Socket, type TcpNetConnectOpts } from "node:net";

/** Reads happen one after the other, and "data" is heard during the read: one buffer does for all sockets. */
const BUFFER = Buffer.allocUnsafeSlow(65_536);

/** What a `net.Socket` has besides what is documented: the operating system's side of it, and the server that counts it. */
interface Owned {
  _handle: { useUserBuffer?: unknown } | null;
  _server: unknown;
}

function onread(socket: () => Socket) {
  return {
    buffer: BUFFER,
    callback: (count: number): boolean => {
      socket().emit("data", BUFFER.subarray(0, count));
      return true;
    },
  };
}

/** A connected socket to come, whose "data" is valid during the event alone. */
export function connectShared(options: TcpNetConnectOpts): Socket {
  const socket: Socket = connect({ ...options, onread: onread(() => socket) });
  return socket;
}

/**
 * The same connection as another socket, whose "data" is valid during the event alone; call it when the given one is
 * accepted, or within its "data" event. The given one is empty from then on and tells nothing any more. Node.js offers this
 * to who dials only; where its inside is another one, the given socket comes back, which does the same in more time.
 */
export function withSharedReads(given: Socket): Socket {
  const owned = given as unknown as Owned;
  const handle = owned._handle;
  if (typeof handle?.useUserBuffer !== "function" || given.readableLength > 0 || given.writableLength > 0) return given;
  const options = { handle, allowHalfOpen: given.allowHalfOpen, onread: onread(() => socket) };
  owned._handle = null;
  const socket: Socket = new Socket(options);
  (socket as unknown as Owned)._server = owned._server;
  owned._server = null;
  return socket;
}
