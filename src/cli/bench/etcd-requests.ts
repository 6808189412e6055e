// The requests of etcd's KV service (etcdserverpb, v3), protobuf by hand: a gRPC message whose key is patched in.
import { GET, keyTemplate, type OperationKind } from "./workload.js";

export const PUT_PATH = "/etcdserverpb.KV/Put";
export const RANGE_PATH = "/etcdserverpb.KV/Range";
/** One DATA frame of the size that every HTTP/2 peer accepts, and below its first flow-control window. */
export const REQUEST_BODY_BYTES_MAX = 16_384;
/** The gRPC prefix: a compression flag and four bytes of length. */
const PREFIX_BYTES = 5;

/**
 * A RangeResponse, with its prefix, that is shorter has no key-value pair. Without one it holds only the header: four
 * varints, 46 bytes at most. With one, whose 16-byte key and revisions take 26, it has at least 59.
 */
export const RANGE_HIT_BYTES_MIN = 52;

export interface RequestBody {
  readonly path: string;
  readonly bytes: Buffer;
  /** Where the key begins. */
  readonly keyAt: number;
}

export function putBody(kind: OperationKind, value: Uint8Array): RequestBody {
  return body(PUT_PATH, [field(1, Buffer.from(keyTemplate(kind))), field(2, value)]);
}

/** A linearizable read, unless `serializable`: then the asked server answers from what it has. */
export function rangeBody(serializable: boolean): RequestBody {
  const key = field(1, Buffer.from(keyTemplate(GET)));
  return body(RANGE_PATH, serializable ? [key, Uint8Array.of((7 << 3) | 0, 1)] : [key]);
}

function body(path: string, fields: readonly Uint8Array[]): RequestBody {
  const message = Buffer.concat(fields);
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32BE(message.length, 1);
  // The key is the first field: a tag and a length of one byte each stand before it.
  return { path, bytes: Buffer.concat([prefix, message]), keyAt: PREFIX_BYTES + 2 };
}

/** A length-delimited field. */
function field(number: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([Uint8Array.of((number << 3) | 2), varint(bytes.length), bytes]);
}

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
  bytes.push(rest);
  return Uint8Array.from(bytes);
}
