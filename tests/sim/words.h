/* Registers as they are: a device that is no profile's, from a file of words. One thread.
 *
 * A line is `ADDRESS: WORD WORD …`, address in decimal from 0, words of four hex digits; `#` begins
 * a comment. What lies between two lines is 0, what lies outside is refused with exception 2. All
 * are holding registers (function 3). */
#ifndef TESTS_SIM_WORDS_H
#define TESTS_SIM_WORDS_H

#include "tests/sim/device.h"

/* Puts the file's words in the place of those that the device had. On a mistake nothing changes. */
enum st sim_words_load(struct sim_device *d, const char *path, struct err *e) ST_MUST_CHECK;

#endif
