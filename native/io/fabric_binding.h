/* Adds the functions of fabrics to the exports: fabricOpen and all that begin like it. */
#ifndef VDENS_FABRIC_BINDING_H
#define VDENS_FABRIC_BINDING_H

#include "napi_util.h"

void fabric_init(napi_env env, napi_value exports);

#endif
