/* The messages of a modem that ModemManager owns: its interfaces Messaging and Sms. It joins the
 * parts itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/connectivity/bus_int.h"

#define bus connectivity_bus
#define SMS CONNECTIVITY_MM_SERVICE ".Sms"
#define MESSAGING CONNECTIVITY_MM_SERVICE ".Modem.Messaging"
#define RECEIVED 3 /* MMSmsState */

/* ModemManager counts its messages as they come: the highest numbers are the newest that came, and
 * of those that it found at its start all that may be so. */
struct paths {
    size_t n;
    unsigned long number[CONNECTIVITY_PARTS_MAX];
};

static void path_add(struct paths *all, const char *path)
{
    const char *from = CONNECTIVITY_MM_ROOT "/SMS/";
    char *end;
    if (strncmp(path, from, strlen(from)) != 0)
        return;
    unsigned long number = strtoul(path + strlen(from), &end, 10);
    size_t at = all->n;
    if (*end != '\0' || end == path + strlen(from))
        return;
    if (all->n == CONNECTIVITY_PARTS_MAX) {
        at = 0;
        for (size_t i = 1; i < all->n; i++)
            if (all->number[i] < all->number[at])
                at = i;
        if (all->number[at] > number)
            return;
    } else
        all->n++;
    all->number[at] = number;
}

static enum st paths_ask(sd_bus *b, const char *modem, struct paths *all, struct err *e)
{
    const struct connectivity_bus_call q = {
        .path = modem, .interface = MESSAGING, .method = "List"};
    sd_bus_message *reply = NULL;
    const char *path;
    enum st st = connectivity_bus_ask(b, &q, &reply, e);
    int rc = st == ST_OK ? bus.message_enter_container(reply, 'a', "o") : -1;
    while (rc >= 0 && (rc = bus.message_read_basic(reply, 'o', &path)) > 0)
        path_add(all, path);
    bus.message_unref(reply);
    return st == ST_OK && rc < 0 ? ST_BAD : st;
}

/* One property of a message; *state: MMSmsState. */
static int property_read(sd_bus_message *m, struct connectivity_sms *sms, uint32_t *state)
{
    const char *key = NULL, *type = NULL, *text = NULL;
    char kind;
    uint32_t u = 0;
    int rc = bus.message_read_basic(m, 's', &key);
    if (rc >= 0)
        rc = bus.message_peek_type(m, &kind, &type);
    bool is_text = rc >= 0 && type && strcmp(type, "s") == 0;
    bool is_state = rc >= 0 && type && strcmp(type, "u") == 0 && strcmp(key, "State") == 0;
    if (rc < 0 || (!is_text && !is_state))
        return rc < 0 ? rc : bus.message_skip(m, "v");
    rc = bus.message_enter_container(m, 'v', type);
    if (rc >= 0)
        rc = is_text ? bus.message_read_basic(m, 's', &text) : bus.message_read_basic(m, 'u', &u);
    if (rc >= 0 && is_state)
        *state = u;
    else if (rc >= 0 && strcmp(key, "Number") == 0)
        connectivity_text_copy(sms->from, sizeof sms->from, text);
    else if (rc >= 0 && strcmp(key, "Text") == 0)
        connectivity_text_copy(sms->text, sizeof sms->text, text);
    else if (rc >= 0 && strcmp(key, "Timestamp") == 0)
        sms->at_ms = connectivity_sms_time(text);
    return rc < 0 ? rc : bus.message_exit_container(m);
}

static enum st sms_ask(sd_bus *b, unsigned long number, struct connectivity_inbox *in,
                       struct err *e)
{
    char path[CONNECTIVITY_PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/SMS/%lu", CONNECTIVITY_MM_ROOT, number);
    const struct connectivity_bus_call q = {.path = path,
                                            .interface = "org.freedesktop.DBus.Properties",
                                            .method = "GetAll",
                                            .text = SMS};
    struct connectivity_sms sms = {.part = 1, .of = 1};
    sd_bus_message *reply = NULL;
    uint32_t state = 0;
    enum st st = connectivity_bus_ask(b, &q, &reply, e);
    int rc = st == ST_OK ? bus.message_enter_container(reply, 'a', "{sv}") : -1;
    while (rc >= 0 && (rc = bus.message_enter_container(reply, 'e', "sv")) > 0) {
        rc = property_read(reply, &sms, &state);
        if (rc >= 0)
            rc = bus.message_exit_container(reply);
    }
    if (rc >= 0 && state == RECEIVED && sms.text[0])
        connectivity_inbox_add(in, &sms);
    bus.message_unref(reply);
    return st == ST_REFUSED ? ST_OK : st; /* it went meanwhile */
}

bool connectivity_manager_messages(const struct thr_stop *stop, struct connectivity_inbox *in)
{
    struct connectivity_radio r;
    struct connectivity_found f = {.r = &r};
    struct paths all = {.n = 0};
    struct err e;
    sd_bus *b = NULL;
    connectivity_radio_init(&r);
    if (connectivity_bus_open(&b, &e) != ST_OK)
        return false;
    enum st st = connectivity_bus_wait(b, stop, &e);
    if (st == ST_OK)
        st = connectivity_manager_find(b, &f, &e);
    if (st == ST_OK && f.messaging)
        st = paths_ask(b, f.path, &all, &e);
    for (size_t i = 0; i < all.n && st == ST_OK; i++)
        st = atomic_load(&stop->set) ? ST_STOPPED : sms_ask(b, all.number[i], in, &e);
    bus.close_unref(b);
    return st == ST_OK;
}
