/* Sends one SMS by a modem that ModemManager owns: its interfaces Messaging and Sms. It chooses the
 * alphabet, and cuts what is long into parts. */
#include <stdio.h>
#include <string.h>

#include "gateway/connectivity/bus_int.h"

#define bus connectivity_bus
#define SMS CONNECTIVITY_MM_SERVICE ".Sms"
#define MESSAGING CONNECTIVITY_MM_SERVICE ".Modem.Messaging"
#define SENT 5        /* MMSmsState */
#define SEND_MS 60000 /* a network takes seconds, a weak one half a minute */
#define LOOK_MS 500

static enum st path_ask(sd_bus *b, const struct connectivity_bus_call *q,
                        char out[CONNECTIVITY_PATH_BYTES], struct err *e)
{
    sd_bus_message *reply = NULL;
    const char *path = "";
    enum st st = connectivity_bus_ask(b, q, &reply, e);
    if (st == ST_OK && bus.message_read_basic(reply, 'o', &path) <= 0)
        st = ST_BAD;
    (void)snprintf(out, CONNECTIVITY_PATH_BYTES, "%s", path);
    bus.message_unref(reply);
    return st;
}

/* *state: MMSmsState. */
static enum st state_ask(sd_bus *b, const char *path, uint32_t *state, struct err *e)
{
    const struct connectivity_bus_call q = {.path = path,
                                            .interface = "org.freedesktop.DBus.Properties",
                                            .method = "Get",
                                            .text = SMS,
                                            .more = "State"};
    sd_bus_message *reply = NULL;
    ERR_TRY(connectivity_bus_ask(b, &q, &reply, e));
    int rc = bus.message_enter_container(reply, 'v', "u");
    if (rc >= 0)
        rc = bus.message_read_basic(reply, 'u', state);
    bus.message_unref(reply);
    return rc < 0 ? ST_BAD : ST_OK;
}

/* A call that lasts as long as the network is no call for us, who must be able to stop: what became
 * of it is looked for. */
static enum st sms_send(sd_bus *b, const char *path, struct thr_stop *stop, struct err *e)
{
    const struct connectivity_bus_call q = {.path = path, .interface = SMS, .method = "Send"};
    sd_bus_message *reply = NULL;
    int64_t until = clk_mono(clk_real()).ms + SEND_MS;
    enum st st = connectivity_bus_ask(b, &q, &reply, e);
    bus.message_unref(reply);
    while (st == ST_TIMEOUT) {
        uint32_t state = 0;
        enum st asked = state_ask(b, path, &state, e);
        if (asked == ST_OK && state == SENT)
            return ST_OK;
        if (asked != ST_OK && asked != ST_TIMEOUT)
            return asked;
        if (clk_mono(clk_real()).ms > until)
            return ST_TIMEOUT;
        if (thr_stop_wait(stop, LOOK_MS))
            return ST_STOPPED;
    }
    return st;
}

/* The message goes from ModemManager's list, whatever became of it: it has the number. */
static void forget(sd_bus *b, const char *modem, const char *path)
{
    const struct connectivity_bus_call q = {
        .path = modem, .interface = MESSAGING, .method = "Delete", .object = path};
    sd_bus_message *reply = NULL;
    struct err e;
    (void)(connectivity_bus_ask(b, &q, &reply, &e) == ST_OK);
    bus.message_unref(reply);
}

static enum st send_by(sd_bus *b, const struct connectivity_found *f, const char *number,
                       const char *text, struct thr_stop *stop, struct err *e)
{
    char path[CONNECTIVITY_PATH_BYTES];
    if (f->path[0] == '\0' || !f->messaging)
        return ST_NOT_FOUND;
    const struct connectivity_bus_call q = {.path = f->path,
                                            .interface = MESSAGING,
                                            .method = "Create",
                                            .number_to = number,
                                            .text = text};
    ERR_TRY(path_ask(b, &q, path, e));
    enum st st = sms_send(b, path, stop, e);
    forget(b, f->path, path);
    return st;
}

enum st connectivity_manager_send(struct thr_stop *stop, const char *number, const char *text,
                                  struct err *e)
{
    struct connectivity_radio r;
    struct connectivity_found f = {.stat = CONNECTIVITY_STAT_NONE, .r = &r};
    struct err ours = {.text = ""}; /* what ModemManager says may have the number */
    sd_bus *b = NULL;
    connectivity_radio_init(&r);
    ERR_TRY(connectivity_bus_open(&b, e));
    enum st st = connectivity_bus_wait(b, stop, &ours);
    if (st == ST_OK)
        st = connectivity_manager_find(b, &f, &ours);
    if (st == ST_OK)
        st = send_by(b, &f, number, text, stop, &ours);
    bus.close_unref(b);
    switch (st) {
    case ST_OK:
    case ST_STOPPED:
        return st;
    case ST_NOT_FOUND:
        return err_set(e, st, "ModemManager has no modem that sends messages now");
    case ST_TIMEOUT:
        return err_set(e, st,
                       "the network has not taken it: see the signal, and the card's credit");
    default:
        return err_set(e, st,
                       "ModemManager refuses: see the card's credit and service centre, and give "
                       "the gateway's user polkit's right org.freedesktop.ModemManager1.Messaging");
    }
}
