/* Batches over datagram sockets. */
#ifndef VDENS_DATAGRAM_H
#define VDENS_DATAGRAM_H

#include "napi_util.h"

void datagram_init(napi_env env, napi_value exports);

#endif
