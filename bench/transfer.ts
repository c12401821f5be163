/** A TCP transfer between two namespaces of this process, for the programs that the benchmark starts. */
import type { Namespace } from '../src/index.ts';

/** Addresses of the two, with prefix lengths. */
export const CLIENT_ADDRESS = '10.97.0.1/24';
export const SERVER_ADDRESS = '10.97.0.2/24';

/** Sends from one to the other with iperf3, which prints its result as JSON. Answers its exit status. */
export async function transfer(client: Namespace, server: Namespace, seconds: string): Promise<number> {
  const serving = server.run(['iperf3', '--server', '--forceflush'], { stdio: ['ignore', 'pipe', 'ignore'] });
  await new Promise<void>((resolve) => {
    serving.process.stdout?.on('data', (text: Buffer) => {
      if (text.includes('Server listening')) resolve();
    });
  });
  const [address = ''] = SERVER_ADDRESS.split('/');
  const sending = ['iperf3', '--client', address, '--time', seconds, '--json'];
  return await client.run(sending, { stdio: 'inherit' }).exit;
}
