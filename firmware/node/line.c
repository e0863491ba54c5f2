/* The line's settings. */
#include "firmware/node/line.h"

#include "sensors/node.h"

#define TRIAL_MS (NODE_TRIAL_S * 1000U)

void line_start(struct line *l, const struct config_line *kept)
{
    *l = (struct line){.now = *kept};
}

const struct config_line *line_shown(const struct line *l)
{
    return l->written ? &l->aside : &l->now;
}

uint16_t line_trial_s(const struct line *l, uint32_t now_ms)
{
    uint32_t gone = now_ms - l->trial_ms;
    return l->trial && gone < TRIAL_MS ? (uint16_t)((TRIAL_MS - gone + 999) / 1000) : 0;
}

void line_write(struct line *l, const struct config_line *aside, uint32_t now_ms)
{
    l->aside = *aside;
    l->written = true;
    l->written_ms = now_ms;
}

static void try_it(struct line *l, const struct config_line *as, uint32_t now_ms)
{
    l->next = *as;
    l->change = l->trial = true;
    l->trial_ms = now_ms;
    l->written = false;
}

static void go_back(struct line *l, const struct config_line *kept)
{
    l->next = *kept;
    l->change = l->trial;
    l->trial = false;
}

bool line_command(struct line *l, unsigned command, struct config_line *kept, uint32_t now_ms)
{
    bool keeps = command == NODE_COMMAND_KEEP && l->trial;
    switch ((enum node_command)command) {
    case NODE_COMMAND_TRY:
        try_it(l, line_shown(l), now_ms);
        break;
    case NODE_COMMAND_KEEP: /* again when the answer was lost: nothing to do */
        if (keeps)
            *kept = l->change ? l->next : l->now;
        l->trial = false;
        break;
    case NODE_COMMAND_FORGET:
        l->written = false;
        go_back(l, kept);
        break;
    case NODE_COMMAND_RESTART:
        l->restart = true;
        break;
    }
    return keeps;
}

void line_assign(struct line *l, uint8_t address, uint32_t now_ms)
{
    struct config_line as = l->now;
    as.address = address;
    try_it(l, &as, now_ms);
}

bool line_turn(struct line *l, const struct config_line *kept, bool sending, uint32_t now_ms)
{
    if (l->written && now_ms - l->written_ms >= LINE_ASIDE_MS)
        l->written = false;
    if (l->trial && now_ms - l->trial_ms >= TRIAL_MS)
        go_back(l, kept);
    if (!l->change || sending)
        return false;
    l->change = false;
    l->now = l->next;
    return true;
}
