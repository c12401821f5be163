/* TAP interfaces: batches in and out, offload, carrier. */
#ifndef VDENS_TAP_H
#define VDENS_TAP_H

#include "napi_util.h"

void tap_init(napi_env env, napi_value exports);

#endif
