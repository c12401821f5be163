/* Segmenting, joining and checksums, as functions of the addon. */
#ifndef VDENS_FRAMES_BINDING_H
#define VDENS_FRAMES_BINDING_H

#include "napi_util.h"

/* Adds segmentBatch, joinBatch and checksum to the exports. */
void frames_init(napi_env env, napi_value exports);

#endif
