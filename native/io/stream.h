/* Frames with a length in front, over a byte stream. */
#ifndef VDENS_STREAM_H
#define VDENS_STREAM_H

#include "napi_util.h"

void stream_init(napi_env env, napi_value exports);

#endif
