/**
 * A recording: everything that entered a node, in order, and a running hash of everything that left it.
 *
 * ```
 * header   magic u32 "GREC" | version u16 | options (JSON, latin1 blob)
 * event    kind u8 | fields as below, little-endian
 * ```
 */
export const RECORD_MAGIC = 0x43455247;
export const RECORD_VERSION = 5;

export const EventKind = {
  start: 1,
  /** Begins a turn; what follows until `turnEnd` happened inside it. */
  turn: 2,
  turnEnd: 3,
  /** monotonic f64 */
  monotonic: 4,
  /** wall f64 */
  wall: 5,
  /** value u53 */
  entropy: 6,
  /** peer u16, incarnation u53, frame blob */
  frame: 7,
  /** peer u16, incarnation u53 */
  connected: 8,
  /** peer u16 */
  disconnected: 9,
  /** session u32 */
  sessionOpened: 10,
  /** session u32, keyspace latin1, life u32, level u8 (0: none), explains u8, timeoutMs u32, has id u8 [client latin1, sequence, acknowledged, opened], command blob */
  submit: 11,
  /** request u53 */
  cancel: 12,
  /** session u32 */
  sessionClosed: 13,
  /** session u32, token blob */
  tokenTaken: 14,
  /** request u53: the answer left; what follows until `replyEnd` happened inside the listener that took it. */
  reply: 15,
  replyEnd: 16,
  /** The turn's listeners ran; until `listenersEnd`. */
  listeners: 17,
  listenersEnd: 18,
  /** call u53, error code latin1 ("" none), message latin1, value kind u8, value */
  callDone: 19,
  /** allowed u8 */
  stateVerified: 20,
  stop: 21,
  /** name latin1, protocol latin1, level u8 */
  createKeyspace: 22,
  /** name latin1 */
  dropKeyspace: 23,
  /** hash u32 and outputs u53 so far: lets a replay find where it began to differ. */
  mark: 24,
} as const;
export type EventKind = (typeof EventKind)[keyof typeof EventKind];
