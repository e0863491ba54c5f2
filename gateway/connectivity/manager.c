/* A modem that ModemManager owns, over D-Bus: its objects are read whole at each poll, so that a
 * restart of ModemManager and a modem under a new number need no memory. Interfaces: ModemManager's
 * introspection, 1.16 to 1.20. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "gateway/connectivity/bus_int.h"

#define bus connectivity_bus
#define ROOT CONNECTIVITY_MM_ROOT
#define MODEMS ROOT "/Modem/"
#define MODEM CONNECTIVITY_MM_SERVICE ".Modem"
#define SETUP_MAX_MS 3600000

/* ---- what is read -------------------------------------------------------------------------- */

/* Doubles of dBm and dB, to a tenth; beyond every range of theirs there is none. */
static struct num tenths(double v, double min, double max)
{
    if (!(v >= min && v <= max))
        return (struct num){.kind = NUM_NONE};
    return num_dec((int64_t)lround(v * 10), -1);
}

static int signal_read(sd_bus_message *m, struct connectivity_radio *r, bool nr)
{
    struct connectivity_leg *leg = nr ? &r->nr : &r->lte;
    int rc = bus.message_enter_container(m, 'a', "{sv}");
    while (rc >= 0 && (rc = bus.message_enter_container(m, 'e', "sv")) > 0) {
        const char *key = NULL, *type = NULL;
        char kind;
        double v;
        rc = bus.message_read_basic(m, 's', &key);
        if (rc >= 0)
            rc = bus.message_peek_type(m, &kind, &type);
        if (rc >= 0 && type && strcmp(type, "d") == 0) {
            rc = bus.message_enter_container(m, 'v', "d");
            if (rc >= 0)
                rc = bus.message_read_basic(m, 'd', &v);
            if (rc >= 0 && strcmp(key, "rsrp") == 0)
                leg->rsrp = tenths(v, -156, -31);
            else if (rc >= 0 && strcmp(key, "rsrq") == 0)
                leg->rsrq = tenths(v, -43, 20);
            else if (rc >= 0 && strcmp(key, "snr") == 0)
                leg->sinr = tenths(v, -23, 40);
            else if (rc >= 0 && strcmp(key, "rssi") == 0)
                r->rssi = tenths(v, -120, -10);
            if (rc >= 0)
                rc = bus.message_exit_container(m);
        } else if (rc >= 0)
            rc = bus.message_skip(m, "v");
        if (rc >= 0)
            rc = bus.message_exit_container(m);
    }
    return rc < 0 ? rc : bus.message_exit_container(m);
}

static void text_take(struct connectivity_found *f, const char *interface, const char *key,
                      const char *v)
{
    if (strcmp(interface, MODEM ".Modem3gpp") == 0 && strcmp(key, "OperatorCode") == 0)
        (void)connectivity_plmn_text(f->r->plmn, v, strlen(v));
}

static void number_take(struct connectivity_found *f, const char *interface, const char *key,
                        int64_t v)
{
    if (strcmp(interface, MODEM) == 0 && strcmp(key, "State") == 0)
        f->state = (int32_t)v;
    else if (strcmp(interface, MODEM) == 0 && strcmp(key, "StateFailedReason") == 0)
        f->failed = (int32_t)v;
    else if (strcmp(interface, MODEM) == 0 && strcmp(key, "UnlockRequired") == 0)
        f->unlock = (uint32_t)v;
    else if (strcmp(interface, MODEM) == 0 && strcmp(key, "AccessTechnologies") == 0)
        f->access = (uint32_t)v;
    else if (strcmp(interface, MODEM ".Modem3gpp") == 0 && strcmp(key, "RegistrationState") == 0)
        f->stat = v >= 0 && v <= CONNECTIVITY_STAT_MAX ? (int)v : CONNECTIVITY_STAT_NONE;
    else if (strcmp(interface, MODEM ".Signal") == 0 && strcmp(key, "Rate") == 0)
        f->rate = (uint32_t)v;
}

/* One property: the variant behind its name. */
static int property_read(sd_bus_message *m, struct connectivity_found *f, const char *interface,
                         const char *key)
{
    const char *type = NULL, *text = NULL;
    uint32_t u = 0;
    char kind;
    int rc = bus.message_peek_type(m, &kind, &type);
    bool dict = strcmp(interface, MODEM ".Signal") == 0 &&
                (strcmp(key, "Lte") == 0 || strcmp(key, "Nr5g") == 0);
    bool known = rc >= 0 && type && (strchr("siu", type[0]) ? type[1] == '\0' : dict);
    if (rc < 0 || !known || (dict && strcmp(type, "a{sv}") != 0))
        return rc < 0 ? rc : bus.message_skip(m, "v");
    rc = bus.message_enter_container(m, 'v', type);
    if (rc >= 0 && dict)
        rc = signal_read(m, f->r, key[0] == 'N');
    else if (rc >= 0 && type[0] == 's' && (rc = bus.message_read_basic(m, 's', &text)) >= 0)
        text_take(f, interface, key, text);
    else if (rc >= 0 && type[0] != 's' && (rc = bus.message_read_basic(m, type[0], &u)) >= 0)
        number_take(f, interface, key, type[0] == 'i' ? (int32_t)u : (int64_t)u);
    return rc < 0 ? rc : bus.message_exit_container(m);
}

static int interface_read(sd_bus_message *m, struct connectivity_found *f)
{
    const char *interface = NULL, *key = NULL;
    int rc = bus.message_read_basic(m, 's', &interface);
    if (rc < 0 || strncmp(interface, MODEM, sizeof MODEM - 1) != 0)
        return rc < 0 ? rc : bus.message_skip(m, "a{sv}");
    if (f->path[0] == '\0' && strcmp(interface, MODEM) == 0)
        (void)snprintf(f->path, sizeof f->path, "%s", f->here);
    f->signal |= strcmp(interface, MODEM ".Signal") == 0;
    f->messaging |= strcmp(interface, MODEM ".Messaging") == 0;
    rc = bus.message_enter_container(m, 'a', "{sv}");
    while (rc >= 0 && (rc = bus.message_enter_container(m, 'e', "sv")) > 0) {
        rc = bus.message_read_basic(m, 's', &key);
        if (rc >= 0)
            rc = property_read(m, f, interface, key);
        if (rc >= 0)
            rc = bus.message_exit_container(m);
    }
    return rc < 0 ? rc : bus.message_exit_container(m);
}

/* a{oa{sa{sv}}}: the first object that is a modem; SIM cards and bearers are none. */
static int objects_read(sd_bus_message *m, struct connectivity_found *f)
{
    int rc = bus.message_enter_container(m, 'a', "{oa{sa{sv}}}");
    while (rc >= 0 && (rc = bus.message_enter_container(m, 'e', "oa{sa{sv}}")) > 0) {
        const char *path = NULL;
        rc = bus.message_read_basic(m, 'o', &path);
        bool is = rc >= 0 && f->path[0] == '\0' && strncmp(path, MODEMS, sizeof MODEMS - 1) == 0;
        if (is)
            (void)snprintf(f->here, sizeof f->here, "%s", path);
        if (rc >= 0 && !is)
            rc = bus.message_skip(m, "a{sa{sv}}");
        else if (rc >= 0 && (rc = bus.message_enter_container(m, 'a', "{sa{sv}}")) >= 0) {
            while (rc >= 0 && (rc = bus.message_enter_container(m, 'e', "sa{sv}")) > 0) {
                rc = interface_read(m, f);
                if (rc >= 0)
                    rc = bus.message_exit_container(m);
            }
            rc = rc < 0 ? rc : bus.message_exit_container(m);
        }
        if (rc >= 0)
            rc = bus.message_exit_container(m);
    }
    return rc;
}

enum st connectivity_manager_find(sd_bus *b, struct connectivity_found *f, struct err *e)
{
    const struct connectivity_bus_call q = {.path = ROOT,
                                            .interface = "org.freedesktop.DBus.ObjectManager",
                                            .method = "GetManagedObjects"};
    sd_bus_message *reply = NULL;
    enum st st = connectivity_bus_ask(b, &q, &reply, e);
    if (st == ST_OK && objects_read(reply, f) < 0)
        st = ST_BAD;
    bus.message_unref(reply);
    return st;
}

/* ---- one poll ------------------------------------------------------------------------------ */

/* MMModemAccessTechnology is a mask; NR beside LTE is EN-DC, and LTE-M is LTE to 3GPP. */
static int act_of(uint32_t mask)
{
    const uint32_t lte = 1U << 14 | 1U << 16, nr = 1U << 15;
    static const struct {
        uint32_t mask;
        int act;
    } rows[] = {{1U << 17, 9},
                {1U << 8 | 1U << 9, 6},
                {1U << 7, 5},
                {1U << 6, 4},
                {1U << 5, CONNECTIVITY_ACT_UTRAN},
                {1U << 4, 3},
                {0xe, CONNECTIVITY_ACT_GSM}};
    if (mask & nr)
        return mask & lte ? CONNECTIVITY_ACT_ENDC : CONNECTIVITY_ACT_SA;
    if (mask & lte)
        return CONNECTIVITY_ACT_LTE;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (mask & rows[i].mask)
            return rows[i].act;
    return CONNECTIVITY_ACT_NONE;
}

/* MMModemLock, MMModemStateFailedReason. */
static enum connectivity_sim sim_of(const struct connectivity_found *f)
{
    if (f->state == -1 && (f->failed == 2 || f->failed == 5))
        return CONNECTIVITY_SIM_MISSING;
    if (f->state == -1 && f->failed == 3)
        return CONNECTIVITY_SIM_FAULT;
    switch (f->unlock) {
    case 0:
        return CONNECTIVITY_SIM_UNKNOWN;
    case 2:
        return CONNECTIVITY_SIM_PIN;
    case 4:
        return CONNECTIVITY_SIM_PUK;
    case 1: /* none, PIN2, PUK2: data needs no more */
    case 3:
    case 5:
        return CONNECTIVITY_SIM_READY;
    default:
        return CONNECTIVITY_SIM_LOCK;
    }
}

/* The signal is measured only once somebody has asked for it. */
static void measure(sd_bus *b, const struct connectivity_found *f, int64_t every_ms,
                    const struct thr_stop *stop, struct connectivity_setup *s)
{
    uint32_t every_s = every_ms < 1000 ? 1 : (uint32_t)(every_ms / 1000);
    int64_t now = clk_mono(clk_real()).ms;
    sd_bus_message *reply = NULL;
    struct err e = {.text = ""};
    if (!f->signal || f->state < 6 || (f->rate == 0 && now < s->next.ms) || atomic_load(&stop->set))
        return;
    const struct connectivity_bus_call q = {
        .path = f->path, .interface = MODEM ".Signal", .method = "Setup", .number = &every_s};
    enum st st = f->rate > 0 ? ST_OK : connectivity_bus_ask(b, &q, &reply, &e);
    bus.message_unref(reply);
    if (st == ST_OK)
        *s = (struct connectivity_setup){.refused = 0};
    if (st != ST_REFUSED)
        return;
    s->wait_ms = s->wait_ms == 0 ? every_ms : 2 * s->wait_ms;
    if (s->wait_ms > SETUP_MAX_MS)
        s->wait_ms = SETUP_MAX_MS;
    s->next.ms = now + s->wait_ms;
    s->refused++;
    (void)snprintf(s->why, sizeof s->why, "%s", e.text);
}

static enum connectivity_modem_state judge(struct connectivity_found *f, struct err *e)
{
    if (f->path[0] == '\0') {
        (void)err_set(e, ST_NOT_FOUND, "ModemManager runs and knows of none");
        return CONNECTIVITY_MODEM_GONE;
    }
    f->r->sim = sim_of(f);
    f->r->act = act_of(f->access);
    f->r->lte_stat = f->stat;
    return connectivity_modem_judge(f->r);
}

/* Over an open bus. */
static enum connectivity_modem_state look(sd_bus *b, int64_t every_ms, const struct thr_stop *stop,
                                          struct connectivity_setup *setup,
                                          struct connectivity_found *f, struct err *e)
{
    enum connectivity_modem_state state = CONNECTIVITY_MODEM_SILENT;
    enum st st = connectivity_bus_wait(b, stop, e);
    if (st != ST_OK)
        return st == ST_IO ? CONNECTIVITY_MODEM_GONE : CONNECTIVITY_MODEM_SILENT;
    st = connectivity_manager_find(b, f, e);
    if (st == ST_NOT_FOUND)
        state = CONNECTIVITY_MODEM_GONE;
    else if (st == ST_OK)
        state = judge(f, e);
    if (state == CONNECTIVITY_MODEM_GONE) /* another may come, or another ModemManager */
        *setup = (struct connectivity_setup){.refused = 0};
    else if (state != CONNECTIVITY_MODEM_SILENT)
        measure(b, f, every_ms, stop, setup);
    if (state == CONNECTIVITY_MODEM_READY && !atomic_load(&stop->set))
        connectivity_manager_cells(b, f->path, f->r);
    return state;
}

enum connectivity_modem_state connectivity_manager_ask(int64_t every_ms,
                                                       const struct thr_stop *stop,
                                                       struct connectivity_setup *setup,
                                                       struct connectivity_radio *r, struct err *e)
{
    struct connectivity_found f = {.stat = CONNECTIVITY_STAT_NONE, .r = r};
    sd_bus *b = NULL;
    connectivity_radio_init(r);
    if (connectivity_bus_open(&b, e) != ST_OK)
        return CONNECTIVITY_MODEM_GONE;
    enum connectivity_modem_state state = look(b, every_ms, stop, setup, &f, e);
    bus.close_unref(b); /* without a flush, which has no bound; each call had its answer */
    return state;
}
