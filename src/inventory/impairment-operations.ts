/** Making links worse on purpose, and cutting them, over the control socket. */
import { shown } from '../control/message.ts';
import type { Operations } from '../control/operation.ts';
import { quote, VdensError } from '../errors.ts';
import type { Impairable, Inventory, Link } from './inventory.ts';
import { isCalled } from './link-name.ts';

type Fields = Readonly<Record<string, unknown>>;

/** How many words one request may have. */
const MAX_IMPAIRMENT_WORDS = 64;
/** How many links an error tells. */
const MAX_LINKS_TOLD = 10;

/** A link that can be impaired. */
interface Target {
  readonly link: Link;
  readonly plug: Impairable;
}

/**
 * `{"do":"impair","words":["delay=20"]}` sets what the words say, `["none"]` takes everything away; without `words` it
 * only tells. `{"do":"cut"}` pulls cables out, `{"do":"join"}` puts them back. `"link"` says which, such as `vde0`;
 * without it all are meant that this process has for itself, and all ports of a switch when it has nothing else, or when
 * `"of"` is `switch`. The answer has `links`, each with `id`, `network`, `impairment`,
 * `isCut`, and in `innerImpairment` what the network has set by itself (`wirefilter://`).
 */
export function impairmentOperations(inventory: Inventory): Operations {
  const operation =
    (act: (plug: Impairable, fields: Fields) => Promise<void>) =>
    async (fields: Fields): Promise<object> => {
      const targets = targetsOf(inventory, fields);
      await Promise.all(targets.map(({ plug }) => act(plug, fields)));
      return { links: targets.map(describe) };
    };
  return {
    impair: operation(async (plug, { words }) => {
      if (words !== undefined) await plug.impair(wordsOf(words));
    }),
    cut: operation(async (plug) => plug.cut()),
    join: operation(async (plug) => plug.join()),
  };
}

function describe({ link: { id, network }, plug: { impairment, innerImpairment, isCut } }: Target): object {
  return { id, network, impairment, innerImpairment, isCut };
}

function wordsOf(words: unknown): readonly string[] {
  const isRight = Array.isArray(words) && words.every((word) => typeof word === 'string');
  if (isRight && words.length <= MAX_IMPAIRMENT_WORDS) return words;
  throw new VdensError('ERR_USAGE', `"words" is a list of at most ${MAX_IMPAIRMENT_WORDS} words, not ${shown(words)}`);
}

function targetsOf(inventory: Inventory, { link: wanted, of }: Fields): readonly Target[] {
  const { items } = inventory;
  const own = items.filter(({ kind }) => kind !== 'switch' && kind !== 'gateway');
  const meant = wanted !== undefined ? items : own.length === 0 || of === 'switch' ? switchesOf(inventory) : own;
  const links = meant.flatMap((item) => item.links());
  const named = links.filter(({ id }) => wanted === undefined || isCalled(id, wanted));
  const targets = named.flatMap((link) => (link.plug === undefined ? [] : [{ link, plug: link.plug }]));
  if (targets.length > 0) return targets;
  throw none(links, named, wanted);
}

function switchesOf({ items }: Inventory): Inventory['items'] {
  return items.filter(({ kind }) => kind === 'switch');
}

function none(links: readonly Link[], named: readonly Link[], wanted: unknown): VdensError {
  const able = links.filter(({ plug }) => plug !== undefined).map(({ id }) => quote(id));
  const more = able.length > MAX_LINKS_TOLD ? `, and ${able.length - MAX_LINKS_TOLD} more` : '';
  const told =
    able.length === 0 ? 'Nothing there can be' : `There is: ${able.slice(0, MAX_LINKS_TOLD).join(', ')}${more}`;
  if (wanted === undefined)
    return new VdensError('ERR_USAGE', `there is nothing to impair or to cut in process ${process.pid}`);
  if (named.length === 0) return new VdensError('ERR_USAGE', `there is no link ${shown(wanted)}. ${told}`);
  const message = `${shown(wanted)} belongs to this process itself, and is impaired at its interface. ${told}`;
  return new VdensError('ERR_USAGE', message);
}
