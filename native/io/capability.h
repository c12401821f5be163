/* Capabilities of the calling thread, capabilities(7). */
#ifndef VDENS_CAPABILITY_H
#define VDENS_CAPABILITY_H

#include "napi_util.h"

void capability_init(napi_env env, napi_value exports);

#endif
