/* Records what a program asks of the disk: each call that changes or syncs the files of one folder,
 * in order. The calls (open, write, fsync, rename …) are defined here, in the program itself, so
 * that its own code and every shared library (SQLite) come through; what the C library does inside
 * itself (stdio) does not, and disk_same finds such a hole.
 *
 * SQLite's -shm is left out: it is shared memory that nobody syncs and that recovery rebuilds.
 * Real syncs are not made: the log is the disk. */
#ifndef TESTS_CRASH_RECORDER_H
#define TESTS_CRASH_RECORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rec_kind {
    REC_CREATE, /* a new, empty file under a name */
    REC_WRITE,
    REC_SIZE, /* ftruncate, O_TRUNC, fallocate: the file has n bytes from here on */
    REC_SYNC, /* of a file: its bytes and its size */
    REC_RENAME,
    REC_UNLINK,
    REC_DIRSYNC /* of the folder: its names */
};
struct rec_op {
    enum rec_kind kind;
    uint32_t file; /* a number for life: a name may come to mean another file */
    int phase;     /* of the script */
    uint64_t off;
    size_t n; /* bytes; the size of REC_SIZE */
    uint8_t *data;
    char *name, *to; /* REC_CREATE, REC_UNLINK, REC_RENAME; without the folder */
};
struct rec_log {
    struct rec_op *op;
    size_t n, cap;
    uint32_t files;
    bool failed; /* an allocation did: the log is worth nothing */
};

/* One recording at a time. The files that are there already become the log's first calls, synced.
 * Any thread may make the calls that are recorded; start, phase and stop are the script's. */
bool rec_start(struct rec_log *log, const char *dir);
void rec_stop(void);
void rec_free(struct rec_log *log);
void rec_phase(int phase);
/* Called behind each recorded call, on its thread, outside of the recorder's lock; the calls that
 * it makes itself are recorded, and do not call it again. NULL: no more. */
void rec_watch(void (*hook)(void *ctx), void *ctx);

/* From here on getrandom gives the numbers of this seed; 0: the kernel's again. */
void rec_random(uint64_t seed);
/* The next pseudo-random number of a state (splitmix64). */
uint64_t rec_next(uint64_t *state);

#endif
