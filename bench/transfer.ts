/** A TCP transfer between two namespaces of this process, for the programs that the benchmark starts. */
import type { Namespace } from '../src/index.ts';

/** Where iperf3 sends to. */
export const SERVER = '10.97.0.2';

/** Addresses of the two, with prefix lengths. */
export const CLIENT_ADDRESS = '10.97.0.1/24';
export const SERVER_ADDRESS = '10.97.0.2/24';

/** Runs iperf3, which sends to the server and prints its result. Answers its exit status. */
export async function transfer(client: Namespace, server: Namespace, iperf: readonly string[]): Promise<number> {
  const serving = server.run(['iperf3', '--server', '--forceflush'], { stdio: ['ignore', 'pipe', 'ignore'] });
  await new Promise<void>((resolve) => {
    serving.process.stdout?.on('data', (text: Buffer) => {
      if (text.includes('Server listening')) resolve();
    });
  });
  return await client.run(iperf, { stdio: 'inherit' }).exit;
}
