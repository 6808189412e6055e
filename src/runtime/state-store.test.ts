import "./fast-bytes.js";
import { bufferedStateSuite } from "../node/testing/buffered-state-suite.js";
import { storeSuite } from "../node/testing/store-suite.js";
import { LmdbStoreWorld } from "./testing/lmdb-store-world.js";

const options = {
  makeWorld: async () => new LmdbStoreWorld(),
  makeTightWorld: async () => new LmdbStoreWorld({ mapBytes: 2 ** 21 }),
};

storeSuite("LmdbStateStore", options);
bufferedStateSuite("LmdbStateStore", options);
