/* The operator's messages: from where they are, to the page of this box. They stay in memory alone,
 * and on the SIM card as they were. */
#include "gateway/connectivity/modem_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVERY_MAX_MS 300000
#define LIST_MS 15000
#define SET_MS 3000
#define LIST_BYTES 131072 /* 255 messages of 400 characters, and some */

void connectivity_inbox_add(struct connectivity_inbox *in, const struct connectivity_sms *sms)
{
    size_t at = in->n;
    if (!connectivity_sms_operator(sms->from))
        return;
    if (in->n == CONNECTIVITY_PARTS_MAX) {
        at = 0;
        for (size_t i = 1; i < in->n; i++)
            if (in->part[i].at_ms < in->part[at].at_ms)
                at = i;
        if (in->part[at].at_ms >= sms->at_ms)
            return;
    } else
        in->n++;
    in->part[at] = *sms;
}

/* `+CMGL: <index>,<stat>,…` and, on a line of its own, the PDU; <stat> 0 and 1 were received. What
 * comes unasked between them is no hexadecimal. */
void connectivity_inbox_take(struct connectivity_inbox *in, const char *line)
{
    struct connectivity_field f[CONNECTIVITY_FIELDS_MAX];
    const char *text = connectivity_after(line, "+CMGL:");
    struct connectivity_sms sms;
    int64_t stat;
    if (text) {
        in->listed =
            connectivity_fields(text, f) >= 2 && connectivity_field_int(&f[1], 0, 1, &stat);
        return;
    }
    bool hex = line[strspn(line, "0123456789abcdefABCDEF")] == '\0';
    if (!in->listed || !hex)
        return;
    in->listed = false;
    if (connectivity_sms_read(line, &sms))
        connectivity_inbox_add(in, &sms);
}

/* ---- joining -------------------------------------------------------------------------------- */

static bool is_of(const struct connectivity_sms *a, const struct connectivity_sms *b)
{
    return a->of == b->of && a->ref == b->ref && strcmp(a->from, b->from) == 0;
}

/* All parts of what p[i] belongs to, the newest of each number; a part that lacks is "…". */
static void join(const struct connectivity_inbox *in, size_t i, bool *used,
                 struct connectivity_message *out)
{
    char text[CONNECTIVITY_MESSAGE_TEXT + CONNECTIVITY_MESSAGE_TEXT];
    const struct connectivity_sms *first = &in->part[i];
    bool lacks = false;
    *out = (struct connectivity_message){.at_ms = first->at_ms};
    memcpy(out->from, first->from, sizeof out->from);
    for (unsigned part = 1; part <= first->of; part++) {
        const struct connectivity_sms *found = NULL;
        for (size_t k = 0; k < in->n; k++) {
            const struct connectivity_sms *p = &in->part[k];
            bool is = k == i || (first->of > 1 && !used[k] && is_of(first, p));
            if (!is || p->part != part || (found && found->at_ms >= p->at_ms))
                continue;
            found = p;
        }
        (void)snprintf(text, sizeof text, "%s%s", out->text,
                       found   ? found->text
                       : lacks ? ""
                               : "…");
        connectivity_text_copy(out->text, sizeof out->text, text);
        lacks = !found;
        if (found)
            used[found - in->part] = true;
    }
    used[i] = true;
}

size_t connectivity_inbox_messages(const struct connectivity_inbox *in,
                                   struct connectivity_message out[CONNECTIVITY_MESSAGES_MAX])
{
    bool used[CONNECTIVITY_PARTS_MAX] = {false};
    size_t n = 0;
    while (n < CONNECTIVITY_MESSAGES_MAX) {
        size_t newest = in->n;
        for (size_t i = 0; i < in->n; i++)
            if (!used[i] && (newest == in->n || in->part[i].at_ms > in->part[newest].at_ms))
                newest = i;
        if (newest == in->n)
            break;
        join(in, newest, used, &out[n++]);
    }
    return n;
}

/* ---- one look ------------------------------------------------------------------------------- */

static void take(void *ctx, const char *line)
{
    connectivity_inbox_take(ctx, line);
}

/* In PDU mode, which alone tells a name from a number and parts from wholes. Which store is listed
 * stays what it is. false: it was not answered. */
static bool list(struct connectivity_modem *m, const struct thr_stop *stop,
                 struct connectivity_inbox *in)
{
    const struct connectivity_ask mode = {.command = "AT+CMGF=0", .ms = SET_MS};
    const struct connectivity_ask all = {
        .command = "AT+CMGL=4", .ms = LIST_MS, .most = LIST_BYTES, .take = take, .ctx = in};
    if (m->dialog.fd < 0 || m->dialog.late)
        return false;
    enum st st = connectivity_dialog_ask(&m->dialog, &mode, stop);
    if (st == ST_OK)
        st = connectivity_dialog_ask(&m->dialog, &all, stop);
    if (st == ST_IO || st == ST_BAD) /* the next poll finds out what became of the port */
        connectivity_dialog_close(&m->dialog);
    return st == ST_OK || st == ST_REFUSED;
}

static void keep(struct connectivity_modem *m, const struct connectivity_inbox *in)
{
    struct connectivity_message found[CONNECTIVITY_MESSAGES_MAX];
    size_t n = in ? connectivity_inbox_messages(in, found) : 0;
    (void)pthread_mutex_lock(&m->lock);
    memset(m->messages, 0, sizeof m->messages);
    memcpy(m->messages, found, n * sizeof *found);
    m->messages_n = n;
    (void)pthread_mutex_unlock(&m->lock);
}

void connectivity_messages_look(struct connectivity_modem *m, enum connectivity_modem_state state,
                                const struct thr_stop *stop)
{
    struct mono now = clk_mono(clk_real());
    bool has_card = state == CONNECTIVITY_MODEM_READY || state >= CONNECTIVITY_MODEM_SEARCHING;
    if (!has_card) { /* another card may come */
        if (m->messages_due.ms > 0)
            keep(m, NULL);
        m->messages_due.ms = 0;
        return;
    }
    if (now.ms < m->messages_due.ms)
        return;
    bool first = m->messages_due.ms == 0;
    struct connectivity_inbox *in = calloc(1, sizeof *in);
    m->messages_wait_ms = first ? m->cfg->every_ms : 2 * m->messages_wait_ms;
    if (m->messages_wait_ms > EVERY_MAX_MS)
        m->messages_wait_ms = EVERY_MAX_MS;
    m->messages_due.ms = now.ms + m->messages_wait_ms;
    if (!in)
        return;
    bool told = m->cfg->through == CONNECTIVITY_MODEMMANAGER
                    ? connectivity_manager_messages(stop, in)
                    : list(m, stop, in);
    if (told)
        keep(m, in);
    free(in);
}

size_t connectivity_messages(struct connectivity *k,
                             struct connectivity_message out[CONNECTIVITY_MESSAGES_MAX],
                             char card[CONNECTIVITY_CARD_BYTES])
{
    struct connectivity_modem *m = k->modem;
    card[0] = '\0';
    if (!m)
        return 0;
    (void)pthread_mutex_lock(&m->lock);
    memcpy(card, m->card, sizeof m->card);
    size_t n = m->messages_n;
    memcpy(out, m->messages, n * sizeof *out);
    (void)pthread_mutex_unlock(&m->lock);
    return n;
}
