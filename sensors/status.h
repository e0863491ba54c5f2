/* The one closed set of results. A name answers one question: what may the caller do next?
 * Used by the chip drivers, the firmware and every room of the gateway. */
#ifndef SENSORS_STATUS_H
#define SENSORS_STATUS_H

enum st {
    ST_OK = 0,      /* done */
    ST_BUSY,        /* not ready yet: ask again later, nothing is wrong */
    ST_TIMEOUT,     /* no answer in time: retry with back-off */
    ST_IO,          /* the medium failed (bus, disk, network): retry with back-off */
    ST_BAD,         /* the input breaks a rule: do not retry it unchanged */
    ST_REFUSED,     /* the other side understood and said no: do not retry it unchanged */
    ST_CORRUPT,     /* a check sum, hash or signature does not fit: drop it */
    ST_NOT_FOUND,   /* what was asked for is not there */
    ST_CONFLICT,    /* something else already stands there */
    ST_FULL,        /* a limit is reached: free something first */
    ST_MEMORY,      /* no memory: free something first */
    ST_UNSUPPORTED, /* this build or device cannot do it */
    ST_STOPPED,     /* the program is shutting down */
};

#if defined(__GNUC__)
#define ST_MUST_CHECK __attribute__((warn_unused_result))
#else
#define ST_MUST_CHECK
#endif

#endif
