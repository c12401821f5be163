/** What the commands beside this file have in common when they start. Nothing in it needs to be built. */
import { writeSync } from 'node:fs';

// From here on it is no longer Node.js that acts on it: see vdens.
process.on('SIGUSR1', () => undefined);

/** Runs the command, which ends the process: with this status when something goes wrong that nobody expected. */
export async function start(name, failure) {
  process.on('uncaughtException', (error) => {
    try {
      writeSync(2, `${name}: unexpected: ${String(error?.message ?? error).replaceAll('\n', ' ')}\n`);
      if (process.env['VDENS_DEBUG']) console.error(error);
    } finally {
      process.exit(failure);
    }
  });
  const { main } = await import(`../dist/src/commands/${name.replaceAll('_', '-')}.js`);
  process.exit(await main(process.argv.slice(2)));
}
