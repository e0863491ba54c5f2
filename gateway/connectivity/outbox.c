/* Messages by SMS, for when there is no data: few, to numbers that stand in a file of this box and
 * in no log, event, reading or answer (decision 0057). */
#include "gateway/connectivity/modem_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES 2048
#define AGAIN_MS 30000 /* after a failure: the network may be there then */
#define TRIES 10
#define HOUR_MS 3600000
#define DIGITS_MIN 3
#define DIGITS_MAX 15 /* E.164 */

#define FIELD(k, m) .key = (k), .offset = offsetof(struct connectivity_sms_cfg, m)
static const struct cfg_field fields[] = {
    {FIELD("numbers", numbers), .kind = CFG_STRING,
     .help = "file with the telephone numbers that get alarms, one a line; mode 0600"},
    {FIELD("per_hour", per_hour), .kind = CFG_INT, .dflt = "6", .min = 1,
     .max = CONNECTIVITY_SMS_HOUR_MAX, .help = "messages within an hour at most, each number one"},
    {.key = NULL}};
const struct cfg_table connectivity_sms_table = {sizeof(struct connectivity_sms_cfg), fields};

/* ---- the numbers ---------------------------------------------------------------------------- */

/* A line without blanks around it. false: it is a number, but none that can be called. */
static bool number_take(char *line, struct connectivity_numbers *out)
{
    char *p = line + strspn(line, " \t\r"), *end = p + strcspn(p, "#\r");
    while (end > p && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    *end = '\0';
    if (p == end)
        return true;
    size_t plus = *p == '+', n = strspn(p + plus, "0123456789");
    bool good = n >= DIGITS_MIN && n <= DIGITS_MAX && p[plus + n] == '\0' &&
                out->n < CONNECTIVITY_NUMBERS_MAX;
    if (good)
        (void)snprintf(out->v[out->n++], sizeof *out->v, "%s", p);
    return good;
}

enum st connectivity_numbers_read(const char *path, struct connectivity_numbers *out, struct err *e)
{
    char text[FILE_BYTES + 1], *at = text;
    struct stat sb;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n = fd < 0 || fstat(fd, &sb) != 0 ? -1 : read(fd, text, FILE_BYTES + 1);
    int failed = errno;
    if (fd >= 0)
        (void)close(fd);
    *out = (struct connectivity_numbers){.n = 0};
    if (n < 0)
        return err_set(e, ST_IO, "%s: %s", path, strerror(failed));
    if (sb.st_mode & 077)
        return err_set(e, ST_REFUSED, "%s: others may read it: chmod 600", path);
    if (n > FILE_BYTES)
        return err_set(e, ST_BAD, "%s: longer than %d bytes", path, FILE_BYTES);
    text[n] = '\0';
    for (unsigned line = 1; at; line++) { /* what it says is not told */
        if (!number_take(strsep(&at, "\n"), out))
            return err_set(e, ST_BAD,
                           "%s:%u: a telephone number a line, such as +84 and digits without "
                           "blanks, %d of them at most",
                           path, line, CONNECTIVITY_NUMBERS_MAX);
    }
    return out->n > 0 ? ST_OK : err_set(e, ST_BAD, "%s: no telephone number", path);
}

void connectivity_sms_check(struct cfg *c, const struct connectivity_cfg *cfg)
{
    struct connectivity_numbers numbers;
    struct err e = {.text = ""};
    if (!cfg->sms.numbers) {
        if (cfg_line(c, &cfg->sms) > 0)
            cfg_complain(c, &cfg->sms, "sms needs numbers: a file with telephone numbers");
        return;
    }
    if (cfg->modem.through != CONNECTIVITY_MODEMMANAGER)
        cfg_complain(c, &cfg->sms, "sms needs `modem: {through: modemmanager}`");
    if (connectivity_numbers_read(cfg->sms.numbers, &numbers, &e) != ST_OK)
        cfg_complain(c, &cfg->sms.numbers, "%s", e.text);
}

/* ---- what waits ----------------------------------------------------------------------------- */

bool connectivity_has_sms(const struct connectivity *k)
{
    return k->modem && k->modem->outbox.cfg && k->modem->outbox.cfg->numbers;
}

void connectivity_sms(struct connectivity *k, const char *text)
{
    struct connectivity_modem *m = k->modem;
    if (!connectivity_has_sms(k))
        return;
    (void)pthread_mutex_lock(&m->lock);
    struct connectivity_outbox *o = &m->outbox;
    if (o->n == CONNECTIVITY_OUTBOX) {
        memmove(o->text, o->text + 1, (CONNECTIVITY_OUTBOX - 1) * sizeof *o->text);
        o->n--;
    }
    (void)snprintf(o->text[o->n++], sizeof *o->text, "%s", text);
    (void)pthread_mutex_unlock(&m->lock);
}

/* The next one becomes the one that is sent. */
static bool next(struct connectivity_modem *m)
{
    struct connectivity_outbox *o = &m->outbox;
    (void)pthread_mutex_lock(&m->lock);
    bool is = o->n > 0;
    if (is) {
        memcpy(o->now, o->text[0], sizeof o->now);
        memmove(o->text, o->text + 1, (CONNECTIVITY_OUTBOX - 1) * sizeof *o->text);
        o->n--;
    }
    (void)pthread_mutex_unlock(&m->lock);
    o->sent = o->tries = 0;
    o->due_ms = 0;
    return is;
}

/* Whether one more may go within this hour. */
static bool may(struct connectivity_outbox *o, int64_t now_ms)
{
    size_t recent = 0;
    for (size_t i = 0; i < CONNECTIVITY_SMS_HOUR_MAX; i++)
        recent += o->went_ms[i] != 0 && now_ms - o->went_ms[i] < HOUR_MS;
    return recent < (size_t)o->cfg->per_hour;
}

static void went(struct connectivity_outbox *o, int64_t now_ms)
{
    o->went_ms[o->went++ % CONNECTIVITY_SMS_HOUR_MAX] = now_ms;
}

/* ---- one round ------------------------------------------------------------------------------ */

/* ST_OK: it went to all; ST_FULL: no more of it within this hour; else one did not get it yet. */
static enum st send_all(struct connectivity_outbox *o, struct thr_stop *stop, struct err *e)
{
    struct connectivity_numbers numbers;
    ERR_TRY(connectivity_numbers_read(o->cfg->numbers, &numbers, e));
    while (o->sent < numbers.n) {
        int64_t now_ms = clk_mono(clk_real()).ms;
        if (!may(o, now_ms))
            return err_set(e, ST_FULL,
                           "%lld messages within an hour are all that sms.per_hour lets",
                           (long long)o->cfg->per_hour);
        went(o, now_ms); /* also one that fails: it may cost */
        ERR_TRY(connectivity_manager_send(stop, numbers.v[o->sent], o->now, e));
        o->sent++;
    }
    return ST_OK;
}

static void tell_failed(struct connectivity_outbox *o, struct store *store, const struct err *e)
{
    if (o->told)
        return;
    o->told = true;
    store_event(store, STORE_ERROR, "sms.failed", CONNECTIVITY_MODEM_ID,
                "an alarm did not go out by SMS: %s", e->text);
}

void connectivity_outbox_step(struct connectivity_modem *m, const struct connectivity_job *job)
{
    struct connectivity_outbox *o = &m->outbox;
    struct err e = {.text = ""};
    if (!o->cfg || !o->cfg->numbers || (!o->now[0] && !next(m)) ||
        clk_mono(clk_real()).ms < o->due_ms)
        return;
    enum st st = send_all(o, job->stop, &e);
    if (st == ST_STOPPED)
        return;
    if (st == ST_OK) {
        o->told = false;
        store_event(job->store, STORE_INFO, "sms.sent", CONNECTIVITY_MODEM_ID,
                    "an alarm went out by SMS to %zu numbers", o->sent);
    } else {
        tell_failed(o, job->store, &e);
    }
    if (st == ST_OK || st == ST_FULL || ++o->tries == TRIES)
        o->now[0] = '\0';
    else
        o->due_ms = clk_mono(clk_real()).ms + AGAIN_MS;
}
