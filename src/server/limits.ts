/** What one node grants its clients. Past a limit: a definite error, or the connection waits; never silence. */
export interface ServerLimits {
  readonly connectionsMax: number;
  /** The line that decides the wire. */
  readonly firstLineBytesMax: number;
  /** From its first byte to its end. A connection that has sent nothing may stay as long as it likes. */
  readonly firstLineMsMax: number;
  /** From a request's first byte to its last; between requests a connection may idle. */
  readonly requestMsMax: number;
  /** For the answers to a client that has closed its side. */
  readonly hangUpMsMax: number;
  /** Requests of one connection under way; more wait unread. */
  readonly pendingMax: number;
  /** Replies of one connection not yet taken by its reader: past this nothing more is read from it. */
  readonly outputBytesMax: number;
  /** Without the reader taking a byte of them. */
  readonly stalledMsMax: number;
  /** As `outputBytesMax`: past this (one huge turn of replies) the connection is cut. */
  readonly outputBytesCut: number;
  readonly transactionCommandsMax: number;
  readonly transactionBytesMax: number;
  readonly watchedKeysMax: number;
  /** Channels and patterns of one connection: each change is held against each pattern. */
  readonly subscriptionsMax: number;
  /** Scans under way at this node that can be gone on with. */
  readonly scanCursorsMax: number;
  /** Of the keys that KEYS answers. */
  readonly keysReplyBytesMax: number;
  /** A command that took as long from being taken to being answered is noted for SLOWLOG and LATENCY. */
  readonly slowCommandMs: number;
  /** Slow commands that are remembered. */
  readonly slowCommandsMax: number;
  /** Seconds with slow commands that are remembered. */
  readonly latencySamplesMax: number;
  /** Of one HTTP request: request line and header fields. */
  readonly httpHeaderBytesMax: number;
  /** Of a JSON body. A value as a body may have as many bytes as a value may. */
  readonly httpBodyBytesMax: number;
  /** An HTTP connection without a request. */
  readonly httpIdleMsMax: number;
  /** Requests of one HTTP connection that wait for the one before. */
  readonly pipelinedMax: number;
  /** What hears events over HTTP is sent a comment after so long without one. */
  readonly watchSilenceMsMax: number;
  /** After which it is to come again when the stream ends. */
  readonly watchRetryMs: number;
}

export const SERVER_LIMITS: ServerLimits = {
  connectionsMax: 10_000,
  firstLineBytesMax: 8_192,
  firstLineMsMax: 10_000,
  requestMsMax: 60_000,
  hangUpMsMax: 30_000,
  pendingMax: 1_024,
  outputBytesMax: 1_048_576,
  stalledMsMax: 300_000,
  outputBytesCut: 64 * 1_048_576,
  transactionCommandsMax: 1_024,
  transactionBytesMax: 8 * 1_048_576,
  watchedKeysMax: 1_024,
  subscriptionsMax: 1_024,
  scanCursorsMax: 16_384,
  keysReplyBytesMax: 16 * 1_048_576,
  slowCommandMs: 100,
  slowCommandsMax: 128,
  latencySamplesMax: 160,
  httpHeaderBytesMax: 16_384,
  httpBodyBytesMax: 4 * 1_048_576,
  httpIdleMsMax: 75_000,
  pipelinedMax: 64,
  watchSilenceMsMax: 15_000,
  watchRetryMs: 1_000,
};
