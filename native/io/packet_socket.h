/* Packets to and from addresses. */
#ifndef VDENS_PACKET_SOCKET_H
#define VDENS_PACKET_SOCKET_H

#include "napi_util.h"

void packet_socket_init(napi_env env, napi_value exports);

#endif
