/** The way from one network to another, by cables. */
import type { NetworkFacts } from './facts.ts';
import type { Cable } from './world.ts';

/** More networks in a row than anybody means. */
const MAX_NETWORKS = 16;

/** A network on the way, and the cable that leads to it from the one before. */
export interface PathNetwork {
  readonly network: NetworkFacts;
  readonly cable?: Cable;
}

/** The shortest way, both ends included; `undefined` when no cables join the two. */
export function pathBetween(
  from: NetworkFacts,
  to: NetworkFacts,
  cables: readonly Cable[],
): readonly PathNetwork[] | undefined {
  const seen = new Set([from.identity]);
  let paths: (readonly PathNetwork[])[] = [[{ network: from }]];
  for (let length = 0; length < MAX_NETWORKS && paths.length > 0; length++) {
    const found = paths.find((path) => path.at(-1)?.network.identity === to.identity);
    if (found !== undefined) return found;
    paths = paths.flatMap((path) =>
      nextNetworks(path.at(-1)!.network, cables)
        .filter(({ network }) => !seen.has(network.identity) && seen.add(network.identity))
        .map((next) => [...path, next]),
    );
  }
  return undefined;
}

/** The networks that cables lead to from this one. */
export function nextNetworks(from: NetworkFacts, cables: readonly Cable[]): PathNetwork[] {
  return cables.flatMap((cable) => {
    const isAtIt = cable.networks.some(({ identity }) => identity === from.identity);
    const others = isAtIt ? cable.networks.filter(({ identity }) => identity !== from.identity) : [];
    return others.map((network) => ({ network, cable }));
  });
}
