import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";

/** Says hello like a node, then answers every further request with `answer`; null: hangs up, undefined: is silent. */
export class FakeNode {
  private constructor(
    private readonly server: Server,
    readonly address: string,
  ) {}

  static async start(answer: string | null | undefined): Promise<FakeNode> {
    const server = createServer((socket) => {
      let greeted = false;
      socket.on("error", () => {});
      socket.on("data", () => {
        if (!greeted) socket.write("%1\r\n+server\r\n+gamut\r\n");
        else if (answer === null) socket.destroy();
        else if (answer !== undefined) socket.write(answer);
        greeted = true;
      });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new FakeNode(server, `127.0.0.1:${(server.address() as AddressInfo).port}`);
  }

  close(): void {
    this.server.close();
  }
}
