/* Diagnostics on stderr: one event, one line. Only thread mains and programs log; rooms return
 * errors. What an auditor may ask about is a store event, not a log line. Any thread. */
#ifndef GATEWAY_BASE_LOG_H
#define GATEWAY_BASE_LOG_H

#include "gateway/base/err.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Prefix of every line ("fieldpost"), and the highest level that prints. Call once at start.
 * Under systemd (JOURNAL_STREAM set) lines carry the <N> priority prefix. */
void log_open(const char *program, enum log_level level);
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A rate limiter for one place in the code: at most `burst` lines a minute; the next line that
 * passes says how many were left out. Zero-initialised static storage. */
struct log_limit {
    long window;
    unsigned count, dropped;
};
void log_limited(struct log_limit *l, unsigned burst, enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)

#endif
