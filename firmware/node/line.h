/* The line's settings: what is in force, what was written and waits for its command, and the trial
 * after which the node goes back to what it was. sensors/node.def says the rules.
 *
 * Pure: the clock is given. One thread. */
#ifndef FIRMWARE_LINE_H
#define FIRMWARE_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include "firmware/node/config.h"

#define LINE_ASIDE_MS 60000U /* how long what was written waits */

struct line {
    struct config_line now, aside;
    bool written; /* aside is of use */
    uint32_t written_ms;
    bool trial;
    uint32_t trial_ms; /* its beginning */
    bool change;       /* `next` comes in force behind the answer */
    struct config_line next;
    bool restart; /* behind the answer */
};

void line_start(struct line *l, const struct config_line *kept);
/* What its registers show. */
const struct config_line *line_shown(const struct line *l);
/* s that are left of the trial; 0: there is none. */
uint16_t line_trial_s(const struct line *l, uint32_t now_ms);
/* One setting was written, as a good one. */
void line_write(struct line *l, const struct config_line *aside, uint32_t now_ms);
/* A command of node.def. true: *kept has changed. */
bool line_command(struct line *l, unsigned command, struct config_line *kept, uint32_t now_ms);
/* It gets this address at once, for a trial. */
void line_assign(struct line *l, uint8_t address, uint32_t now_ms);
/* What time brings. sending: the answer is still on its way. true: `now` has changed, open the line
 * with it. */
bool line_turn(struct line *l, const struct config_line *kept, bool sending, uint32_t now_ms);

#endif
