#include "tests/sim/settings.h"

#include <math.h>
#include <string.h>

/* ---- as a profile has it -----------------------------------------------------------------------
 */

#define CODE(member) offsetof(struct sim_setting_code, member)
static const struct cfg_word parity_words[] = {
    {"none", 'N'}, {"even", 'E'}, {"odd", 'O'}, {NULL, 0}};
static const struct cfg_field code_fields[] = {
    {.key = "code", .kind = CFG_INT, .offset = CODE(code)},
    {.key = "baud", .kind = CFG_INT, .offset = CODE(baud)},
    {.key = "parity", .kind = CFG_WORD, .offset = CODE(parity), .words = parity_words},
    {.key = "stop_bits", .kind = CFG_INT, .offset = CODE(stop_bits)},
    {0}};
static const struct cfg_table code_table = {sizeof(struct sim_setting_code), code_fields};

#define AT(member) offsetof(struct sim_setting, member)
static const struct cfg_field setting_fields[] = {
    {.key = "address", .kind = CFG_INT, .offset = AT(address)},
    {.key = "write", .kind = CFG_INT, .offset = AT(write)},
    {.key = "function", .kind = CFG_INT, .offset = AT(function), .dflt = "3"},
    {.key = "type", .kind = CFG_WORD, .offset = AT(type), .dflt = "u16", .words = sim_type_words},
    {.key = "order",
     .kind = CFG_WORD,
     .offset = AT(order),
     .dflt = "ABCD",
     .words = sim_order_words},
    {.key = "value", .kind = CFG_DECIMAL, .offset = AT(value)},
    {.key = "values", .kind = CFG_INTS, .offset = AT(values)},
    {.key = "speeds", .kind = CFG_LIST, .offset = AT(codes), .sub = &code_table},
    {.key = "parities", .kind = CFG_LIST, .offset = AT(codes), .sub = &code_table},
    {0}};
static const struct cfg_table setting_table = {sizeof(struct sim_setting), setting_fields};

#define SETUP(member) offsetof(struct sim_setup, member)
#define START(member) (SETUP(start.member) - SETUP(start))
static const struct cfg_field start_fields[] = {
    {.key = "function", .kind = CFG_INT, .offset = START(function)},
    {.key = "address", .kind = CFG_INT, .offset = START(address)},
    {.key = "count", .kind = CFG_INT, .offset = START(count)},
    {.key = "value", .kind = CFG_INT, .offset = START(value)},
    {0}};
static const struct cfg_table start_table = {sizeof(((struct sim_setup *)0)->start), start_fields};
#define SETTING(name, which)                                                                       \
    {                                                                                              \
        .key = name, .kind = CFG_STRUCT, .offset = SETUP(at[which]), .sub = &setting_table         \
    }
static const struct cfg_field setup_fields[] = {
    SETTING("unit", SIM_SET_UNIT),
    SETTING("baud", SIM_SET_BAUD),
    SETTING("parity", SIM_SET_PARITY),
    SETTING("unlock", SIM_SET_UNLOCK),
    SETTING("save", SIM_SET_SAVE),
    SETTING("identity", SIM_SET_IDENTITY),
    {.key = "power_cycle", .kind = CFG_BOOL, .offset = SETUP(power_cycle)},
    {.key = "before", .kind = CFG_STRING, .offset = SETUP(before)},
    {.key = "terminals", .kind = CFG_STRING, .offset = SETUP(terminals)},
    {.key = "supply", .kind = CFG_STRING, .offset = SETUP(supply)},
    {.key = "start", .kind = CFG_STRUCT, .offset = SETUP(start), .sub = &start_table},
    {0}};
const struct cfg_table sim_setup_table = {sizeof(struct sim_setup), setup_fields};

bool sim_setup_given(const struct cfg *file, struct sim_setup *s)
{
    bool any = s->has_start = cfg_given(file, &s->start.function);
    for (int i = 0; i < SIM_SETTINGS; i++)
        any |= s->at[i].given = cfg_given(file, &s->at[i].address);
    return any;
}

/* ---- its registers -----------------------------------------------------------------------------
 */

static struct sim_spec spec_of(const struct sim_setting *x)
{
    return (struct sim_spec){(enum sim_type)x->type, (enum sim_order)x->order, num_dec(1, 0),
                             num_dec(0, 0)};
}

static uint32_t regs_of(const struct sim_setting *x)
{
    return sim_regs((enum sim_type)x->type);
}

static void to_wire(const struct sim_setting *x, double v, uint8_t *wire)
{
    uint8_t be[SIM_RAW_BYTES];
    const struct sim_spec spec = spec_of(x);
    sim_raw(&spec, v, be);
    sim_wire(&spec, be, wire);
}

/* The number that these registers hold: of those that it may be, the one that looks so. */
static bool from_wire(const struct sim_setting *x, const uint8_t *wire, int64_t least, int64_t most,
                      int64_t *v)
{
    uint8_t want[SIM_RAW_BYTES];
    for (*v = least; *v <= most; ++*v) {
        to_wire(x, (double)*v, want);
        if (memcmp(want, wire, 2u * regs_of(x)) == 0)
            return true;
    }
    return false;
}

static const struct sim_setting_code *code_of(const struct sim_setting *x, int which, int64_t v)
{
    const struct sim_setting_code *c = x->codes.v;
    for (size_t i = 0; i < x->codes.n; i++)
        if ((which == SIM_SET_BAUD ? c[i].baud : c[i].parity) == v)
            return &c[i];
    return NULL;
}

/* What a register shows: what was written last. */
static double shown(const struct sim_settings *s, int which)
{
    const struct sim_setting *x = &s->setup->at[which];
    const struct sim_setting_code *c = NULL;
    if (which == SIM_SET_UNIT)
        return (double)s->written.unit;
    if (which == SIM_SET_IDENTITY)
        return x->values.n > 0 ? (double)x->values.v[0] : 0;
    if (which == SIM_SET_BAUD || which == SIM_SET_PARITY)
        c = code_of(x, which, which == SIM_SET_BAUD ? s->written.baud : s->written.parity);
    return c ? (double)c->code : 0;
}

static size_t refuse(const uint8_t *pdu, uint8_t code, uint8_t *out)
{
    out[0] = (uint8_t)(pdu[0] | 0x80);
    out[1] = code;
    return 2;
}

static int find(const struct sim_settings *s, uint32_t address, uint32_t count)
{
    for (int i = 0; i < SIM_SETTINGS; i++) {
        const struct sim_setting *x = &s->setup->at[i];
        if (x->given && x->address == address && regs_of(x) == count)
            return i;
    }
    return -1;
}

static void apply(struct sim_settings *s)
{
    s->saved = s->written;
    if (!s->setup->power_cycle)
        s->now = s->written;
}

/* false: it does not take this value. */
static bool take(struct sim_settings *s, int which, const uint8_t *wire)
{
    const struct sim_setting *x = &s->setup->at[which];
    const struct sim_setting_code *c = x->codes.v;
    uint8_t want[SIM_RAW_BYTES];
    int64_t v;
    if (s->stubborn)
        return true;
    to_wire(x, num_double(x->value), want);
    bool key = memcmp(want, wire, 2u * regs_of(x)) == 0;
    if (which == SIM_SET_UNLOCK) {
        s->unlocked = key;
        return key;
    }
    if (s->setup->at[SIM_SET_UNLOCK].given && !s->unlocked)
        return false;
    if (which == SIM_SET_SAVE) {
        if (key)
            apply(s);
        return key;
    }
    if (which == SIM_SET_UNIT && from_wire(x, wire, 1, 247, &v)) {
        s->written.unit = v;
        if (!s->setup->at[SIM_SET_SAVE].given)
            apply(s);
        return true;
    }
    for (size_t i = 0; which != SIM_SET_UNIT && i < x->codes.n; i++) {
        to_wire(x, (double)c[i].code, want);
        if (memcmp(want, wire, 2u * regs_of(x)) != 0)
            continue;
        *(which == SIM_SET_BAUD ? &s->written.baud : &s->written.parity) =
            which == SIM_SET_BAUD ? c[i].baud : c[i].parity;
        if (!s->setup->at[SIM_SET_SAVE].given)
            apply(s);
        return true;
    }
    return false;
}

static bool is_start(const struct sim_settings *s, const uint8_t *pdu, uint32_t address,
                     uint32_t count)
{
    return s->setup->has_start && pdu[0] == s->setup->start.function &&
           address == s->setup->start.address &&
           count == (uint32_t)(pdu[0] == 6 ? s->setup->start.value : s->setup->start.count);
}

size_t sim_settings_answer(struct sim_settings *s, const uint8_t *pdu, size_t n,
                           uint8_t out[SIM_PDU_MAX_BYTES])
{
    if (s->setup == NULL || n < 5)
        return 0;
    uint32_t address = (uint32_t)(pdu[1] << 8 | pdu[2]), count = (uint32_t)(pdu[3] << 8 | pdu[4]);
    if (is_start(s, pdu, address, count)) {
        s->started = true;
        out[0] = pdu[0];
        out[1] = 0;
        if (pdu[0] != 3)
            memcpy(out, pdu, 5);
        return pdu[0] == 3 ? 2 : 5;
    }
    int which = find(s, address, pdu[0] == 6 ? 1 : count);
    if (pdu[0] == 3 || pdu[0] == 4) {
        if (which < 0 || pdu[0] != (which == SIM_SET_IDENTITY ? s->setup->at[which].function : 3))
            return 0;
        out[0] = pdu[0];
        out[1] = (uint8_t)(2 * count);
        to_wire(&s->setup->at[which], shown(s, which), out + 2);
        return 2 + 2 * count;
    }
    if (pdu[0] != 6 && pdu[0] != 16)
        return 0;
    const uint8_t *wire = pdu[0] == 6 ? pdu + 3 : pdu + 6;
    if (which < 0 || which == SIM_SET_IDENTITY)
        return refuse(pdu, 2, out);
    if (s->setup->at[which].write != 0 && s->setup->at[which].write != pdu[0])
        return refuse(pdu, 1, out);
    if (pdu[0] == 16 && (n != 6 + 2 * count || pdu[5] != 2 * count))
        return refuse(pdu, 3, out);
    if (!take(s, which, wire))
        return refuse(pdu, 3, out);
    memcpy(out, pdu, 5);
    return 5;
}

void sim_settings_power(struct sim_settings *s)
{
    s->now = s->written = s->saved;
    s->unlocked = s->started = false;
}
