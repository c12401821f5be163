/* Tags put into frames of a batch, and taken out again. */
#ifndef VDENS_VLAN_TEST_H
#define VDENS_VLAN_TEST_H

#include "random_batches.h"

/* Writes every frame in both forms; ends the program when something does not hold. */
void try_vlan(const struct batch *batch);

#endif
