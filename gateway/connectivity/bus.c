/* The system bus by sd-bus. libsystemd is opened when the first poll needs it: linked to every
 * gateway it would take memory on all sites without ModemManager. */
#include <dlfcn.h>
#include <errno.h>
#include <string.h>

#include "gateway/connectivity/bus_int.h"

#define LIBRARY "libsystemd.so.0"
/* A stop waits for one of them at most. */
#define READY_MS 2000
#define CALL_US UINT64_C(1000000)
#define SLICE_MS 100 /* the bus cannot be waited for beside the stop */

/* ---- the library --------------------------------------------------------------------------- */

struct connectivity_bus connectivity_bus; /* one thread, the modem's */

static enum st load(struct err *e)
{
    if (connectivity_bus.ready)
        return ST_OK;
    void *from = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!from)
        return err_set(e, ST_UNSUPPORTED, "install the package libsystemd0");
#define FIND(name)                                                                                 \
    {                                                                                              \
        void *at = dlsym(from, "sd_bus_" #name);                                                   \
        if (!at)                                                                                   \
            return err_set(e, ST_UNSUPPORTED, "%s lacks sd_bus_%s", LIBRARY, #name);               \
        memcpy(&connectivity_bus.name, &at,                                                        \
               sizeof at); /* ISO C converts no object pointer to a function's */                  \
    }
    CONNECTIVITY_BUS_CALLS(FIND)
    connectivity_bus.ready = true;
    return ST_OK;
}

enum st connectivity_bus_open(sd_bus **b, struct err *e)
{
    *b = NULL;
    ERR_TRY(load(e));
    int rc = connectivity_bus.open_system(b);
    return rc < 0 ? err_set(e, ST_IO, "no D-Bus: %s", strerror(-rc)) : ST_OK;
}

/* ---- calls --------------------------------------------------------------------------------- */

/* A call on a bus that has not let us in waits for that without the call's own bound. */
enum st connectivity_bus_wait(sd_bus *b, const struct thr_stop *stop, struct err *e)
{
    int64_t until = clk_mono(clk_real()).ms + READY_MS;
    for (;;) {
        int rc = connectivity_bus.process(b, NULL);
        int64_t left = until - clk_mono(clk_real()).ms;
        if (rc >= 0 && connectivity_bus.is_ready(b) > 0)
            return ST_OK;
        if (atomic_load(&stop->set))
            return ST_STOPPED;
        if (rc == 0 && left > 0)
            rc = connectivity_bus.wait(b, (uint64_t)(left < SLICE_MS ? left : SLICE_MS) * 1000);
        if (rc < 0 && rc != -EINTR)
            return err_set(e, ST_IO, "no D-Bus: %s", strerror(-rc));
        if (left <= 0)
            return err_set(e, ST_TIMEOUT, "D-Bus does not answer");
    }
}

enum st connectivity_bus_ask(sd_bus *b, const struct connectivity_bus_call *q,
                             sd_bus_message **reply, struct err *e)
{
    sd_bus_error error = SD_BUS_ERROR_NULL;
    sd_bus_message *m = NULL;
    *reply = NULL;
    int rc = connectivity_bus.message_new_method_call(b, &m, CONNECTIVITY_MM_SERVICE, q->path,
                                                      q->interface, q->method);
    if (rc >= 0 && q->number)
        rc = connectivity_bus.message_append(m, "u", *q->number);
    if (rc >= 0 && q->number_to)
        rc = connectivity_bus.message_append(m, "a{sv}", 2, "number", "s", q->number_to, "text",
                                             "s", q->text);
    else if (rc >= 0 && q->text)
        rc = connectivity_bus.message_append(m, "s", q->text);
    if (rc >= 0 && q->more)
        rc = connectivity_bus.message_append(m, "s", q->more);
    if (rc >= 0 && q->object)
        rc = connectivity_bus.message_append(m, "o", q->object);
    if (rc >= 0)
        rc = connectivity_bus.call(b, m, CALL_US, &error, reply);
    enum st st = rc >= 0 ? ST_OK : ST_IO;
    if (rc < 0 && (connectivity_bus.error_has_name(&error, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
                   connectivity_bus.error_has_name(&error, SD_BUS_ERROR_NAME_HAS_NO_OWNER)))
        st = ST_NOT_FOUND;
    else if (rc < 0 && (connectivity_bus.error_has_name(&error, SD_BUS_ERROR_NO_REPLY) ||
                        connectivity_bus.error_has_name(&error, SD_BUS_ERROR_TIMEOUT)))
        st = ST_TIMEOUT;
    else if (rc < 0 && error.name)
        st = ST_REFUSED;
    if (st != ST_OK)
        (void)err_set(e, st, "%s: %.200s", q->method,
                      error.message ? error.message : strerror(-rc));
    connectivity_bus.error_free(&error);
    connectivity_bus.message_unref(m);
    return st;
}
