/* A modem that ModemManager owns, over D-Bus by sd-bus: its objects are read whole at each poll, so
 * that a restart of ModemManager and a modem under a new number need no memory. Interfaces:
 * ModemManager's introspection, 1.16 to 1.20.
 *
 * libsystemd is opened when the first poll needs it: linked to every gateway it would take memory
 * on all sites without ModemManager. */
#include <dlfcn.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "gateway/connectivity/modem_int.h"

#define LIBRARY "libsystemd.so.0"
#define SERVICE "org.freedesktop.ModemManager1"
#define ROOT "/org/freedesktop/ModemManager1"
#define MODEMS ROOT "/Modem/"
#define MODEM SERVICE ".Modem"
/* A stop waits for one of them at most. */
#define READY_MS 2000
#define CALL_US UINT64_C(1000000)
#define SLICE_MS 100 /* the bus cannot be waited for beside the stop */
#define NAME_BYTES 96
#define SETUP_MAX_MS 3600000

/* ---- the library --------------------------------------------------------------------------- */

#define CALLS(X)                                                                                   \
    X(open_system)                                                                                 \
    X(close_unref)                                                                                 \
    X(process)                                                                                     \
    X(wait)                                                                                        \
    X(is_ready)                                                                                    \
    X(call)                                                                                        \
    X(message_new_method_call)                                                                     \
    X(message_append)                                                                              \
    X(message_unref)                                                                               \
    X(message_enter_container)                                                                     \
    X(message_exit_container)                                                                      \
    X(message_read_basic)                                                                          \
    X(message_peek_type)                                                                           \
    X(message_skip)                                                                                \
    X(error_free)                                                                                  \
    X(error_has_name)
#define MEMBER(name) __typeof__(&sd_bus_##name) name;
static struct {
    CALLS(MEMBER)
    bool ready;
} bus; /* one thread, the modem's */

static enum st load(struct err *e)
{
    if (bus.ready)
        return ST_OK;
    void *from = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!from)
        return err_set(e, ST_UNSUPPORTED, "install the package libsystemd0");
#define FIND(name)                                                                                 \
    {                                                                                              \
        void *at = dlsym(from, "sd_bus_" #name);                                                   \
        if (!at)                                                                                   \
            return err_set(e, ST_UNSUPPORTED, "%s lacks sd_bus_%s", LIBRARY, #name);               \
        memcpy(&bus.name, &at, sizeof at); /* ISO C converts no object pointer to a function's */  \
    }
    CALLS(FIND)
    bus.ready = true;
    return ST_OK;
}

/* ---- what is read -------------------------------------------------------------------------- */

struct found {
    char path[NAME_BYTES]; /* of the first modem; "": none yet */
    char here[NAME_BYTES]; /* of the object that is read */
    int32_t state, failed; /* MMModemState, MMModemStateFailedReason */
    uint32_t unlock, access, rate;
    bool signal; /* it has that interface */
    int stat;    /* as 3GPP's <stat> */
    struct connectivity_radio *r;
};

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

static void text_take(struct found *f, const char *interface, const char *key, const char *v)
{
    if (strcmp(interface, MODEM ".Modem3gpp") == 0 && strcmp(key, "OperatorCode") == 0)
        (void)connectivity_plmn_text(f->r->plmn, v, strlen(v));
}

static void number_take(struct found *f, const char *interface, const char *key, int64_t v)
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
static int property_read(sd_bus_message *m, struct found *f, const char *interface, const char *key)
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

static int interface_read(sd_bus_message *m, struct found *f)
{
    const char *interface = NULL, *key = NULL;
    int rc = bus.message_read_basic(m, 's', &interface);
    if (rc < 0 || strncmp(interface, MODEM, sizeof MODEM - 1) != 0)
        return rc < 0 ? rc : bus.message_skip(m, "a{sv}");
    if (f->path[0] == '\0' && strcmp(interface, MODEM) == 0)
        (void)snprintf(f->path, sizeof f->path, "%s", f->here);
    f->signal |= strcmp(interface, MODEM ".Signal") == 0;
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
static int objects_read(sd_bus_message *m, struct found *f)
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

/* ---- calls --------------------------------------------------------------------------------- */

/* A call on a bus that has not let us in waits for that without the call's own bound. */
static enum st ready_wait(sd_bus *b, const struct thr_stop *stop, struct err *e)
{
    int64_t until = clk_mono(clk_real()).ms + READY_MS;
    for (;;) {
        int rc = bus.process(b, NULL);
        int64_t left = until - clk_mono(clk_real()).ms;
        if (rc >= 0 && bus.is_ready(b) > 0)
            return ST_OK;
        if (atomic_load(&stop->set))
            return ST_STOPPED;
        if (rc == 0 && left > 0)
            rc = bus.wait(b, (uint64_t)(left < SLICE_MS ? left : SLICE_MS) * 1000);
        if (rc < 0 && rc != -EINTR)
            return err_set(e, ST_IO, "no D-Bus: %s", strerror(-rc));
        if (left <= 0)
            return err_set(e, ST_TIMEOUT, "D-Bus does not answer");
    }
}

/* ST_OK with *reply (to be unreferenced), ST_NOT_FOUND: nobody has that name, ST_TIMEOUT, ST_IO,
 * ST_REFUSED. */
static enum st call(sd_bus *b, const char *path, const char *interface, const char *method,
                    const uint32_t *arg, sd_bus_message **reply, struct err *e)
{
    sd_bus_error error = SD_BUS_ERROR_NULL;
    sd_bus_message *m = NULL;
    *reply = NULL;
    int rc = bus.message_new_method_call(b, &m, SERVICE, path, interface, method);
    if (rc >= 0 && arg)
        rc = bus.message_append(m, "u", *arg);
    if (rc >= 0)
        rc = bus.call(b, m, CALL_US, &error, reply);
    enum st st = rc >= 0 ? ST_OK : ST_IO;
    if (rc < 0 && (bus.error_has_name(&error, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
                   bus.error_has_name(&error, SD_BUS_ERROR_NAME_HAS_NO_OWNER)))
        st = ST_NOT_FOUND;
    else if (rc < 0 && (bus.error_has_name(&error, SD_BUS_ERROR_NO_REPLY) ||
                        bus.error_has_name(&error, SD_BUS_ERROR_TIMEOUT)))
        st = ST_TIMEOUT;
    else if (rc < 0 && error.name)
        st = ST_REFUSED;
    if (st != ST_OK)
        (void)err_set(e, st, "%s: %.200s", method, error.message ? error.message : strerror(-rc));
    bus.error_free(&error);
    bus.message_unref(m);
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
static enum connectivity_sim sim_of(const struct found *f)
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
static void measure(sd_bus *b, const struct found *f, int64_t every_ms, const struct thr_stop *stop,
                    struct connectivity_setup *s)
{
    uint32_t every_s = every_ms < 1000 ? 1 : (uint32_t)(every_ms / 1000);
    int64_t now = clk_mono(clk_real()).ms;
    sd_bus_message *reply = NULL;
    struct err e = {.text = ""};
    if (!f->signal || f->state < 6 || (f->rate == 0 && now < s->next.ms) || atomic_load(&stop->set))
        return;
    enum st st =
        f->rate > 0 ? ST_OK : call(b, f->path, MODEM ".Signal", "Setup", &every_s, &reply, &e);
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

static enum connectivity_modem_state judge(struct found *f, struct err *e)
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
                                          struct connectivity_setup *setup, struct found *f,
                                          struct err *e)
{
    sd_bus_message *reply = NULL;
    enum connectivity_modem_state state = CONNECTIVITY_MODEM_SILENT;
    enum st st = ready_wait(b, stop, e);
    if (st != ST_OK)
        return st == ST_IO ? CONNECTIVITY_MODEM_GONE : CONNECTIVITY_MODEM_SILENT;
    st = call(b, ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", NULL, &reply, e);
    if (st == ST_NOT_FOUND)
        state = CONNECTIVITY_MODEM_GONE;
    else if (st == ST_OK && objects_read(reply, f) >= 0)
        state = judge(f, e);
    bus.message_unref(reply);
    if (state == CONNECTIVITY_MODEM_GONE) /* another may come, or another ModemManager */
        *setup = (struct connectivity_setup){.refused = 0};
    else if (state != CONNECTIVITY_MODEM_SILENT)
        measure(b, f, every_ms, stop, setup);
    return state;
}

enum connectivity_modem_state connectivity_manager_ask(int64_t every_ms,
                                                       const struct thr_stop *stop,
                                                       struct connectivity_setup *setup,
                                                       struct connectivity_radio *r, struct err *e)
{
    struct found f = {.stat = CONNECTIVITY_STAT_NONE, .r = r};
    sd_bus *b = NULL;
    connectivity_radio_init(r);
    if (load(e) != ST_OK)
        return CONNECTIVITY_MODEM_GONE;
    int rc = bus.open_system(&b);
    if (rc < 0) {
        (void)err_set(e, ST_IO, "no D-Bus: %s", strerror(-rc));
        return CONNECTIVITY_MODEM_GONE;
    }
    enum connectivity_modem_state state = look(b, every_ms, stop, setup, &f, e);
    bus.close_unref(b); /* without a flush, which has no bound; each call had its answer */
    return state;
}
