/* The `setup` of a profile: which registers hold a device's address, speed and parity. */
#include <math.h>
#include <string.h>

#include "gateway/collect/setup_int.h"

/* ---- tables --------------------------------------------------------------------------------- */

#define CODE(k, m) .key = k, .offset = offsetof(struct collect_setup_code, m)
#define CODE_CODE                                                                                  \
    CODE("code", code), .kind = CFG_INT, .required = true, .min = 0, .max = 65535,                 \
                        .help = "what the register holds then"
static const struct cfg_field baud_fields[] = {{CODE_CODE},
                                               {CODE("baud", baud), .kind = CFG_INT,
                                                .required = true, .min = 300, .max = 921600,
                                                .help = "bits a second"},
                                               {.key = NULL}};
static const struct cfg_table baud_table = {sizeof(struct collect_setup_code), baud_fields};
static const struct cfg_field parity_fields[] = {
    {CODE_CODE},
    {CODE("parity", parity), .kind = CFG_WORD, .required = true, .words = collect_parity_words,
     .help = "none, even or odd"},
    {CODE("stop_bits", stop_bits), .kind = CFG_INT, .dflt = "1", .min = 1, .max = 2,
     .help = "that go with it"},
    {.key = NULL}};
static const struct cfg_table parity_table = {sizeof(struct collect_setup_code), parity_fields};

#define PLACE(k, m) .key = k, .offset = offsetof(struct collect_setup_place, m)
#define PLACE_ADDRESS                                                                              \
    PLACE("address", address), .kind = CFG_INT, .required = true, .min = 0, .max = 65535,          \
                               .help = "from 0, as on the wire"
#define PLACE_TYPE                                                                                 \
    PLACE("type", type), .kind = CFG_WORD, .dflt = "u16", .words = collect_type_words,             \
                         .help = "as of a point: an integer or a float of at most 32 bits"
#define PLACE_ORDER                                                                                \
    PLACE("order", order), .kind = CFG_WORD, .dflt = "ABCD", .words = collect_order_words,         \
                           .help = "as of a point"
#define PLACE_WRITE                                                                                \
    PLACE("write", function), .kind = CFG_INT, .min = 6, .max = 16,                                \
                              .help = "function 6 or 16; absent: 6 for one register, else 16"
#define PLACE_TABLE(name, ...)                                                                     \
    static const struct cfg_field name##_place_fields[] = {                                        \
        {PLACE_ADDRESS}, {PLACE_TYPE}, {PLACE_ORDER}, __VA_ARGS__, {.key = NULL}};                 \
    static const struct cfg_table name##_place = {sizeof(struct collect_setup_place),              \
                                                  name##_place_fields}
#define VALUE                                                                                      \
    PLACE("value", value), .kind = CFG_DECIMAL, .required = true, .help = "what is written"
PLACE_TABLE(unit, {PLACE_WRITE});
PLACE_TABLE(baud, {PLACE_WRITE},
            {PLACE("speeds", codes), .kind = CFG_LIST, .required = true, .sub = &baud_table,
             .help = "each speed that it knows"});
PLACE_TABLE(parity, {PLACE_WRITE},
            {PLACE("parities", codes), .kind = CFG_LIST, .required = true, .sub = &parity_table,
             .help = "each parity that it knows"});
PLACE_TABLE(key, {PLACE_WRITE}, {VALUE});
PLACE_TABLE(identity,
            {PLACE("function", function), .kind = CFG_INT, .dflt = "3", .min = 3, .max = 4,
             .help = "3 holding, 4 input registers"},
            {PLACE("values", values), .kind = CFG_INTS, .required = true,
             .help = "what devices of this model say"});

#define START(k, m) .key = k, .offset = offsetof(struct collect_setup_start, m)
static const struct cfg_field start_fields[] = {
    {START("function", function), .kind = CFG_INT, .required = true, .min = 3, .max = 16,
     .help = "3, 6 or 16"},
    {START("address", address), .kind = CFG_INT, .required = true, .min = 0, .max = 65535,
     .help = "from 0, as on the wire"},
    {START("count", count), .kind = CFG_INT, .min = 0, .max = 1,
     .help = "registers; some probes want 0"},
    {START("value", value), .kind = CFG_INT, .min = 0, .max = 65535, .help = "of the register"},
    {.key = NULL}};
static const struct cfg_table start_table = {sizeof(struct collect_setup_start), start_fields};

#define FIELD(k, m) .key = k, .offset = offsetof(struct collect_setup, m)
#define AT(k, what) FIELD(k, place[COLLECT_SETUP_##what]), .kind = CFG_STRUCT
static const struct cfg_field fields[] = {
    {AT("identity", IDENTITY), .sub = &identity_place, .help = "tells the model"},
    {AT("unit", UNIT), .sub = &unit_place, .help = "holds the unit's number"},
    {AT("baud", BAUD), .sub = &baud_place, .help = "holds the speed"},
    {AT("parity", PARITY), .sub = &parity_place, .help = "holds the parity"},
    {AT("unlock", UNLOCK), .sub = &key_place, .help = "is written before the others"},
    {AT("save", SAVE), .sub = &key_place, .help = "is written behind the others"},
    {FIELD("power_cycle", power_cycle), .kind = CFG_BOOL,
     .help = "what was written counts once it was switched off and on"},
    {FIELD("before", before), .kind = CFG_STRING, .help = "what is to be done at the device first"},
    {FIELD("start", start), .kind = CFG_STRUCT, .sub = &start_table,
     .help = "the request that makes it measure"},
    {FIELD("terminals", terminals), .kind = CFG_STRING, .help = "their names, for people"},
    {FIELD("supply", supply), .kind = CFG_STRING, .help = "its voltage, for people"},
    {.key = NULL}};
const struct cfg_table collect_setup_table = {sizeof(struct collect_setup), fields};

/* ---- checks --------------------------------------------------------------------------------- */

static void check_codes(struct cfg *c, const struct collect_setup_place *p, const char *key)
{
    const struct collect_setup_code *v = p->codes.v;
    uint8_t raw[8];
    if (p->codes.n == 0 || p->codes.n > COLLECT_SETUP_CODES_MAX)
        cfg_complain(c, &p->codes, "setup.%s: 1 to %d codes", key, COLLECT_SETUP_CODES_MAX);
    for (size_t i = 0; i < p->codes.n && i < COLLECT_SETUP_CODES_MAX; i++) {
        if (collect_setup_encode(p, num_dec(v[i].code, 0), raw) == 0)
            cfg_complain(c, &v[i].code, "setup.%s: %lld does not fit a %s", key,
                         (long long)v[i].code, collect_type_words[p->type].word);
        for (size_t k = 0; k < i; k++)
            if (v[k].code == v[i].code)
                cfg_complain(c, &v[i].code, "setup.%s: the code %lld stands twice", key,
                             (long long)v[i].code);
    }
}

static void check_place(struct cfg *c, struct collect_setup_place *p, const char *key, bool written)
{
    const struct collect_type_info *t = &collect_types[p->type];
    uint8_t raw[8];
    if (t->regs == 0 || t->regs > 2 || t->form == COLLECT_BCD)
        cfg_complain(c, &p->type, "setup.%s: an integer or a float of at most 32 bits", key);
    else if (p->order & COLLECT_ORDER_WIDE)
        cfg_complain(c, &p->order, "setup.%s: an order of eight letters is for 64-bit types", key);
    if (p->address + t->regs > 65536)
        cfg_complain(c, &p->address, "setup.%s: ends beyond the last address, 65535", key);
    if (!written)
        return;
    if (p->function == 0)
        p->function = t->regs == 1 ? 6 : 16;
    if ((p->function != 6 && p->function != 16) || (p->function == 6 && t->regs > 1))
        cfg_complain(c, &p->function,
                     "setup.%s: registers are written with function 16, one alone with 6, too",
                     key);
    if (p->value.kind != NUM_NONE && collect_setup_encode(p, p->value, raw) == 0)
        cfg_complain(c, &p->value, "setup.%s: the value does not fit a %s", key,
                     collect_type_words[p->type].word);
}

static void check_start(struct cfg *c, const struct collect_setup_start *s)
{
    if (s->function != 3 && s->function != 6 && s->function != 16)
        cfg_complain(c, &s->function, "setup.start: a request with function 3, 6 or 16");
    else if (s->function == 6 ? cfg_given(c, &s->count) : !cfg_given(c, &s->count))
        cfg_complain(c, s, "setup.start: functions 3 and 16 have a count, 6 a value");
}

static void check_text(struct cfg *c, char *const *text, const char *key)
{
    if (!*text)
        return;
    bool plain = strlen(*text) <= COLLECT_SETUP_TEXT_BYTES;
    for (const char *p = *text; *p; p++)
        plain &= (unsigned char)*p >= ' ' && *p != 0x7f;
    if (!plain)
        cfg_complain(c, text, "setup.%s: at most %d bytes in one line", key,
                     COLLECT_SETUP_TEXT_BYTES);
}

bool collect_setup_check(struct cfg *c, struct collect_setup *s)
{
    static const char *const keys[COLLECT_SETUP_PLACES] = {
        [COLLECT_SETUP_UNLOCK] = "unlock", [COLLECT_SETUP_PARITY] = "parity",
        [COLLECT_SETUP_BAUD] = "baud",     [COLLECT_SETUP_UNIT] = "unit",
        [COLLECT_SETUP_SAVE] = "save",     [COLLECT_SETUP_IDENTITY] = "identity"};
    bool any = cfg_given(c, &s->power_cycle) || s->before || s->terminals || s->supply;
    for (int i = 0; i < COLLECT_SETUP_PLACES; i++) {
        struct collect_setup_place *p = &s->place[i];
        p->given = cfg_given(c, &p->address);
        any |= p->given;
        if (p->given)
            check_place(c, p, keys[i], i != COLLECT_SETUP_IDENTITY);
        if (p->given && (i == COLLECT_SETUP_BAUD || i == COLLECT_SETUP_PARITY))
            check_codes(c, p, keys[i]);
    }
    s->start.given = cfg_given(c, &s->start.function);
    if (s->start.given)
        check_start(c, &s->start);
    check_text(c, &s->before, "before");
    check_text(c, &s->terminals, "terminals");
    check_text(c, &s->supply, "supply");
    return any || s->start.given;
}

/* ---- values --------------------------------------------------------------------------------- */

/* As the integer that it is; false: it is none, or does not fit in 32 bits. */
static bool whole(struct num v, int64_t *i)
{
    double d = num_double(v);
    if (v.kind == NUM_NONE || d != floor(d) || d < -2147483648.0 || d > 4294967295.0)
        return false;
    *i = (int64_t)d;
    return true;
}

size_t collect_setup_encode(const struct collect_setup_place *p, struct num v, uint8_t out[8])
{
    const struct collect_type_info *t = &collect_types[p->type];
    unsigned bytes = 2U * t->regs, bits = 8 * bytes;
    uint32_t raw;
    int64_t i;
    if (bytes == 0 || bytes > 4 || v.kind == NUM_NONE)
        return 0;
    if (t->form == COLLECT_FLOAT) {
        float f = (float)num_double(v);
        memcpy(&raw, &f, sizeof raw);
    } else {
        bool is_signed = t->form == COLLECT_SIGNED;
        if (!whole(v, &i) || i < (is_signed ? -(INT64_C(1) << (bits - 1)) : 0) ||
            i >= INT64_C(1) << (is_signed ? bits - 1 : bits))
            return 0;
        raw = (uint32_t)i;
    }
    unsigned flip =
        (p->order & COLLECT_ORDER_WORDS ? bytes - 2 : 0) | (p->order & COLLECT_ORDER_BYTES ? 1 : 0);
    for (unsigned k = 0; k < bytes; k++)
        out[k ^ flip] = (uint8_t)(raw >> (bits - 8 - 8 * k));
    return bytes;
}
