/**
 * TCP between two hosts over VXLAN: `vxvde://` and `vxlan://` of ours, beside two originals and beside the kernel's
 * own vxlan device, and each with the other on one end.
 *
 * All these sides take turns in one measurement, whose samples the rows share: one figure of the kernel serves five
 * rows.
 */
import { type Bench, interleave, type Sampler } from '../harness.ts';
import { type EndMaker, hostCommands, kernelVxlan, onTwoHosts, vdensOn } from '../hosts.ts';
import { type Row, ratioAtLeast, type Samples } from '../row.ts';
import { freshSamplerOf, throughput } from '../segment-pair.ts';

const sides = ['originals', 'kernel', 'vxvde', 'vxvde-out', 'vxvde-in', 'vxlan', 'vxlan-out', 'vxlan-in'] as const;
type Side = (typeof sides)[number];

interface Comparison {
  readonly name: string;
  readonly title: string;
  readonly least: number;
  readonly ours: Side;
  readonly beside: 'originals' | 'kernel';
}

const comparisons: readonly Comparison[] = [
  {
    name: 'vxvde',
    title: 'TCP between hosts, two vdens on vxvde://',
    least: 10,
    ours: 'vxvde',
    beside: 'originals',
  },
  {
    name: 'vxvde-mixed-out',
    title: 'TCP between hosts, vxvde://, ours to an original, beside two originals',
    least: 1,
    ours: 'vxvde-out',
    beside: 'originals',
  },
  {
    name: 'vxvde-mixed-in',
    title: 'TCP between hosts, vxvde://, an original to ours, beside two originals',
    least: 1,
    ours: 'vxvde-in',
    beside: 'originals',
  },
  {
    name: 'vxvde-kernel',
    title: "TCP between hosts, two vdens on vxvde://, beside the kernel's vxlan device",
    least: 0.45,
    ours: 'vxvde',
    beside: 'kernel',
  },
  {
    name: 'vxlan-kernel',
    title: "TCP between hosts, two vdens on vxlan://, beside the kernel's vxlan device",
    least: 0.45,
    ours: 'vxlan',
    beside: 'kernel',
  },
  {
    name: 'vxlan-to-kernel',
    title: "TCP between hosts, vxlan:// to the kernel's device, beside two of these",
    least: 0.45,
    ours: 'vxlan-out',
    beside: 'kernel',
  },
  {
    name: 'kernel-to-vxlan',
    title: "TCP between hosts, the kernel's device to vxlan://, beside two of these",
    least: 0.45,
    ours: 'vxlan-in',
    beside: 'kernel',
  },
];

export const overlayThroughput: readonly Row[] = comparisons.map(({ name, title, least, ours, beside }) => ({
  name,
  title,
  unit: 'Gbit/s',
  goal: ratioAtLeast(least),
  peers: beside === 'originals' ? ['vdens', ...hostCommands] : hostCommands,
  measure: async (bench): Promise<Samples> => {
    measured ??= measureAll(bench);
    const samples = await measured;
    return { ours: samples[ours], original: samples[beside] };
  },
}));

/** The samples of all sides, once the first of the rows has been measured. */
let measured: Promise<Record<Side, readonly number[]>> | undefined;

/**
 * Measures the sides that the chosen rows need, with a new pair for every run: what says that a transfer is over may
 * get lost between two originals, and then their server takes no other.
 */
async function measureAll(bench: Bench): Promise<Record<Side, readonly number[]>> {
  const chosen = comparisons.filter(({ name }) => bench.options.rows.includes(name));
  const needed = new Set<Side>(chosen.flatMap(({ ours, beside }) => [ours, beside]));
  const samplerOf = (side: Side): Sampler =>
    needed.has(side) ? freshSamplerOf(bench, onTwoHosts(...endsOf(bench, side)), throughput(bench)) : undefined;
  const samplers = Object.fromEntries(sides.map((side) => [side, samplerOf(side)])) as Record<Side, Sampler>;
  return await interleave(bench, bench.options.runs, samplers);
}

/** Who sends, and who receives. */
function endsOf(bench: Bench, side: Side): readonly [client: EndMaker, server: EndMaker] {
  const theirs = vdensOn(bench.originalVdens, () => ({ network: 'vxvde://' }));
  const vxvde = vdensOn(bench.oursVdens, () => ({ network: 'vxvde://' }));
  const vxlan = vdensOn(bench.oursVdens, () => ({ network: 'vxlan://' }));
  const ends: Record<Side, readonly [EndMaker, EndMaker]> = {
    originals: [theirs, theirs],
    kernel: [kernelVxlan, kernelVxlan],
    vxvde: [vxvde, vxvde],
    'vxvde-out': [vxvde, theirs],
    'vxvde-in': [theirs, vxvde],
    vxlan: [vxlan, vxlan],
    'vxlan-out': [vxlan, kernelVxlan],
    'vxlan-in': [kernelVxlan, vxlan],
  };
  return ends[side];
}
