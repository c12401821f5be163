/*
 * Functions that every frame of a line meets. The compiler puts them side by side: on an idle network each
 * page of code that has to be fetched anew is a microsecond of the round trip.
 */
#ifndef VDENS_HOT_H
#define VDENS_HOT_H

#define HOT __attribute__((hot))

#endif
