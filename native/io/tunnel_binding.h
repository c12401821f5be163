/* Tunnels and their sockets, for JavaScript. */
#ifndef VDENS_TUNNEL_BINDING_H
#define VDENS_TUNNEL_BINDING_H

#include "napi_util.h"
#include "tunnel.h"

/* The tunnel of that number, or NULL. To be called with the lock of the datapath. */
struct tunnel *find_tunnel(int32_t id);

void tunnel_init(napi_env env, napi_value exports);

#endif
