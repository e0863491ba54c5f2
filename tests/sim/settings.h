/* The settings of a simulated device: the registers that hold its unit, speed and parity, as the
 * `setup` of its profile names them, read through a table of its own. A locked device refuses a
 * write; one with `save` forgets at power-off what was not saved; with `power_cycle` a change
 * counts once it was switched off and on (control line: power), else at once. One thread. */
#ifndef TESTS_SIM_SETTINGS_H
#define TESTS_SIM_SETTINGS_H

#include "tests/sim/encode.h"
#include "tests/sim/frame.h"

struct sim_setting_code {
    int64_t code, baud, stop_bits;
    int parity; /* 'N' 'E' 'O' */
};
struct sim_setting {
    int64_t address, write, function;
    int type, order;
    struct num value;
    struct cfg_items codes;
    struct cfg_ints values;
    bool given;
};
enum {
    SIM_SET_UNIT,
    SIM_SET_BAUD,
    SIM_SET_PARITY,
    SIM_SET_UNLOCK,
    SIM_SET_SAVE,
    SIM_SET_IDENTITY,
    SIM_SETTINGS
};
/* As a profile has it. */
struct sim_setup {
    struct sim_setting at[SIM_SETTINGS];
    bool power_cycle;
    char *before, *terminals, *supply;
    struct {
        int64_t function, address, count, value;
    } start;
    bool has_start;
};
extern const struct cfg_table sim_setup_table;
/* After loading: what the file has of it; whether it has any. */
bool sim_setup_given(const struct cfg *file, struct sim_setup *s);

/* What is in force, what was written, and what was saved. */
struct sim_values {
    int64_t unit, baud, parity; /* the last two are codes' meanings; 0: whatever the line has */
};
struct sim_settings {
    const struct sim_setup *setup; /* NULL: it has none */
    struct sim_values now, written, saved;
    bool unlocked, unplugged, started;
    bool stubborn; /* it confirms a write, and does nothing */
};
/* The answer to a PDU that is about a setting; 0: it is not. */
size_t sim_settings_answer(struct sim_settings *s, const uint8_t *pdu, size_t n,
                           uint8_t out[SIM_PDU_MAX_BYTES]);
void sim_settings_power(struct sim_settings *s); /* off and on */

#endif
