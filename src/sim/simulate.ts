import { GossipSimulation } from "./gossip-simulation.js";
import type { SimulationPlan } from "./plan.js";
import type { Verdict } from "./rig.js";
import { Simulation } from "./simulation.js";

/** The protocols that the simulator knows. */
export const SIMULATED_PROTOCOLS: readonly string[] = ["raft", "gossip"];

/** Throws on a protocol or a canary that is not known. */
export function simulate(plan: SimulationPlan): Verdict {
  if (plan.protocol === "raft") return new Simulation(plan).run();
  if (plan.protocol === "gossip") return new GossipSimulation(plan).run();
  throw new Error(`the simulator knows no protocol ${plan.protocol}; it knows ${SIMULATED_PROTOCOLS.join(", ")}`);
}
