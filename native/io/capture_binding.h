/* Captures, for JavaScript. */
#ifndef VDENS_CAPTURE_BINDING_H
#define VDENS_CAPTURE_BINDING_H

#include "napi_util.h"

void capture_init(napi_env env, napi_value exports);

#endif
