import type { DiskErrorCode } from "../node/ports.js";
import type { Block } from "../node/state/change-blocks.js";
import type { CheckpointDraft } from "../node/state/seal-changes.js";
import type { EnvironmentOptions, Side } from "./state-store-environment.js";

/** What the main thread asks of the writer. Each job is durable when it is answered. Blocks are shared, not copied. */
export type WriterJob =
  /** Makes the group's databases and record if there are none, ends a checkpoint, and empties the side not active. */
  | { readonly kind: "open"; readonly group: number }
  | {
      readonly kind: "commit";
      readonly group: number;
      readonly side: Side;
      readonly blocks: readonly Block[];
      /** Its sum has no methods here. */
      readonly draft: CheckpointDraft;
    }
  /** Ends a commit that met a full disk half-way. */
  | { readonly kind: "resume"; readonly group: number }
  | { readonly kind: "fill"; readonly group: number; readonly side: Side; readonly blocks: readonly Block[] }
  /** Makes this side the active one. */
  | { readonly kind: "switch"; readonly group: number; readonly side: Side; readonly meta: Uint8Array }
  | { readonly kind: "clear"; readonly group: number; readonly side: Side }
  | { readonly kind: "drop"; readonly group: number }
  | { readonly kind: "close" };

export interface WriterAnswer {
  readonly error: { readonly code: DiskErrorCode; readonly message: string } | null;
  /** A part of the job is done, and it can only go forward. */
  readonly halfDone: boolean;
}

export interface WriterData {
  readonly folder: string;
  readonly options: EnvironmentOptions;
}
