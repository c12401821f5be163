/* Captures: frames into rings, and out of them as they were. */
#ifndef VDENS_CAPTURE_TEST_H
#define VDENS_CAPTURE_TEST_H

/*
 * Records random frames in a stream with a slow reader, in a recorder that is copied meanwhile, and in rings whose shared
 * part somebody scribbles over; ends the program when something does not hold.
 */
void try_capture(void);

#endif
