/* Becoming another program, and ending without delay. */
#ifndef VDENS_PROCESS_H
#define VDENS_PROCESS_H

#include "napi_util.h"

void process_init(napi_env env, napi_value exports);

#endif
