/** What the memcached connections of a node have asked and found since its start, or since `stats reset`. */
export class MemcachedCounts {
  /** Keys, in `get` and its kin: a get of three counts three. */
  getHits = 0;
  getMisses = 0;
  sets = 0;
  flushes = 0;
  touchHits = 0;
  touchMisses = 0;
  deleteHits = 0;
  deleteMisses = 0;
  incrHits = 0;
  incrMisses = 0;
  decrHits = 0;
  decrMisses = 0;
  casHits = 0;
  casMisses = 0;
  casBadval = 0;
  metas = 0;

  reset(): void {
    Object.assign(this, new MemcachedCounts());
  }
}
