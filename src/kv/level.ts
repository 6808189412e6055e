/** The consistency levels, strongest first. */
export const Level = {
  linearizable: 1,
  sequential: 2,
  causal: 3,
  session: 4,
  bounded: 5,
  eventual: 6,
} as const;
export type Level = (typeof Level)[keyof typeof Level];

export const LEVEL_NAMES: Readonly<Record<Level, string>> = {
  1: "linearizable",
  2: "sequential",
  3: "causal",
  4: "session",
  5: "bounded",
  6: "eventual",
};

export function levelByName(name: string): Level | null {
  for (const level of Object.values(Level)) if (LEVEL_NAMES[level] === name) return level;
  return null;
}
