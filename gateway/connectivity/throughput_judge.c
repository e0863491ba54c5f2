/* What a measured rate says: of the way, of our own link, or of this box. */
#include "gateway/connectivity/throughput_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FIELDS 8 /* user nice system idle iowait irq softirq steal; guests are in the first two */
enum { IDLE = 3, IOWAIT = 4, SOFTIRQ = 6 };

static const struct connectivity_speed_kind kinds[] = {
    {CONNECTIVITY_SPEED_MEASURED, HTTP_TRANSFER_GOOD, false, "measured rate", ""},
    {CONNECTIVITY_SPEED_LINK, HTTP_TRANSFER_GOOD, false, "link capability", ""},
    {CONNECTIVITY_SPEED_CPU, HTTP_TRANSFER_GOOD, false, "limited by the processor", ""},
    {CONNECTIVITY_SPEED_BUSY, HTTP_TRANSFER_ENDED, true, "not measured: readings go out",
     "an uplink sends or drains its backlog: readings go first"},
    {CONNECTIVITY_SPEED_BUDGET, HTTP_TRANSFER_GOOD, true, "not measured: budget used",
     "the month's data budget for measuring is used up: see budget"},
    {CONNECTIVITY_SPEED_CONNECT, HTTP_TRANSFER_CONNECT, false, "no connection",
     "the speed server is not reached: check link, DNS and address"},
    {CONNECTIVITY_SPEED_STRANGER, HTTP_TRANSFER_STRANGER, false, "certificate not proven",
     "who answers is not proven to be the speed server: check ca, address and clock"},
    {CONNECTIVITY_SPEED_INTERFACE, HTTP_TRANSFER_INTERFACE, false, "no such way out",
     "the interface is not there or has no address: see `ip address`"},
    {CONNECTIVITY_SPEED_REDIRECT, HTTP_TRANSFER_REDIRECT, false, "redirected",
     "the address sends elsewhere: an operator's page, or give the final address"},
    {CONNECTIVITY_SPEED_PAGE, HTTP_TRANSFER_PAGE, false, "a page, no data",
     "a page answers instead of data: a sign-in page, or the wrong address"},
    {CONNECTIVITY_SPEED_STATUS, HTTP_TRANSFER_STATUS, false, "refused",
     "the speed server refuses: check address and what it permits"},
    {CONNECTIVITY_SPEED_CUT, HTTP_TRANSFER_CUT, false, "cut off",
     "the transfer breaks off: measure again, then another server"},
    {CONNECTIVITY_SPEED_SMALL, HTTP_TRANSFER_SMALL, false, "too small",
     "what the server gives is too small: take a larger file"},
    {CONNECTIVITY_SPEED_SILENT, HTTP_TRANSFER_SILENT, false, "nothing came",
     "the speed server takes the connection, but nothing moves: measure again"},
    {CONNECTIVITY_SPEED_SHORT, HTTP_TRANSFER_SHORT, false, "over too soon",
     "too few bytes for a line so fast: raise size, or lower ramp"},
    {CONNECTIVITY_SPEED_BROKEN, HTTP_TRANSFER_BROKEN, false, "failed here",
     "this box could not measure: see memory and log"},
};
#define KINDS (sizeof kinds / sizeof *kinds)

const struct connectivity_speed_kind *connectivity_speed_kind(enum connectivity_speed code)
{
    size_t i = 0;
    while (i < KINDS - 1 && kinds[i].code != code)
        i++;
    return &kinds[i];
}

enum connectivity_speed connectivity_speed_of(enum http_transfer_fault fault)
{
    for (size_t i = 0; i < KINDS; i++)
        if (fault != HTTP_TRANSFER_GOOD && kinds[i].fault == fault)
            return kinds[i].code;
    return fault == HTTP_TRANSFER_GOOD ? CONNECTIVITY_SPEED_MEASURED : CONNECTIVITY_SPEED_BROKEN;
}

/* ---- load ----------------------------------------------------------------------------------- */

static bool line_parse(const char *text, int64_t v[FIELDS])
{
    for (size_t i = 0; i < FIELDS; i++) {
        char *end;
        errno = 0;
        v[i] = strtoll(text, &end, 10);
        if (end == text || errno != 0 || v[i] < 0)
            return false;
        text = end;
    }
    return true;
}

static int64_t sum(const int64_t v[FIELDS])
{
    int64_t all = 0;
    for (size_t i = 0; i < FIELDS; i++)
        all += v[i];
    return all;
}

bool connectivity_load_parse(struct connectivity_load *l, const char *text)
{
    int64_t v[FIELDS];
    if (strncmp(text, "cpu ", 4) != 0 || !line_parse(text + 4, v))
        return false;
    l->all = sum(v);
    l->busy = l->all - v[IDLE] - v[IOWAIT];
    l->ncpus = 0;
    while ((text = strchr(text, '\n')) && strncmp(++text, "cpu", 3) == 0) {
        size_t digits = strspn(text + 3, "0123456789");
        if (digits == 0 || l->ncpus == CONNECTIVITY_CPUS || !line_parse(text + 3 + digits, v))
            break;
        l->soft[l->ncpus] = v[SOFTIRQ];
        l->each[l->ncpus++] = sum(v);
    }
    return true;
}

/* As much of the file as there is room for; its length, 0: none. */
static size_t file_read(const char *path, char *out, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = 0;
    size_t at = 0;
    while (fd >= 0 && at < size - 1 && (n = read(fd, out + at, size - 1 - at)) > 0)
        at += (size_t)n;
    if (fd >= 0)
        (void)close(fd);
    out[at] = '\0';
    return at;
}

static int64_t clock_us(clockid_t id)
{
    struct timespec t = {0};
    (void)clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

void connectivity_load_now(struct connectivity_load *l)
{
    char text[8192];
    char *waited, *end;
    memset(l, 0, sizeof *l);
    if (file_read("/proc/stat", text, sizeof text) > 0 && !connectivity_load_parse(l, text))
        memset(l, 0, sizeof *l);
    l->at_us = clock_us(CLOCK_MONOTONIC);
    l->thread_us = clock_us(CLOCK_THREAD_CPUTIME_ID);
    /* not every kernel says how long a thread waited for its turn */
    if (file_read("/proc/thread-self/schedstat", text, sizeof text) == 0)
        return;
    (void)strtoll(text, &waited, 10); /* how long it ran, in ns */
    int64_t waited_ns = strtoll(waited, &end, 10);
    if (end != waited && waited_ns > 0)
        l->thread_us += waited_ns / 1000;
}

static int64_t permille(int64_t part, int64_t all)
{
    int64_t x = all > 0 && part > 0 ? (part * 1000 + all / 2) / all : 0;
    return x < 1000 ? x : 1000;
}

int64_t connectivity_load_permille(const struct connectivity_load *a,
                                   const struct connectivity_load *b)
{
    return permille(b->busy - a->busy, b->all - a->all);
}

int64_t connectivity_load_limit_permille(const struct connectivity_load *a,
                                         const struct connectivity_load *b)
{
    int64_t most = permille(b->thread_us - a->thread_us, b->at_us - a->at_us);
    for (size_t i = 0; i < a->ncpus && i < b->ncpus; i++) {
        int64_t soft = permille(b->soft[i] - a->soft[i], b->each[i] - a->each[i]);
        most = soft > most ? soft : most;
    }
    return most;
}

enum connectivity_speed connectivity_speed_judge(int64_t kbit, int64_t link_mbit,
                                                 int64_t limit_permille)
{
    if (kbit > link_mbit * 1000) /* then its rate is made up, as a tunnel's 10 Mbit/s */
        link_mbit = 0;
    int64_t carries_kbit = link_mbit * 1000 * 1448 / 1538;
    if (link_mbit > 0 && kbit * 100 >= carries_kbit * 95)
        return CONNECTIVITY_SPEED_LINK; /* full is full, whoever was busy */
    return limit_permille >= CONNECTIVITY_CPU_LIMIT ? CONNECTIVITY_SPEED_CPU
                                                    : CONNECTIVITY_SPEED_MEASURED;
}
