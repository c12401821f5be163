/* Tries to find out of the frames of a batch alone what is left to do to them. */
#ifndef VDENS_UNFINISHED_TEST_H
#define VDENS_UNFINISHED_TEST_H

#include "random_batches.h"

void try_unfinished(const struct batch *batch, bool is_valid);

#endif
