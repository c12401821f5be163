/* Random use of a forwarding table, compared with a plain array. */
#ifndef VDENS_TABLE_TEST_H
#define VDENS_TABLE_TEST_H

/* Learns, finds and forgets in a table of random size; ends the program when something does not hold. */
void try_forwarding_table(void);

#endif
