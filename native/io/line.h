/*
 * Lines: pairs of kernel objects between which frames move without JavaScript.
 *
 * A thread of its own serves all lines. What a frame costs then is a few system calls and little memory,
 * which is what counts for the latency of a line that was idle: waking Node.js touches some hundred
 * pages more, and costs as much as two such lines.
 */
#ifndef VDENS_LINE_H
#define VDENS_LINE_H

#include "napi_util.h"

void line_init(napi_env env, napi_value exports);

#endif
