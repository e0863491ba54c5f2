/* Private to the connectivity room: the system bus, by a libsystemd that is opened when it is first
 * needed. The modem's thread alone. */
#ifndef GATEWAY_CONNECTIVITY_BUS_INT_H
#define GATEWAY_CONNECTIVITY_BUS_INT_H

#include <systemd/sd-bus.h>

#include "gateway/connectivity/modem_int.h"

#define CONNECTIVITY_MM_SERVICE "org.freedesktop.ModemManager1"
#define CONNECTIVITY_MM_ROOT "/org/freedesktop/ModemManager1"
#define CONNECTIVITY_PATH_BYTES 96

/* What is used of sd-bus, called as connectivity_bus.NAME. */
#define CONNECTIVITY_BUS_CALLS(X)                                                                  \
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
#define CONNECTIVITY_BUS_MEMBER(name) __typeof__(&sd_bus_##name) name;
struct connectivity_bus {
    CONNECTIVITY_BUS_CALLS(CONNECTIVITY_BUS_MEMBER)
    bool ready;
};
extern struct connectivity_bus connectivity_bus;

/* ST_UNSUPPORTED: there is no library; ST_IO: no bus. */
enum st connectivity_bus_open(sd_bus **b, struct err *e) ST_MUST_CHECK;
/* Until it lets us in: a call before would wait for that without a bound. 2 s at most, or until the
 * stop. */
enum st connectivity_bus_wait(sd_bus *b, const struct thr_stop *stop, struct err *e) ST_MUST_CHECK;
/* Calls ModemManager with one number, one or two texts, an object, a new message (number_to, text),
 * or nothing; 1 s at most. ST_OK with *reply (to be
 * unreferenced), ST_NOT_FOUND: nobody has that name, ST_TIMEOUT, ST_IO, ST_REFUSED. */
struct connectivity_bus_call {
    const char *path, *interface, *method;
    const uint32_t *number;
    const char *text, *more, *object, *number_to;
};
enum st connectivity_bus_ask(sd_bus *b, const struct connectivity_bus_call *q,
                             sd_bus_message **reply, struct err *e) ST_MUST_CHECK;

/* ---- the first modem (manager.c) ------------------------------------------------------------- */

struct connectivity_found {
    char path[CONNECTIVITY_PATH_BYTES]; /* of the first modem; "": none yet */
    char here[CONNECTIVITY_PATH_BYTES]; /* of the object that is read */
    int32_t state, failed;              /* MMModemState, MMModemStateFailedReason */
    uint32_t unlock, access, rate;
    bool signal, messaging; /* it has that interface */
    int stat;               /* as 3GPP's <stat> */
    struct connectivity_radio *r;
};
/* Reads all that ModemManager has. ST_BAD: not what it should be. */
enum st connectivity_manager_find(sd_bus *b, struct connectivity_found *f,
                                  struct err *e) ST_MUST_CHECK;
/* Band, channel, cell and area of the cells that serve, where it tells them (manager_cell.c); what
 * it does not stays as it was. One call of 1 s at most. */
void connectivity_manager_cells(sd_bus *b, const char *modem, struct connectivity_radio *r);

#endif
