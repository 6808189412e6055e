import type { IdentityFile } from "./identity-file.js";
import type { Clock } from "./ports.js";

const RETRY_MS = 1_000;

/** Notes in the identity file what is wrong with this replica's data, so that its next start does not build upon them. */
export class DamageNote {
  private again: (() => void) | null = null;
  private nextMs = 0;
  private isTold = false;

  constructor(
    private readonly file: IdentityFile,
    private readonly clock: Clock,
    private readonly notice: (message: string) => void,
  ) {}

  /** `must`: nothing else would tell the next start. Then it goes on trying until the note is durable. */
  write(damage: string, must: boolean, then: () => void): void {
    this.again = null;
    this.file.change({ damage }, (error) => {
      if (error === null || !must) {
        then();
        return;
      }
      if (!this.isTold) {
        this.isTold = true;
        this.notice(
          `${damage}. That cannot be noted: ${error.message}. This node answers nobody, and tries again each second. If it has to be ended before it can, delete its data folder: else it starts as if nothing were missing`,
        );
      }
      this.nextMs = this.clock.monotonicMs() + RETRY_MS;
      this.again = () => this.write(damage, must, then);
    });
  }

  /** Once in a while. */
  retry(): void {
    if (this.again !== null && this.clock.monotonicMs() >= this.nextMs) this.again();
  }
}
