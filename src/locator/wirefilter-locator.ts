/** The options of `wirefilter://[delay=20/loss=1]{NETWORK}`. */
import type { FilterOptions } from '../impairment/filter-plug.ts';
import { MAX_SEED, readSeed } from '../impairment/random.ts';
import { parseQuantity, type Quantity } from '../impairment/settings.ts';
import type { PlacedValue } from '../impairment/value.ts';
import type { Locator } from './locator.ts';
import { flagOption, octalOption, textOption, withoutUndefined } from './option-values.ts';
import { wrongLocator, wrongOption } from './wrong-locator.ts';

/** What the originals call the quantities here. */
const QUANTITY_OF: Readonly<Record<string, Quantity>> = {
  delay: 'delay',
  dup: 'dup',
  loss: 'loss',
  lostburst: 'lostburst',
  mtu: 'mtu',
  bufsize: 'capacity',
  bandwidth: 'bandwidth',
  speed: 'speed',
  noise: 'noise',
};

const MAX_MODE = 0o777;

/** @throws VdensError `ERR_LOCATOR` when an option is wrong */
export function wirefilterOptions(locator: Locator): FilterOptions {
  refuseAddress(locator);
  return {
    values: Object.entries(QUANTITY_OF).flatMap(([key, quantity]) => readValue(locator, key, quantity)),
    isFifo: !flagOption(locator, 'nofifo'),
    ...withoutUndefined({
      seed: readSeedOption(locator),
      management: textOption(locator, 'mgmt', '%2ftmp%2fwf.mgmt'),
      managementMode: octalOption(locator, 'mgmtmode', MAX_MODE, '0700'),
      blink: textOption(locator, 'blink', '%2ftmp%2flamps'),
      blinkId: textOption(locator, 'blinkid', 'wire1'),
      rcFile: textOption(locator, 'rc', 'wire.rc'),
      schedule: textOption(locator, 'schedule', 'wire.schedule'),
      pidFile: textOption(locator, 'pidfile', 'wire.pid'),
    }),
  };
}

/** Options that stand where other schemes have an address would be nothing but overlooked. */
function refuseAddress(locator: Locator): void {
  const { address } = locator;
  if (address === '') return;
  const message = `"${address}" is no option where it stands. Write, for example, wirefilter://[delay=50]{NETWORK}`;
  throw wrongLocator(locator.text, message, address);
}

function readValue(locator: Locator, key: string, quantity: Quantity): readonly (readonly [Quantity, PlacedValue])[] {
  const text = locator.options.get(key);
  if (text === undefined) return [];
  const placed = parseQuantity(quantity, text);
  if (placed !== undefined && placed.node === 0) return [[quantity, placed]];
  throw wrongOption(locator, text, `${key} "${text}" is no value such as 20, LR20 or 20+5N`, `${key}=20`);
}

function readSeedOption(locator: Locator): number | undefined {
  const text = locator.options.get('seed');
  if (text === undefined) return undefined;
  const seed = readSeed(text);
  if (seed !== undefined) return seed;
  throw wrongOption(locator, text, `seed "${text}" is not a number from 0 to ${MAX_SEED}`, 'seed=1');
}
