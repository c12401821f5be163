/**
 * Private networks for any Linux user: namespaces with Ethernet interfaces, and what to plug them into.
 *
 * ```js
 * import { createSwitch, openNamespace } from 'vdens';
 *
 * const alice = await openNamespace({ interfaces: [{ name: 'eth0', addresses: ['10.0.0.1/24'] }] });
 * const bob = await openNamespace({ interfaces: [{ name: 'eth0', addresses: ['10.0.0.2/24'] }] });
 * const lan = createSwitch();
 * for (const { interfaces } of [alice, bob]) lan.attach(interfaces[0].plug);
 *
 * process.exitCode = await alice.run(['ping', '-c', '1', '10.0.0.2'], { stdio: 'inherit' }).exit;
 * await Promise.all([alice.close(), bob.close(), lan.close()]);
 * ```
 *
 * {@link openNamespace} makes a namespace, {@link Namespace.run} runs a command in it. {@link createSwitch} makes a
 * switch, {@link cable} joins two plugs, {@link openPlug} opens a network by the name that the command line of `vdens`
 * takes, and with a {@link MemoryPlug} or a port a program takes part in a network with frames of its own. What fails throws a {@link VdensError} with a `code`.
 *
 * docs/library.md goes through it; docs/errors.md lists the codes. What is not exported here is not the interface.
 *
 * @packageDocumentation
 */
export type { CapturedInterface } from './capture/pcapng.ts';
export type { ReaderCounts } from './capture/ring-reader.ts';
export {
  type AnswerWithDescriptors,
  type ControlClient,
  type ControlEvent,
  type ControlOptions,
  connectControl,
} from './control/client.ts';
export type { ControlPeer, Operation, OperationContext, Operations } from './control/operation.ts';
export { ControlServer, type ControlServerOptions } from './control/server.ts';
export { VdensError, type VdensErrorCode, type VdensErrorDetails } from './errors.ts';
export { batchOf, FrameBatch, MAX_FRAME_BYTES, type OffloadHeader } from './frames/batch.ts';
export { type ControlGatewayOptions, controlGateway } from './gateway/control-gateway.ts';
export type { ControlForward, ControlRequest } from './gateway/control-message.ts';
export type { ForwardInfo, ForwardRequest } from './gateway/forwards.ts';
export type { GatewayCounter } from './gateway/gateway.ts';
export type { GatewayConfig, PortForward } from './gateway/gateway-config.ts';
export { GatewayPlug } from './gateway/gateway-plug.ts';
export { ImpairedPlug, type ImpairedPlugOptions } from './impairment/impaired-plug.ts';
export { CableItem } from './inventory/cable-item.ts';
export {
  connectToProcess,
  type FoundProcess,
  findProcess,
  type ListedProcess,
  type ListOptions,
  listProcesses,
} from './inventory/find-process.ts';
export {
  type CaptureSelection,
  FrameCapture,
  type FrameCaptureOptions,
  type PassedFrame,
  startCapture,
} from './inventory/frame-capture.ts';
export type { Impairable, InventoryItem, Link } from './inventory/inventory.ts';
export { NamespaceItem, type PluggedInterface } from './inventory/namespace-item.ts';
export { type LoadItem, ProcessControl, type ServeControlOptions } from './inventory/serve-control.ts';
export type {
  CableStatus,
  DirectionStatus,
  FilterStatus,
  ForwardStatus,
  GatewayStatus,
  InterfaceStatus,
  ItemStatus,
  LinkStatus,
  NamespaceStatus,
  PeerStatus,
  PortStatus,
  ProcessStatus,
  StationStatus,
  SwitchStatus,
} from './inventory/status.ts';
export { type Locator, parseLocator } from './locator/locator.ts';
export { type OpenPlugOptions, openPlug } from './locator/open-plug.ts';
export type { AutoOptions } from './namespace/auto/auto-configuration.ts';
export {
  type InterfaceOptions,
  Namespace,
  type NamespaceCommand,
  type NamespaceInterface,
  type NamespaceOptions,
  openNamespace,
} from './namespace/namespace.ts';
export type { Station } from './overlay/tunnel.ts';
export type { TunnelPlug } from './overlay/tunnel-plug.ts';
export { type AgnoOptions, AgnoPlug } from './plugs/agno.ts';
export type { AgnoEtherType } from './plugs/agno-cipher.ts';
export { type AgnoKey, parseAgnoKey, readAgnoKey } from './plugs/agno-key.ts';
export { type CableEvents, type CableOptions, cable } from './plugs/cable.ts';
export { type DirectionCounters, type DropReason, formatCounters, PlugCounters } from './plugs/counters.ts';
export type { PortVlans } from './plugs/fabric.ts';
export { MemoryPlug } from './plugs/memory.ts';
export { NullPlug } from './plugs/null.ts';
export type { FrameReceiver, Plug, PlugEvents } from './plugs/plug.ts';
export { openRestarting, type RestartOptions } from './plugs/restart.ts';
export { TapPlug } from './plugs/tap.ts';
export { VlanPlug } from './plugs/vlan.ts';
export type { VlanOptions, VlanPair } from './plugs/vlan-rules.ts';
export { WrapperPlug } from './plugs/wrapper.ts';
export {
  type Endpoint,
  type HashSettings,
  type ManagedPort,
  type ManagedServiceOptions,
  ManagedSwitch,
  type ManagedSwitchOptions,
  NO_VLAN,
  type PortOwner,
  type Station as SwitchStation,
  type SwitchEvent,
  type TreeStatus,
  type Vlan,
} from './switch/managed/managed-switch.ts';
export {
  createSwitch,
  type ForwardingEntry,
  type PortOptions,
  Switch,
  type SwitchOptions,
  type SwitchSettings,
} from './switch/switch.ts';
export type { SwitchPort } from './switch/switch-port.ts';
export type { SwitchService, SwitchServiceOptions } from './switch/switch-service.ts';
