#ifndef VDENS_TIMER_H
#define VDENS_TIMER_H

#include "napi_util.h"

void timer_init(napi_env env, napi_value exports);

#endif
