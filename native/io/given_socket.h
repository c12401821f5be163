#ifndef VDENS_GIVEN_SOCKET_H
#define VDENS_GIVEN_SOCKET_H

#include "napi_util.h"

void given_socket_init(napi_env env, napi_value exports);

#endif
