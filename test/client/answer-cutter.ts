/** A proxy before a node's client port that lets a request through and swallows the answer. */
import { connect, createServer, type Server, type Socket } from "node:net";

export class AnswerCutter {
  /** Answers that were swallowed, each with its connection. */
  cuts = 0;
  private armed = 0;
  private readonly sockets = new Set<Socket>();

  private constructor(
    private readonly server: Server,
    readonly port: number,
  ) {}

  static async before(targetPort: number): Promise<AnswerCutter> {
    let cutter: AnswerCutter | null = null;
    const server = createServer((socket) => cutter!.relay(socket, targetPort));
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    cutter = new AnswerCutter(server, (server.address() as { port: number }).port);
    return cutter;
  }

  /** The next `count` answers get lost. */
  arm(count: number): void {
    this.armed = count;
  }

  private relay(client: Socket, targetPort: number): void {
    const node = connect(targetPort, "127.0.0.1");
    const end = (): void => {
      client.destroy();
      node.destroy();
    };
    for (const socket of [client, node]) {
      this.sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        this.sockets.delete(socket);
        end();
      });
    }
    client.on("data", (chunk) => node.write(chunk));
    let greeted = false;
    node.on("data", (chunk) => {
      // The first thing that a node says is its status.
      if (greeted && this.armed > 0) {
        this.armed -= 1;
        this.cuts += 1;
        end();
        return;
      }
      greeted = true;
      client.write(chunk);
    });
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((done) => this.server.close(done));
  }
}
