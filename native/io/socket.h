/* Sockets as the kernel has them: raw addresses, descriptor passing. */
#ifndef VDENS_SOCKET_H
#define VDENS_SOCKET_H

#include "napi_util.h"

void socket_init(napi_env env, napi_value exports);

#endif
