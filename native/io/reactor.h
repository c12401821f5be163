/* Readiness: an epoll set inside Node's event loop. */
#ifndef VDENS_REACTOR_H
#define VDENS_REACTOR_H

#include "napi_util.h"

void reactor_init(napi_env env, napi_value exports);

#endif
