/** CLIENT REPLY: whether a connection's client hears the answers to its commands. */
export class ReplyMode {
  private off = false;
  /** Commands, the present one included, whose replies are not wanted. */
  private skipped = 0;

  /** `skip`: neither of this command nor of the next. */
  choose(which: "on" | "off" | "skip"): void {
    if (which !== "skip") this.off = which === "off";
    this.skipped = which === "skip" ? 2 : 0;
  }

  /** Of the present command. */
  get muted(): boolean {
    return this.off || this.skipped > 0;
  }

  commandTaken(): void {
    if (this.skipped > 0) this.skipped -= 1;
  }
}
