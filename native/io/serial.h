#ifndef VDENS_SERIAL_H
#define VDENS_SERIAL_H

#include "napi_util.h"

void serial_init(napi_env env, napi_value exports);

#endif
