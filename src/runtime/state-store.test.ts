import "./fast-bytes.js";
import { bufferedStateSuite } from "../node/testing/buffered-state-suite.js";
import { storeSuite } from "../node/testing/store-suite.js";
import { LmdbStoreWorld, tightWorld } from "./testing/lmdb-store-world.js";

const options = { makeWorld: () => LmdbStoreWorld.make(), makeTightWorld: tightWorld() };

storeSuite("LmdbStateStore", options);
bufferedStateSuite("LmdbStateStore", options);
