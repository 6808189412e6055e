import type { Durability } from "../node/options.js";

/** The strongest first. */
export const DURABILITIES = ["sync", "os", "memory"] as const satisfies readonly Durability[];
