/* Giving a device its address, speed and parity: who is there, the writes, what was written, and
 * where it answers then. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/collect/node_int.h"
#include "gateway/collect/setup_int.h"

#define RETURN_TRIES 20 /* for one that was switched off and on, each a time-out */
#define WRITE_TRIES 3   /* read-backs of one write */

static const char *const keys[COLLECT_SETUP_PLACES] = {[COLLECT_SETUP_UNLOCK] = "unlock",
                                                       [COLLECT_SETUP_PARITY] = "parity",
                                                       [COLLECT_SETUP_BAUD] = "baud",
                                                       [COLLECT_SETUP_UNIT] = "unit",
                                                       [COLLECT_SETUP_SAVE] = "save"};

__attribute__((format(printf, 2, 3))) static void say(const struct collect_setup_job *j,
                                                      const char *format, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    j->talk->say(j->talk->ctx, text);
}

/* ---- what is to be written ------------------------------------------------------------------- */

/* The code that stands for what is wanted, or NULL. stop_bits of parity: whatever goes with it. */
static const struct collect_setup_code *code_of(const struct collect_setup_place *p, int64_t baud,
                                                int parity)
{
    const struct collect_setup_code *v = p->codes.v;
    for (size_t i = 0; i < p->codes.n; i++)
        if (baud > 0 ? v[i].baud == baud : v[i].parity == parity)
            return &v[i];
    return NULL;
}

/* What is written to a place; false: nothing is. */
static bool value_of(const struct collect_setup_job *j, enum collect_setup_what what, struct num *v)
{
    const struct collect_setup_place *p = &j->setup->place[what];
    const struct collect_setup_code *code = NULL;
    if (!p->given || j->ask->to_unit == 0)
        return false;
    switch (what) {
    case COLLECT_SETUP_UNLOCK:
    case COLLECT_SETUP_SAVE:
        *v = p->value;
        return true;
    case COLLECT_SETUP_UNIT:
        *v = num_dec(j->ask->to_unit, 0);
        return j->ask->to_unit != j->ask->unit;
    case COLLECT_SETUP_BAUD:
        code = j->ask->to_baud > 0 ? code_of(p, j->ask->to_baud, 0) : NULL;
        break;
    case COLLECT_SETUP_PARITY:
        code = j->ask->to_parity ? code_of(p, 0, j->ask->to_parity) : NULL;
        break;
    default:
        break;
    }
    if (code)
        *v = num_dec(code->code, 0);
    return code != NULL;
}

/* Where the device is once that place is written. */
static struct collect_setup_where moved(const struct collect_setup_job *j,
                                        enum collect_setup_what what)
{
    struct collect_setup_where w = j->at;
    if (what == COLLECT_SETUP_UNIT)
        w.unit = j->to.unit;
    if (what == COLLECT_SETUP_BAUD)
        w.baud = j->to.baud;
    if (what == COLLECT_SETUP_PARITY) {
        w.parity = j->to.parity;
        w.stop_bits = j->to.stop_bits;
    }
    return w;
}

static enum st check(struct collect_setup_job *j, struct err *e)
{
    const struct collect_setup_ask *a = j->ask;
    const struct collect_setup_place *place = j->setup->place;
    const char *model = j->profile->model;
    if (a->to_unit == 0)
        return j->setup->start.given && !j->node
                   ? ST_OK
                   : err_set(e, ST_BAD, "%s needs no start command: say --to-unit", model);
    if (!place[COLLECT_SETUP_UNIT].given)
        return err_set(e, ST_BAD, "the profile of %s does not say which register holds its unit",
                       model);
    if (j->bus->type != COLLECT_RTU && (a->to_baud > 0 || a->to_parity))
        return err_set(e, ST_BAD, "bus %s goes over TCP: it has no speed and no parity",
                       j->bus->id);
    if (a->to_baud > 0 &&
        (!place[COLLECT_SETUP_BAUD].given || !code_of(&place[COLLECT_SETUP_BAUD], a->to_baud, 0)))
        return err_set(e, ST_BAD, "the profile of %s does not say how it is set to %lld baud",
                       model, (long long)a->to_baud);
    const struct collect_setup_code *parity =
        a->to_parity && place[COLLECT_SETUP_PARITY].given
            ? code_of(&place[COLLECT_SETUP_PARITY], 0, a->to_parity)
            : NULL;
    if (a->to_parity && !parity)
        return err_set(e, ST_BAD, "the profile of %s does not say how its parity is set", model);
    if (parity) {
        j->to.parity = parity->parity;
        j->to.stop_bits = parity->stop_bits;
    }
    if (a->to_baud > 0)
        j->to.baud = a->to_baud;
    j->to.unit = a->to_unit;
    return ST_OK;
}

/* ---- requests -------------------------------------------------------------------------------- */

static size_t write_pdu(const struct collect_setup_place *p, const uint8_t *raw, size_t bytes,
                        uint8_t pdu[16])
{
    (void)collect_setup_read((unsigned)p->function, (unsigned)p->address, (unsigned)bytes / 2, pdu);
    size_t at = 3;
    if (p->function == 16) {
        pdu[5] = (uint8_t)bytes;
        at = 6;
    }
    memcpy(pdu + at, raw, bytes);
    return at + bytes;
}

/* ---- writing --------------------------------------------------------------------------------- */

/* Nothing is begun for one who has gone; what is begun is done to its end. */
static enum st begin(struct collect_setup_job *j, struct err *e)
{
    if (!j->done->written && !j->talk->there(j->talk->ctx))
        return err_set(e, ST_STOPPED, "nothing was written: who asked for it has gone");
    j->done->written = true;
    return ST_OK;
}

static void hex(const uint8_t *p, size_t n, char text[17])
{
    for (size_t i = 0; i < n && i < 8; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", p[i]);
}

static void show(const struct collect_setup_job *j, enum collect_setup_what what, struct num v)
{
    const struct collect_setup_place *p = &j->setup->place[what];
    uint8_t raw[8];
    char bytes[17] = "", text[NUM_TEXT_BYTES];
    hex(raw, collect_setup_encode(p, v, raw), bytes);
    say(j, "write %s: function %lld, address 0x%04llx = %s (%s)", keys[what],
        (long long)p->function, (long long)p->address, bytes, num_text(v, text));
}

/* Whether the register says what was written, where the line is now. */
static bool reads_back(struct collect_setup_job *j, const struct collect_setup_place *p, int unit,
                       const uint8_t *raw, size_t bytes)
{
    struct collect_setup_answer a;
    uint8_t pdu[5];
    size_t n = collect_setup_read(3, (unsigned)p->address, (unsigned)bytes / 2, pdu);
    return collect_setup_ask(&j->line, unit, pdu, n, false, &a) == COLLECT_HEARD_ONE &&
           a.n == bytes + 2 && memcmp(a.pdu + 2, raw, bytes) == 0;
}

/* Looks for what was written: where the device was, or where it is now when it follows at once. */
static enum st read_back(struct collect_setup_job *j, enum collect_setup_what what,
                         const uint8_t *raw, size_t bytes, struct err *e)
{
    struct collect_setup_where old = j->at, new = moved(j, what);
    char a[64], b[64];
    for (int i = 0; i < WRITE_TRIES; i++) {
        ERR_TRY(collect_setup_go(j, &old, e));
        if (reads_back(j, &j->setup->place[what], old.unit, raw, bytes))
            return ST_OK;
        ERR_TRY(collect_setup_go(j, &new, e));
        if (reads_back(j, &j->setup->place[what], new.unit, raw, bytes)) {
            j->at = new;
            return ST_OK;
        }
    }
    ERR_TRY(collect_setup_go(j, &new, e)); /* a stop */
    return err_set(e, ST_CONFLICT,
                   "%s was written, and reads back neither at %s nor at %s: switch the device off "
                   "and on, and look for it with fieldpost scan",
                   keys[what], collect_setup_where_text(j, &old, a),
                   collect_setup_where_text(j, &new, b));
}

static enum st write_one(struct collect_setup_job *j, enum collect_setup_what what, struct err *e)
{
    const struct collect_setup_place *p = &j->setup->place[what];
    struct collect_setup_answer a;
    uint8_t raw[8], pdu[16];
    struct num v;
    if (!value_of(j, what, &v))
        return ST_OK;
    size_t bytes = collect_setup_encode(p, v, raw);
    size_t n = bytes > 0 ? write_pdu(p, raw, bytes, pdu) : 0;
    if (n == 0)
        return err_set(e, ST_BAD, "%s: the value does not fit its register", keys[what]);
    ERR_TRY(collect_setup_go(j, &j->at, e));
    show(j, what, v);
    ERR_TRY(begin(j, e));
    enum collect_heard_what h = collect_setup_ask(&j->line, j->at.unit, pdu, n, false, &a);
    if (h == COLLECT_HEARD_LOST)
        return collect_setup_lost(j, e);
    if (h == COLLECT_HEARD_REFUSAL)
        return err_set(e, ST_REFUSED, "it refuses %s (code %u)%s%s", keys[what], a.pdu[1],
                       j->setup->before ? ": " : "", j->setup->before ? j->setup->before : "");
    /* a key and a command need not read back as they were written */
    return what == COLLECT_SETUP_UNLOCK || what == COLLECT_SETUP_SAVE
               ? ST_OK
               : read_back(j, what, raw, bytes, e);
}

/* Waits for it at its new place, and for all registers to say so. */
static enum st prove(struct collect_setup_job *j, struct err *e)
{
    struct collect_setup_answer a;
    char text[64];
    enum collect_heard_what h = COLLECT_HEARD_NOTHING;
    for (int i = 0; i < RETURN_TRIES && h != COLLECT_HEARD_ONE; i++) {
        ERR_TRY(collect_setup_go(j, &j->to, e)); /* a stop */
        h = collect_setup_probe(j, j->to.unit, false, &a);
    }
    if (h != COLLECT_HEARD_ONE)
        return err_set(e, ST_NOT_FOUND, "nobody answers at %s, where it should be now",
                       collect_setup_where_text(j, &j->to, text));
    for (int what = COLLECT_SETUP_PARITY; what <= COLLECT_SETUP_UNIT; what++) {
        uint8_t raw[8];
        struct num v;
        if (!value_of(j, (enum collect_setup_what)what, &v))
            continue;
        size_t bytes = collect_setup_encode(&j->setup->place[what], v, raw);
        bool same = reads_back(j, &j->setup->place[what], j->to.unit, raw, bytes);
        ERR_TRY(collect_setup_go(j, &j->to, e)); /* a stop */
        if (!same)
            return err_set(e, ST_CONFLICT, "at %s, %s does not read back as it was written",
                           collect_setup_where_text(j, &j->to, text), keys[what]);
    }
    return ST_OK;
}

static void show_start(const struct collect_setup_job *j)
{
    say(j, "start: function %lld, address 0x%04llx", (long long)j->setup->start.function,
        (long long)j->setup->start.address);
}

static enum st start(struct collect_setup_job *j, struct err *e)
{
    const struct collect_setup_start *s = &j->setup->start;
    struct collect_setup_answer a;
    uint8_t pdu[16];
    bool one = s->function == 6;
    size_t n = collect_setup_read((unsigned)s->function, (unsigned)s->address,
                                  (unsigned)(one ? s->value : s->count), pdu);
    if (s->function == 16) {
        pdu[n++] = (uint8_t)(2 * s->count);
        for (int64_t i = 0; i < s->count; i++) {
            pdu[n++] = (uint8_t)(s->value >> 8);
            pdu[n++] = (uint8_t)s->value;
        }
    }
    ERR_TRY(collect_setup_go(j, &j->to, e));
    show_start(j);
    ERR_TRY(begin(j, e));
    enum collect_heard_what h = collect_setup_ask(&j->line, j->to.unit, pdu, n, false, &a);
    if (h == COLLECT_HEARD_LOST)
        return collect_setup_lost(j, e);
    return h == COLLECT_HEARD_ONE ? ST_OK
                                  : err_set(e, ST_CONFLICT, "it did not take the start command");
}

/* ---- the whole ------------------------------------------------------------------------------- */

static void show_all(struct collect_setup_job *j)
{
    struct num v;
    char from[64], to[64];
    if (j->ask->to_unit > 0)
        say(j, "%s: %s becomes %s", j->profile->model, collect_setup_where_text(j, &j->at, from),
            collect_setup_where_text(j, &j->to, to));
    if (j->setup->terminals)
        say(j, "terminals: %s", j->setup->terminals);
    if (j->setup->supply)
        say(j, "supply: %s", j->setup->supply);
    if (j->setup->before)
        say(j, "first: %s", j->setup->before);
    if (!j->ask->write && j->node) {
        say(j,
            "where its registers are is found by asking it; it is tried at its new place, and "
            "goes back by itself after %d s unless it is found there",
            NODE_TRIAL_S);
        return;
    }
    for (int i = 0; !j->ask->write && i <= COLLECT_SETUP_SAVE; i++)
        if (value_of(j, (enum collect_setup_what)i, &v))
            show(j, (enum collect_setup_what)i, v);
    if (!j->ask->write && j->setup->power_cycle && j->ask->to_unit > 0)
        say(j, "then it is to be switched off and on");
    if (!j->ask->write && j->setup->start.given)
        show_start(j);
}

static enum st write_all(struct collect_setup_job *j, struct err *e)
{
    if (j->setup->before && !j->talk->ask(j->talk->ctx, "Do that first, then press Enter."))
        return err_set(e, ST_STOPPED, "nothing was written");
    for (int i = 0; i <= COLLECT_SETUP_SAVE; i++)
        ERR_TRY(write_one(j, (enum collect_setup_what)i, e));
    if (j->setup->power_cycle &&
        !j->talk->ask(j->talk->ctx, "Switch the device off and on again, then press Enter."))
        return err_set(e, ST_STOPPED, "it was written, but nobody switched it off and on");
    return prove(j, e);
}

static enum st run(struct collect_setup_job *j, struct err *e)
{
    struct collect_setup_answer a;
    struct err unheard;
    ERR_TRY(collect_setup_find(j, e));
    if (j->node)
        ERR_TRY(collect_setup_node_find(j, e));
    j->from = j->at;
    if (j->to.unit != j->at.unit)
        ERR_TRY(collect_setup_free(j, &j->at, e));
    if (!collect_setup_same_line(&j->at, &j->to))
        ERR_TRY(collect_setup_free(j, &j->to, e));
    if (j->ask->to_unit > 0)
        ERR_TRY(write_all(j, e));
    if (j->setup->start.given)
        ERR_TRY(start(j, e));
    if (j->from.unit == j->to.unit)
        return ST_OK;
    /* whoever still answers there is another, which has the number, too */
    if (collect_setup_go(j, &j->from, &unheard) == ST_OK) {
        enum collect_heard_what h = collect_setup_probe(j, j->from.unit, false, &a);
        j->done->others = h != COLLECT_HEARD_NOTHING && h != COLLECT_HEARD_LOST;
    }
    return ST_OK;
}

static void note(struct collect_setup_job *j, enum st st, const struct err *e)
{
    char a[64], b[64];
    (void)snprintf(j->done->text, sizeof j->done->text, "%s on %s: %s -> %s%s%s", j->profile->model,
                   j->bus->id, collect_setup_where_text(j, &j->from, a),
                   collect_setup_where_text(j, &j->to, b),
                   st == ST_OK ? "" : "; failed: ", st == ST_OK ? "" : e->text);
}

/* The bus and the profile that are named. */
static enum st look_up(const struct collect_cfg *cfg, const char *beside, const char *profile_dir,
                       const struct collect_setup_ask *ask, const struct collect_bus_cfg **bus,
                       struct collect_profile *p, struct buf *why, struct err *e)
{
    const struct collect_bus_cfg *buses = cfg->buses.v;
    *bus = NULL;
    for (size_t i = 0; i < cfg->buses.n; i++)
        if (strcmp(buses[i].id, ask->bus) == 0 && !collect_is_sent(buses[i].type))
            *bus = &buses[i];
    if (!*bus)
        return err_set(e, ST_NOT_FOUND, "there is no bus %s that is asked", ask->bus);
    const struct collect_device_cfg *d = cfg->devices.v;
    for (size_t i = 0; ask->to_unit > 0 && i < cfg->devices.n; i++)
        if (strcmp(d[i].bus, ask->bus) == 0 && d[i].unit == ask->to_unit &&
            strcmp(d[i].profile, ask->profile) != 0)
            return err_set(e, ST_CONFLICT,
                           "unit %d on bus %s is %s in the configuration, with the profile %s: "
                           "choose another number",
                           ask->to_unit, ask->bus, d[i].id, d[i].profile);
    if (strcmp(ask->profile, COLLECT_NODE_PROFILE) == 0)
        return collect_setup_node(p) == ST_OK ? ST_OK
                                              : err_set(e, ST_MEMORY, "no memory for a node");
    char *path = collect_profile_path(ask->profile, profile_dir, beside);
    enum st st = path ? collect_profile_load(p, path, profile_dir, why) : ST_MEMORY;
    free(path);
    if (st == ST_NOT_FOUND)
        return err_set(e, st, "there is no profile %s: see fieldpost profiles", ask->profile);
    if (st != ST_OK)
        return err_set(e, st, "the profile %s cannot be used", ask->profile);
    if (p->sunspec)
        return err_set(e, ST_BAD,
                       "%s: where a SunSpec device has its registers is found by asking; setup "
                       "cannot",
                       ask->profile);
    return p->setup
               ? ST_OK
               : err_set(e, ST_BAD,
                         "the profile %s has no `setup`: how a device is set up it does not say",
                         ask->profile);
}

enum st collect_setup_run(const struct collect_cfg *cfg, const char *beside,
                          const char *profile_dir, const struct collect_setup_ask *ask,
                          const struct collect_setup_talk *talk, struct thr_stop *stop,
                          struct collect_setup_done *done, struct buf *why, struct err *e)
{
    struct collect_profile p = {0};
    struct collect_setup_job j = {
        .profile = &p, .ask = ask, .talk = talk, .line = {.lock = -1, .stop = stop}, .done = done};
    *done = (struct collect_setup_done){.written = false};
    enum st st = look_up(cfg, beside, profile_dir, ask, &j.bus, &p, why, e);
    if (st == ST_OK) {
        j.setup = p.setup;
        j.node = p.learned ? &p : NULL;
        j.from = j.at = j.to =
            (struct collect_setup_where){ask->unit, j.bus->baud, j.bus->stop_bits, j.bus->parity};
        st = check(&j, e);
    }
    if (st == ST_OK) {
        show_all(&j);
        if (ask->write)
            st = run(&j, e);
        note(&j, st, e);
    }
    collect_setup_close(&j.line);
    collect_profile_done(&p);
    return st;
}
