/* What one of our nodes said of itself: its table, the profile that it makes, what a value is
 * worth. */
#include <stdio.h>
#include <string.h>

#include "gateway/collect/node_int.h"

#define EXPONENT_MAX 9 /* either way: a value of 32 bits stays exact in 64 */
#define COUNTER_END INT64_C(2147483648)
#define NAMES (2 * COLLECT_NODE_POINTS + 16)
#define NAME_BYTES 64
#define STALE_PERIODS 3U

static unsigned u16(const uint8_t *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

static int32_t s32(const uint8_t *p)
{
    return (int32_t)((uint32_t)u16(p) << 16 | u16(p + 2));
}

/* ---- the table ------------------------------------------------------------------------------ */

static void read_point(const uint8_t *p, unsigned entry, struct collect_node_point *to)
{
    const uint8_t *at[] = {p + (size_t)2 * NODE_POINTS_quantity,
                           p + (size_t)2 * NODE_POINTS_instance,
                           p + (size_t)2 * NODE_POINTS_exponent};
    *to = (struct collect_node_point){.quantity = (uint16_t)u16(at[0]),
                                      .instance = (uint16_t)u16(at[1]),
                                      .exponent = (int16_t)u16(at[2]),
                                      .sensor = UINT16_MAX};
    if (entry > NODE_POINTS_sensor)
        to->sensor = (uint16_t)u16(p + (size_t)2 * NODE_POINTS_sensor);
    if (entry >= NODE_POINTS_max + NODE_POINTS_max_COUNT) {
        to->min = s32(p + (size_t)2 * NODE_POINTS_min);
        to->max = s32(p + (size_t)2 * NODE_POINTS_max);
        to->ranged = to->min <= to->max;
    }
    if (entry > NODE_POINTS_flags)
        to->counter = u16(p + (size_t)2 * NODE_POINTS_flags) & 1;
}

/* Of an entry that is too short, or beyond what was read, nothing is known. */
static void read_periods(const struct collect_node_walk *w, unsigned length,
                         struct collect_node_table *t)
{
    unsigned read = length < COLLECT_NODE_TABLE ? length : COLLECT_NODE_TABLE;
    unsigned entry = u16(w->sensors), entries = u16(w->sensors + 2);
    if (read < 2 || entry <= NODE_SENSORS_period || entry * entries + 2 > length)
        return;
    unsigned head = length - entry * entries;
    for (unsigned i = 0; i < entries && i < COLLECT_NODE_POINTS; i++) {
        unsigned at = head + i * entry + NODE_SENSORS_period;
        if (at >= read)
            return;
        t->periods[t->nsensors++] = (uint16_t)u16(w->sensors + (size_t)2 * at);
    }
}

void collect_node_table_read(const struct collect_node_walk *w, struct collect_node_table *t)
{
    struct {
        char *text;
        unsigned offset;
    } texts[] = {{t->vendor, NODE_IDENTITY_vendor},
                 {t->model, NODE_IDENTITY_model},
                 {t->firmware, NODE_IDENTITY_firmware},
                 {t->serial, NODE_IDENTITY_serial}};
    struct collect_node_block points = {.id = 0}, sensors = {.id = 0};
    struct {
        unsigned id;
        struct collect_node_block *to;
    } blocks[] = {{NODE_IDENTITY, &t->identity},
                  {NODE_VALUES, &t->values},
                  {NODE_DIAGNOSTICS, &t->diagnostics},
                  {NODE_POINTS, &points},
                  {NODE_SENSORS, &sensors}};
    *t = (struct collect_node_table){.n = 0};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        collect_decode_text(w->identity + (size_t)2 * texts[i].offset, NODE_IDENTITY_vendor_COUNT,
                            0, texts[i].text, COLLECT_NODE_TEXT);
    for (size_t i = w->n; i-- > 0;) /* the first of a number stands */
        for (size_t k = 0; k < sizeof blocks / sizeof *blocks; k++)
            if (w->blocks[i].id == blocks[k].id)
                *blocks[k].to = w->blocks[i];
    unsigned entry = u16(w->points), head = points.length - entry * u16(w->points + 2);
    t->hash = (uint32_t)s32(w->identity + (size_t)2 * NODE_IDENTITY_hash);
    t->entries = u16(w->points + 2);
    t->entry = u16(w->values);
    t->head = t->values.length - t->entry * t->entries;
    t->n = t->entries < COLLECT_NODE_POINTS ? t->entries : COLLECT_NODE_POINTS;
    for (size_t i = 0; i < t->n; i++)
        read_point(w->points + 2 * (head + i * entry), entry, &t->points[i]);
    read_periods(w, sensors.length, t);
}

/* ---- as a profile --------------------------------------------------------------------------- */

struct writer {
    const struct collect_node_table *t;
    struct buf *out;
    char names[NAMES][NAME_BYTES]; /* that are given already */
    size_t nnames;
    char *said; /* the points, in words; or NULL */
    char *left; /* what is left out */
    size_t nsaid, nleft;
    unsigned written;
};

static bool is_new(const struct writer *w, const char *name)
{
    for (size_t i = 0; i < w->nnames; i++)
        if (strcmp(w->names[i], name) == 0)
            return false;
    return true;
}

/* A name that no other point has: by its number, 1 without it, else by the next that is free. */
static const char *name_of(struct writer *w, const char *base, unsigned number)
{
    char *name = w->names[w->nnames];
    for (unsigned n = 0; n == 0 || !is_new(w, name); n++) {
        unsigned as = n == 0 && number > 0 ? number : n == 0 ? 1 : n;
        (void)snprintf(name, NAME_BYTES, as > 1 ? "%.*s_%u" : "%.*s", NAME_BYTES - 8, base, as);
    }
    w->nnames++;
    return name;
}

static void power_text(int exponent, char text[16])
{
    int n = 0;
    if (exponent < 0)
        n = snprintf(text, 16, "0.%0*d", -exponent, 1);
    else
        n = snprintf(text, 16, "1%0*d", exponent > 0 ? exponent : 1, 0);
    if (exponent == 0)
        text[n - 1] = '\0';
}

static void leave_out(struct writer *w, const char *before, int v, const char *behind)
{
    char text[80];
    (void)snprintf(text, sizeof text, "%s%d%s", before, v, behind);
    (void)collect_append(w->left, w->nleft, 0, ", ", text);
}

/* What the sensor can measure, where that narrows what is plausible. */
static enum st put_valid(const struct writer *w, const struct collect_node_point *p,
                         const struct quantity *q, struct num scale)
{
    const struct num none = num_dec(0, 0);
    char low[NUM_TEXT_BYTES], high[NUM_TEXT_BYTES];
    struct num min, max;
    if (p->counter || !p->ranged || !num_scale(num_dec(p->min, 0), scale, none, &min) ||
        !num_scale(num_dec(p->max, 0), scale, none, &max))
        return ST_OK;
    if (q->limited && (num_cmp(max, num_dec(q->min, -q->decimals)) < 0 ||
                       num_cmp(min, num_dec(q->max, -q->decimals)) > 0))
        return ST_OK; /* nothing would be both */
    return buf_printf(w->out, ", valid: [%s, %s]", num_text(min, low), num_text(max, high));
}

/* A counter goes on from 0 behind the last number that it can have. */
static enum st put_rollover(const struct writer *w, const struct collect_node_point *p,
                            const struct quantity *q, struct num scale)
{
    char text[NUM_TEXT_BYTES];
    struct num end;
    if (!p->counter || !q->counter ||
        !num_scale(num_dec(COUNTER_END, 0), scale, num_dec(0, 0), &end))
        return ST_OK;
    return buf_printf(w->out, ", rollover: %s", num_text(end, text));
}

/* What its sensor says of itself, once for each sensor: a status of its first point. */
static enum st put_state(struct writer *w, size_t i, const char *name, unsigned address)
{
    static const char *const states[NODE_STATES] = {
        [NODE_GOOD] = "name: good",
        [NODE_STARTING] = "name: starting",
        [NODE_ABSENT] = "name: absent, severity: error, do: \"This sensor of the node does not "
                        "answer: check its plug and cable.\"",
        [NODE_FAULT] = "name: fault, severity: error, do: \"This sensor of the node answers what "
                       "cannot be: check its cable, then change it.\"",
        [NODE_LIMITS] = "name: beyond its limits",
        [NODE_STALE] = "name: stale, severity: warning, do: \"This sensor of the node measures no "
                       "more: restart the node.\"",
        [NODE_CALIBRATING] = "name: calibrating"};
    char base[NAME_BYTES];
    for (size_t k = 0; k < i; k++)
        if (w->t->points[k].sensor == w->t->points[i].sensor &&
            quantity_by_id(w->t->points[k].quantity) && w->t->points[i].sensor != UINT16_MAX)
            return ST_OK;
    (void)snprintf(base, sizeof base, "%.*s_sensor", NAME_BYTES - 16, name);
    ERR_TRY(buf_printf(w->out,
                       "  - name: %s\n    function: 3\n    address: %u\n    type: u16\n"
                       "    states:\n",
                       name_of(w, base, 1), address + NODE_VALUES_state));
    for (int s = 0; s < NODE_STATES; s++)
        ERR_TRY(buf_printf(w->out, "      - {value: %d, %s}\n", s, states[s]));
    return ST_OK;
}

static enum st put_point(struct writer *w, size_t i)
{
    const struct collect_node_table *t = w->t;
    const struct collect_node_point *p = &t->points[i];
    const struct quantity *q = quantity_by_id(p->quantity);
    unsigned address = t->values.address + t->head + (unsigned)i * t->entry;
    char scale[16];
    struct num power;
    if (!q) {
        leave_out(w, "quantity ", p->quantity,
                  ", which is not known here (a newer fieldpost may know it)");
        return ST_OK;
    }
    if (p->exponent < -EXPONENT_MAX || p->exponent > EXPONENT_MAX) {
        leave_out(w, "a point of the exponent ", p->exponent, ", which cannot be");
        return ST_OK;
    }
    power_text(p->exponent, scale);
    if (!num_parse(scale, &power))
        return ST_BAD;
    const char *name = name_of(w, q->key, p->instance);
    if (w->said)
        (void)collect_append(w->said, w->nsaid, 0, w->written > 0 ? ", " : "", name);
    w->written++;
    ERR_TRY(buf_printf(w->out,
                       "  - {name: %s, quantity: %s, function: 3, address: %u, type: s32, scale: "
                       "%s, no_value: [%d]",
                       name, q->key, address, scale, NODE_NO_VALUE));
    ERR_TRY(put_valid(w, p, q, power));
    ERR_TRY(put_rollover(w, p, q, power));
    ERR_TRY(buf_printf(w->out, "}\n"));
    return put_state(w, i, name, address);
}

/* Of the node itself; what its block is too short for is left out. */
static enum st put_own(struct writer *w)
{
    static const struct {
        unsigned end, offset;
        const char *name, *rest;
    } own[] = {
#define OWN(reg) NODE_DIAGNOSTICS_##reg + NODE_DIAGNOSTICS_##reg##_COUNT, NODE_DIAGNOSTICS_##reg
        {OWN(boots), "node_boots", "quantity: counter, type: u32"},
        {OWN(uptime), "node_uptime", "quantity: uptime, type: u32"},
        {OWN(watchdogs), "node_watchdogs", "quantity: counter, type: u16"},
        {OWN(crc_errors), "node_crc_errors", "quantity: number, type: u32"},
        {OWN(supply), "node_supply",
         "quantity: supply_voltage, type: u16, scale: 0.001, no_value: [0xFFFF]"},
        {OWN(temperature), "node_temperature",
         "quantity: device_temperature, type: s16, scale: 0.1, no_value: [0x8000]"},
        {OWN(reset_cause), "node_reset",
         "type: u16, states: [{value: 0, name: unknown}, {value: 1, name: power}, {value: 2, name: "
         "watchdog, severity: warning}, {value: 3, name: command}, {value: 4, name: fault, "
         "severity: warning}]"}};
#undef OWN
    const struct collect_node_table *t = w->t;
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (own[i].end <= t->diagnostics.length)
            ERR_TRY(buf_printf(w->out, "  - {name: %s, function: 3, address: %u, %s}\n",
                               own[i].name, t->diagnostics.address + own[i].offset, own[i].rest));
    ERR_TRY(buf_printf(w->out,
                       "  - {name: node_firmware, function: 3, address: %u, type: string, count: "
                       "%d}\n",
                       t->identity.address + NODE_IDENTITY_firmware, NODE_IDENTITY_firmware_COUNT));
    return buf_printf(w->out,
                      "  - {name: node_serial, identity: serial, function: 3, address: %u, type: "
                      "string, count: %d}\n",
                      t->identity.address + NODE_IDENTITY_serial, NODE_IDENTITY_serial_COUNT);
}

/* A text of the device between quotes: its letters are printable ASCII (collect_decode_text). */
static void quote(const char *text, char *out)
{
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            *out++ = '\\';
        *out++ = *text;
    }
    *out = '\0';
}

static enum st put_all(struct writer *w)
{
    const struct collect_node_table *t = w->t;
    char vendor[2 * COLLECT_NODE_TEXT], model[2 * COLLECT_NODE_TEXT];
    quote(t->vendor, vendor);
    quote(t->model, model);
    ERR_TRY(
        buf_printf(w->out,
                   "# What this node says of itself. fieldpost wrote it, and writes it anew when "
                   "the node says\n# something else.\nmodel: \"%s%s%s\"\nwhat: sensor node\n"
                   "source: the node itself\nverified: true\n",
                   vendor, *vendor && *model ? " " : "", *model || *vendor ? model : "node"));
    ERR_TRY(buf_printf(w->out, "node: {values: %u, length: %u, head: %u, entry: %u",
                       t->values.address, t->values.length, t->head, t->entry));
    if (t->diagnostics.length > 0)
        ERR_TRY(buf_printf(w->out, ", diagnostics: %u", t->diagnostics.address));
    ERR_TRY(buf_printf(w->out, "}\npoints:\n"));
    for (size_t i = 0; i < t->n; i++)
        ERR_TRY(put_point(w, i));
    if (t->entries > t->n)
        leave_out(w, "the points behind the first ", COLLECT_NODE_POINTS, "");
    return put_own(w);
}

enum st collect_node_profile(const struct collect_node_table *t, struct buf *out, char *said,
                             size_t n)
{
    char left[300] = "";
    struct writer w = {
        .t = t, .out = out, .said = said, .nsaid = n, .left = left, .nleft = sizeof left};
    if (said)
        (void)snprintf(said, n, "%s%s%s: ", t->vendor, *t->vendor && *t->model ? " " : "",
                       t->model);
    ERR_TRY(put_all(&w));
    if (said && *left)
        (void)collect_append(said, n, 0, "; left out: ", left);
    return ST_OK;
}

/* ---- what a value is worth ------------------------------------------------------------------ */

bool collect_node_counts(unsigned state, unsigned age, unsigned period, uint16_t *q, bool *stale)
{
    *q = state == NODE_LIMITS ? WIRE_Q_LIMITS : state == NODE_CALIBRATING ? WIRE_Q_CALIBRATING : 0;
    *stale = false;
    if (state != NODE_GOOD && state != NODE_LIMITS && state != NODE_CALIBRATING)
        return false;
    *stale = age == NODE_NEVER || (period > 0 && age > STALE_PERIODS * period);
    return !*stale;
}
