/* tests/golden/node.txt: frames of one of our nodes that were typed by hand. */
#ifndef TESTS_GATEWAY_COLLECT_GOLDEN_NODE_H
#define TESTS_GATEWAY_COLLECT_GOLDEN_NODE_H

#include <stddef.h>
#include <stdint.h>

#define GOLDEN_BYTES 256
#define GOLDEN_FRAMES 128
#define GOLDEN_WORDS 181 /* its registers: 0 to the end of its chain */

struct golden_frame {
    char part[32];
    uint8_t request[GOLDEN_BYTES], answer[GOLDEN_BYTES];
    size_t nrequest, nanswer; /* nanswer 0: none */
};
extern struct golden_frame golden[GOLDEN_FRAMES];
extern size_t golden_count;

/* Reads the file; fails the test when it cannot. */
void golden_load(const char *path);
/* The registers that the frames of `chain`, `values`, `diagnostics` and, when not NULL, `part` have
 * shown; what none has shown is 0. */
void golden_words(const char *part, unsigned short words[GOLDEN_WORDS]);

#endif
