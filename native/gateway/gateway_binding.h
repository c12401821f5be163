/* Gateways, for JavaScript. */
#ifndef VDENS_GATEWAY_BINDING_H
#define VDENS_GATEWAY_BINDING_H

#include "gateway.h"
#include "napi_util.h"

/* The gateway of that number, or NULL. To be called with the lock of the datapath. */
struct gateway *find_gateway(int32_t id);

void gateway_init(napi_env env, napi_value exports);

#endif
