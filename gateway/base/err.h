/* An error message complete enough to print: what, where, and what to do.
 *
 * Every fallible function of the gateway returns enum st and takes `struct err *` last. It may be
 * NULL, and it is left untouched on success. */
#ifndef GATEWAY_BASE_ERR_H
#define GATEWAY_BASE_ERR_H

#include "sensors/status.h"

#define ERR_TEXT_BYTES 512

struct err {
    enum st st;
    char text[ERR_TEXT_BYTES];
};

/* Fills e (when not NULL) and returns st, so that a caller can write
 * `return err_set(e, ST_IO, "%s: %s", path, strerror(errno));`. A long text is cut. */
enum st err_set(struct err *e, enum st st, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Puts "<prefix>: " before the text of e; keeps st. Returns e->st, or st when e is NULL. */
enum st err_wrap(struct err *e, enum st st, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
#ifdef __clang_analyzer__
/* The analyzer cannot see into variadic functions: it learns here that they return st. */
#define err_set(e, st, ...) ((err_set)((e), (st), __VA_ARGS__), (st))
#define err_wrap(e, st, ...) ((err_wrap)((e), (st), __VA_ARGS__), (st))
#endif
/* Leaves the calling function with the status of a call that failed and has nothing to undo. */
#define ERR_TRY(call)                                                                              \
    do {                                                                                           \
        enum st err_try_ = (call);                                                                 \
        if (err_try_ != ST_OK)                                                                     \
            return err_try_;                                                                       \
    } while (0)
/* "timeout", "io", …: a stable word for each status. */
const char *err_name(enum st st);

#endif
