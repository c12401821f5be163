/**
 * Private networks for any Linux user: namespaces with Ethernet interfaces, and what to plug them into.
 *
 * ```ts
 * import { cable, openNamespace } from 'vdens';
 *
 * await using alice = await openNamespace({ interfaces: [{ name: 'eth0', addresses: ['10.0.0.1/24'] }] });
 * await using bob = await openNamespace({ interfaces: [{ name: 'eth0', addresses: ['10.0.0.2/24'] }] });
 * cable(alice.interfaces[0]!.plug, bob.interfaces[0]!.plug);
 * await alice.run(['ping', '-c', '3', '10.0.0.2'], { stdio: 'inherit' }).exit;
 * ```
 *
 * @packageDocumentation
 */
export { VdensError, type VdensErrorCode, type VdensErrorDetails } from './errors.ts';
export { batchOf, FrameBatch, MAX_FRAME_BYTES, type OffloadHeader } from './frames/batch.ts';
export { type Locator, parseLocator } from './locator/locator.ts';
export { type OpenPlugOptions, openPlug } from './locator/open-plug.ts';
export {
  type InterfaceOptions,
  Namespace,
  type NamespaceCommand,
  type NamespaceInterface,
  type NamespaceOptions,
  openNamespace,
} from './namespace/namespace.ts';
export { type CableEvents, cable } from './plugs/cable.ts';
export { type DirectionCounters, type DropReason, formatCounters, PlugCounters } from './plugs/counters.ts';
export { MemoryPlug } from './plugs/memory.ts';
export { NullPlug } from './plugs/null.ts';
export type { FrameReceiver, Plug, PlugEvents } from './plugs/plug.ts';
export { TapPlug } from './plugs/tap.ts';
