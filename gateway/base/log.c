#include "gateway/base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES 1024

/* Set once by log_open before there are threads. */
static const char *program_name = "fieldpost";
static enum log_level highest = LOG_LEVEL_INFO;
static bool journald;

static const struct {
    const char *word;
    int priority; /* syslog's */
} levels[] = {
    [LOG_LEVEL_ERROR] = {"error", 3},
    [LOG_LEVEL_WARN] = {"warning", 4},
    [LOG_LEVEL_INFO] = {"info", 6},
    [LOG_LEVEL_DEBUG] = {"debug", 7},
};

void log_open(const char *program, enum log_level level)
{
    program_name = program;
    highest = level;
    journald = getenv("JOURNAL_STREAM") != NULL;
}

__attribute__((format(printf, 3, 0))) static void put_line(enum log_level level, unsigned dropped,
                                                           const char *fmt, va_list ap)
{
    char line[LINE_BYTES];
    int n = journald ? snprintf(line, sizeof(line), "<%d>", levels[level].priority)
                     : snprintf(line, sizeof(line), "%s: %s: ", program_name, levels[level].word);
    if (n < 0 || (size_t)n >= sizeof(line)) {
        n = 0;
    }
    size_t at = (size_t)n;
    n = vsnprintf(line + at, sizeof(line) - at - 1, fmt, ap);
    size_t end = n < 0 ? at : at + (size_t)n;
    if (end > sizeof(line) - 2) {
        end = sizeof(line) - 2;
    }
    if (dropped > 0) {
        n = snprintf(line + end, sizeof(line) - end - 1, " (%u like it left out)", dropped);
        end = n < 0 ? end : end + (size_t)n;
        if (end > sizeof(line) - 2) {
            end = sizeof(line) - 2;
        }
    }
    /* one event, one line: what came from outside must not forge another */
    for (size_t i = at; i < end; i++) {
        if ((unsigned char)line[i] < ' ' || line[i] == 0x7f) {
            line[i] = ' ';
        }
    }
    line[end] = '\n';
    /* one write, so that lines of several threads do not mix; where stderr is gone nobody listens
     */
    (void)!write(STDERR_FILENO, line, end + 1);
}

void log_line(enum log_level level, const char *fmt, ...)
{
    if (level > highest) {
        return;
    }
    va_list ap;
    va_start(ap, fmt);
    put_line(level, 0, fmt, ap);
    va_end(ap);
}

void log_limited(struct log_limit *l, unsigned burst, enum log_level level, const char *fmt, ...)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    if (level > highest) {
        return;
    }
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    /* never 0, so that a zeroed limiter starts a window of its own */
    long window = (long)(now.tv_sec / 60) + 1;

    (void)pthread_mutex_lock(&lock);
    if (l->window != window) {
        l->window = window;
        l->count = 0;
    }
    bool pass = l->count < burst;
    unsigned dropped = pass ? l->dropped : 0;
    if (pass) {
        l->count++;
        l->dropped = 0;
    } else {
        l->dropped++;
    }
    (void)pthread_mutex_unlock(&lock);

    if (pass) {
        va_list ap;
        va_start(ap, fmt);
        put_line(level, dropped, fmt, ap);
        va_end(ap);
    }
}
