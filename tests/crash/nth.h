/* Fails the Nth call of a class: an injector that stands in front of the C library and of SQLite.
 *
 * Linked into a program it is driven through nth_control(); preloaded (libnth.so) it is driven from
 * outside through the file that the environment names in FP_NTH. Calls are counted and fail only
 * while it is armed. */
#ifndef TESTS_CRASH_NTH_H
#define TESTS_CRASH_NTH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* X(id, name): read, write, sync, open, space and name are about regular files alone. */
#define NTH_CLASS_TABLE(X)                                                                         \
    X(NTH_READ, "read")       /* read, pread, readv */                                             \
    X(NTH_WRITE, "write")     /* write, pwrite, writev */                                          \
    X(NTH_SYNC, "sync")       /* fsync, fdatasync */                                               \
    X(NTH_OPEN, "open")       /* open, openat */                                                   \
    X(NTH_SPACE, "space")     /* ftruncate, fallocate, posix_fallocate */                          \
    X(NTH_NAME, "name")       /* rename, unlink */                                                 \
    X(NTH_MEMORY, "memory")   /* malloc, calloc, realloc, strdup */                                \
    X(NTH_MAP, "map")         /* mmap, mremap */                                                   \
    X(NTH_SEND, "send")       /* send, sendto, sendmsg */                                          \
    X(NTH_RECV, "recv")       /* recv, recvfrom, recvmsg */                                        \
    X(NTH_STEP, "step")       /* sqlite3_step, sqlite3_exec */                                     \
    X(NTH_PREPARE, "prepare") /* sqlite3_prepare_v2, _v3 */

enum nth_class {
#define NTH_ID(id, name) id,
    NTH_CLASS_TABLE(NTH_ID)
#undef NTH_ID
        NTH_CLASSES
};

/* Tests in other languages write this as bytes: fixed sizes, and `armed` last. */
struct nth {
    _Atomic int32_t armed;                  /* class + 1; 0: nothing fails or counts */
    _Atomic int32_t error;                  /* errno, or SQLite's result code */
    _Atomic int32_t forever;                /* from the Nth on, until disarmed */
    int32_t reserved;                       /* 0 */
    _Atomic int64_t at;                     /* the Nth from now on fails; counts down to 0 */
    _Atomic int64_t failed;                 /* how many have failed */
    _Atomic int64_t calls[NTH_CLASSES + 4]; /* per class, while armed */
    char under[256]; /* file classes: only files whose path begins so; "": any */
};

struct nth *nth_control(void);
void nth_use(struct nth *n); /* from now on that one (a zeroed one) */
void nth_arm(enum nth_class class, int error, int64_t at, bool forever); /* NTH_CLASSES: counts */
void nth_disarm(void);
/* Between the two nothing fails or counts. */
void nth_pause(void);
void nth_resume(void);

#endif
