/* gslb/main/descriptors.h
 * What a forked process holds open. Called by a child before it starts threads. */
#ifndef GSLB_MAIN_DESCRIPTORS_H
#define GSLB_MAIN_DESCRIPTORS_H

#include <stddef.h>

void descriptors_close_all_but(int *kept, size_t count);
/* Closes all above standard error that are not among kept, which is sorted; -1 among them is none. */

#endif
