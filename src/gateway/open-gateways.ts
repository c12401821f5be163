/** The gateways of this process, for those who look. */
import type { GatewayPlug } from './gateway-plug.ts';

/** {@link GatewayPlug} puts itself in, and takes itself out. */
export const openGateways: Set<GatewayPlug> = new Set();
