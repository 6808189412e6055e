/** The entropy port: the operating system's random bytes, fetched in bulk (a call for six bytes costs a microsecond). */
import { randomFillSync } from "node:crypto";
import type { Entropy } from "../node/ports.js";

const DRAW_BYTES = 6;
const POOL_BYTES = DRAW_BYTES * 256;

export class RuntimeEntropy implements Entropy {
  private readonly pool = Buffer.alloc(POOL_BYTES);
  private used = POOL_BYTES;

  u48(): number {
    if (this.used === POOL_BYTES) {
      randomFillSync(this.pool);
      this.used = 0;
    }
    const value = this.pool.readUIntLE(this.used, DRAW_BYTES);
    // Drawn numbers end up in ids that nobody shall guess: none stays behind.
    this.pool.fill(0, this.used, this.used + DRAW_BYTES);
    this.used += DRAW_BYTES;
    return value;
  }
}
