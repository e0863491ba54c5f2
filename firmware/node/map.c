/* What the registers of sensors/node.def say, and what may be written to them. */
#include "firmware/bytes.h"
#include "firmware/node/map_int.h"

/* The registers in the order of node_regs: a switch over all of them is complete or a warning. */
#define NODE_REG(block, name, offset, type, count, may) REG_##block##_##name,
#define NODE_FIELD NODE_REG
enum reg {
#include "sensors/node.def"
    REGS
};
#undef NODE_REG
#undef NODE_FIELD

#define LINE_OF_ONE (NODE_LINE_new_address + NODE_LINE_new_address_COUNT - NODE_LINE_for_serial)

/* ---- reading ----------------------------------------------------------------------------------
 */

static uint32_t instance_of(const struct measure *m, unsigned p)
{
    uint32_t n = 1;
    for (unsigned k = 0; k < p; k++)
        n += measure_point(m, k)->quantity == measure_point(m, p)->quantity;
    return n;
}

static const struct measure_value *value_of(const struct node *n, struct block *b, unsigned e)
{
    if (b->valued != e + 1)
        b->value = measure_value(&n->measure, e, n->now_ms);
    b->valued = e + 1;
    return &b->value;
}

/* What a register says; of a text where it is. e: the entry. */
static uint32_t number_of(struct node *n, struct block *b, enum reg r, unsigned e,
                          const char **text)
{
    const struct measure *m = &n->measure;
    const struct config_kept *kept = &n->config.kept;
    const struct config_line *line = line_shown(&n->line);
    switch (r) {
    case REG_IDENTITY_vendor:
        *text = NODE_VENDOR;
        return 0;
    case REG_IDENTITY_model:
        *text = n->board->model;
        return 0;
    case REG_IDENTITY_firmware:
        *text = n->firmware;
        return 0;
    case REG_IDENTITY_serial:
        *text = n->serial;
        return 0;
    case REG_IDENTITY_hash:
    case REG_VALUES_hash:
        return n->hash;
    case REG_POINTS_entry_length:
        return NODE_POINTS_ENTRY;
    case REG_VALUES_entry_length:
        return NODE_VALUES_ENTRY;
    case REG_CALIBRATION_entry_length:
        return NODE_CALIBRATION_ENTRY;
    case REG_POINTS_entries:
    case REG_VALUES_entries:
    case REG_CALIBRATION_entries:
        return m->npoints;
    case REG_SENSORS_entry_length:
        return NODE_SENSORS_ENTRY;
    case REG_SENSORS_entries:
        return m->nsensors;
    case REG_DIAGNOSTICS_boots:
        return n->counters.now.boots;
    case REG_DIAGNOSTICS_uptime:
        return n->uptime_s;
    case REG_DIAGNOSTICS_reset_cause:
        return n->reset_cause;
    case REG_DIAGNOSTICS_watchdogs:
        return n->counters.now.watchdogs;
    case REG_DIAGNOSTICS_requests:
        return n->slave.requests;
    case REG_DIAGNOSTICS_crc_errors:
        return n->frame.crc_errors;
    case REG_DIAGNOSTICS_exceptions:
        return n->slave.exceptions;
    case REG_DIAGNOSTICS_overruns:
        return n->frame.flaws;
    case REG_DIAGNOSTICS_recoveries:
        return port_i2c_recoveries();
    case REG_DIAGNOSTICS_memory_faults:
        return n->config.record.faults + (uint32_t)n->counters.record.faults;
    case REG_DIAGNOSTICS_supply:
        return port_supply_mv();
    case REG_DIAGNOSTICS_temperature:
        return (uint32_t)port_temperature_dc();
    case REG_DIAGNOSTICS_stack_free:
        return port_stack_free();
    case REG_LINE_address:
        return line->address;
    case REG_LINE_speed:
        return line->speed;
    case REG_LINE_parity:
        return line->parity;
    case REG_LINE_stop_bits:
        return line->stop_bits;
    case REG_LINE_trial:
        return line_trial_s(&n->line, n->now_ms);
    case REG_POINTS_quantity:
        return measure_point(m, e)->quantity;
    case REG_POINTS_instance:
        return instance_of(m, e);
    case REG_POINTS_exponent:
        return (uint32_t)measure_point(m, e)->exponent;
    case REG_POINTS_sensor:
        return m->sensor_of[e];
    case REG_POINTS_min:
        return (uint32_t)measure_point(m, e)->min;
    case REG_POINTS_max:
        return (uint32_t)measure_point(m, e)->max;
    case REG_POINTS_flags:
        return measure_point(m, e)->counter ? 1 : 0;
    case REG_VALUES_raw:
        return (uint32_t)value_of(n, b, e)->raw;
    case REG_VALUES_state:
        return value_of(n, b, e)->state;
    case REG_VALUES_age:
        return value_of(n, b, e)->age_ds;
    case REG_VALUES_samples:
        return value_of(n, b, e)->samples;
    case REG_SENSORS_driver:
        return m->chips[e].driver->id;
    case REG_SENSORS_state:
        return measure_state(m, e, n->now_ms);
    case REG_SENSORS_errors:
        return m->sensor[e].errors;
    case REG_SENSORS_period:
        return measure_period_ds(m, e);
    case REG_SENSORS_calibrating:
        return measure_calibrating(m, e, n->now_ms);
    case REG_SENSORS_serial:
        *text = (const char *)kept->serial[e];
        return 0;
    case REG_CALIBRATION_gain:
        return (uint32_t)kept->calibration[e].gain;
    case REG_CALIBRATION_offset:
        return (uint32_t)kept->calibration[e].offset;
    case REG_LINE_for_serial:
        *text = "";
        return 0;
    case REG_LINE_command: /* these read as nothing */
    case REG_LINE_new_address:
    case REG_POINTS_spare:
    case REG_SENSORS_spare:
    case REGS:
        break;
    }
    return 0;
}

/* Writes the piece's registers from `at` to `end` to p. */
static uint8_t *put(struct node *n, struct block *b, const struct piece *piece, unsigned at,
                    unsigned end, uint8_t *p)
{
    const char *text = NULL;
    uint32_t number = piece->number;
    unsigned length = 0;
    if (piece->reg >= 0)
        number = number_of(n, b, (enum reg)piece->reg, piece->entry, &text);
    while (text && length < 2 * piece->count && text[length])
        length++;
    for (; at < end && at < piece->at + piece->count; at++, p += 2) {
        unsigned i = at - piece->at;
        if (text) {
            p[0] = 2 * i < length ? (uint8_t)text[2 * i] : 0;
            p[1] = 2 * i + 1 < length ? (uint8_t)text[2 * i + 1] : 0;
        } else {
            bytes_put_u16(p, (uint16_t)(number >> 16 * (piece->count - 1 - i)));
        }
    }
    return p;
}

static enum slave_exception map_read(void *ctx, unsigned at, unsigned count, uint8_t *p)
{
    struct node *n = ctx;
    struct block b = {0};
    struct piece piece;
    unsigned end = at + count;
    while (at < end) {
        if (!map_find(n, at, &b, &piece))
            return SLAVE_ADDRESS;
        p = put(n, &b, &piece, at, end, p);
        at = piece.at + piece.count;
    }
    return SLAVE_DONE;
}

uint32_t node_hash(struct node *n)
{
    uint8_t two[2];
    struct block b = {0};
    uint32_t crc = 0;
    while (b.id != NODE_POINTS && map_next_block(n, &b))
        ;
    for (unsigned i = 0; i < b.length; i++) {
        (void)map_read(n, b.base + 2 + i, 1, two);
        crc = node_crc32(crc, two, sizeof two);
    }
    return crc;
}

/* ---- writing: all of a request is looked at before any of it is done ----------------------------
 */

static bool is_text(const uint8_t *p, unsigned n)
{
    unsigned i = 0;
    while (i < n && p[i] >= ' ' && p[i] <= '~')
        i++;
    while (i < n && p[i] == 0)
        i++;
    return i == n;
}

static enum slave_exception set_line(struct node *n, enum reg r, unsigned v, bool act)
{
    struct config_line as = *line_shown(&n->line);
    if (v > UINT8_MAX && r != REG_LINE_speed)
        return SLAVE_VALUE;
    if (r == REG_LINE_address)
        as.address = (uint8_t)v;
    else if (r == REG_LINE_speed)
        as.speed = (uint16_t)v;
    else if (r == REG_LINE_parity)
        as.parity = (uint8_t)v;
    else
        as.stop_bits = (uint8_t)v;
    if (!config_line_is_good(&as))
        return SLAVE_VALUE;
    if (act)
        line_write(&n->line, &as, n->now_ms);
    return SLAVE_DONE;
}

/* What is to be kept but cannot is refused. */
static bool keeps(const struct node *n)
{
    return n->config.record.slots > 0 && !n->config.record.failed;
}

static enum slave_exception set_command(struct node *n, unsigned v, bool act)
{
    if (v < NODE_COMMAND_TRY || v > NODE_COMMAND_RESTART)
        return SLAVE_VALUE;
    if (v == NODE_COMMAND_KEEP && !keeps(n))
        return SLAVE_DEVICE;
    if (act && line_command(&n->line, v, &n->config.kept.line, n->now_ms))
        record_save(&n->config.record);
    return SLAVE_DONE;
}

static enum slave_exception set_kept(struct node *n, enum reg r, unsigned e, const uint8_t *p,
                                     bool act)
{
    struct config_kept *kept = &n->config.kept;
    bool good = true;
    if (r == REG_SENSORS_period)
        good = bytes_u16(p) >= MEASURE_PERIOD_MIN;
    else if (r == REG_SENSORS_serial)
        good = is_text(p, CONFIG_TEXT);
    else
        good = !measure_point(&n->measure, e)->counter || bytes_u32(p) == 0;
    if (!good)
        return SLAVE_VALUE;
    if (!keeps(n))
        return SLAVE_DEVICE;
    if (!act)
        return SLAVE_DONE;
    if (r == REG_SENSORS_period) {
        kept->period_ds[e] = bytes_u16(p);
        measure_period_changed(&n->measure, e, n->now_ms);
    } else if (r == REG_CALIBRATION_gain) {
        kept->calibration[e].gain = (int32_t)bytes_u32(p);
    } else if (r == REG_CALIBRATION_offset) {
        kept->calibration[e].offset = (int32_t)bytes_u32(p);
    }
    for (unsigned i = 0; r == REG_SENSORS_serial && i < CONFIG_TEXT; i++)
        kept->serial[e][i] = p[i];
    record_save(&n->config.record);
    return SLAVE_DONE;
}

static enum slave_exception set_calibrating(struct node *n, unsigned e, unsigned v, bool act)
{
    if (v > MEASURE_CALIBRATING_MAX)
        return SLAVE_VALUE;
    if (act)
        measure_calibrate(&n->measure, e, (uint16_t)v, n->now_ms);
    return SLAVE_DONE;
}

/* One register of the table, whole; p: its bytes. */
static enum slave_exception set(struct node *n, const struct piece *piece, const uint8_t *p,
                                bool act)
{
    enum reg r = (enum reg)piece->reg;
    if (r == REG_LINE_address || r == REG_LINE_speed || r == REG_LINE_parity ||
        r == REG_LINE_stop_bits)
        return set_line(n, r, bytes_u16(p), act);
    if (r == REG_LINE_command)
        return set_command(n, bytes_u16(p), act);
    if (r == REG_SENSORS_calibrating)
        return set_calibrating(n, piece->entry, bytes_u16(p), act);
    if (r == REG_SENSORS_period || r == REG_SENSORS_serial || r == REG_CALIBRATION_gain ||
        r == REG_CALIBRATION_offset)
        return set_kept(n, r, piece->entry, p, act);
    return SLAVE_ADDRESS; /* for_serial and new_address: by a broadcast alone */
}

/* A broadcast is for the node whose serial number it names. */
static void assign(struct node *n, unsigned at, unsigned count, const uint8_t *p)
{
    struct block b = {0};
    unsigned address = bytes_u16(p + 2 * (count - 1));
    while (b.id != NODE_LINE && map_next_block(n, &b))
        ;
    if (at != b.base + 2 + NODE_LINE_for_serial || count != LINE_OF_ONE || n->serial[0] == '\0')
        return;
    for (unsigned i = 0; i < sizeof n->serial - 1; i++) {
        if (p[i] != (uint8_t)n->serial[i])
            return;
    }
    struct config_line as = n->line.now;
    as.address = (uint8_t)address;
    if (address <= UINT8_MAX && config_line_is_good(&as))
        line_assign(&n->line, as.address, n->now_ms);
}

static enum slave_exception map_write(void *ctx, unsigned at, unsigned count, const uint8_t *p,
                                      bool to_all)
{
    struct node *n = ctx;
    if (to_all) {
        assign(n, at, count, p);
        return SLAVE_DONE;
    }
    for (unsigned act = 0; act < 2; act++) {
        struct block b = {0};
        struct piece piece;
        for (unsigned i = 0; i < count; i += piece.count) {
            if (!map_find(n, at + i, &b, &piece) || piece.reg < 0 || piece.at != at + i ||
                piece.count > count - i || node_regs[piece.reg].may != NODE_WRITE)
                return SLAVE_ADDRESS;
            enum slave_exception e = set(n, &piece, p + 2 * i, act > 0);
            if (e != SLAVE_DONE)
                return e;
        }
    }
    return SLAVE_DONE;
}

static const char *map_object(void *ctx, unsigned id)
{
    const struct node *n = ctx;
    switch (id) {
    case 0:
        return NODE_VENDOR;
    case 1: /* product code */
    case 5: /* model */
        return n->board->model;
    case 2:
        return n->firmware;
    case 4:
        return "sensor node";
    default: /* 3, an address in the web, and 6, the user's own name for it */
        return NULL;
    }
}

struct slave_map node_map(struct node *n)
{
    return (struct slave_map){map_read, map_write, map_object, n};
}
