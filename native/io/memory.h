/* Adds memoryOpen and memoryMap to the exports: memory that two processes count in. */
#ifndef VDENS_MEMORY_H
#define VDENS_MEMORY_H

#include "napi_util.h"

void memory_init(napi_env env, napi_value exports);

#endif
