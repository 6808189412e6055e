import type { MemcachedSpec, MetaRequest, ReplyShape } from "../codec/memcached/index.js";
import { PendingReply } from "./pipeline.js";

/** `spec` or `bytes` tells how to write it. */
export class MemcachedReply extends PendingReply implements ReplyShape {
  spec: MemcachedSpec | null = null;
  isSilent = false;
  meta: MetaRequest | null = null;

  override clear(): void {
    super.clear();
    this.spec = null;
    this.isSilent = false;
    this.meta = null;
  }
}
