/* The window of a watchdog that has none of its own. Who feeds within WINDOW_MS of the time before
 * has lost its clock or its way: from then on it is not fed any more, and does its work. */
#ifndef FIRMWARE_MCU_WINDOW_H
#define FIRMWARE_MCU_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#define WINDOW_MS 100U
struct window { /* begins as 0 */
    uint32_t fed_ms;
    bool fed, shut;
};
/* Whether the watchdog may be fed now, which wraps. */
bool window_open(struct window *w, uint32_t now_ms);

#endif
